"""One run by hand, in a scratch copy: neither its folder nor its claims nor its job know of it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import msgspec

from sgonz.cluster.by_hand import command_for, run_live
from sgonz.coordinator import climbing
from sgonz.coordinator.coordinator import Coordinator
from sgonz.errors import UserError
from sgonz.plan.runs import RunSpec
from sgonz.rundir import RunDir, Workdir, write_atomic
from sgonz.workdir import costs

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def debug(at: Coordinator, spec: RunSpec) -> tuple[int, Path]:
    """Do the run with its output on the terminal; its exit status, and the scratch folder that it left."""
    place = climbing.place_of(
        costs.read(at.workdir), at.profile, spec.kind, spec.model.name, spec.dataset.name
    )
    resource = (
        at.profile.resources[place.resource]
        if place and place.resource
        else at.profile.resource_for("default")[1]
    )
    if resource.crew > 1:
        raise UserError(
            f"{spec.run_id} runs as {resource.crew} processes, which cannot be done by hand",
            hint="Give its model a class with one GPU in a profile of your own, and say --cluster FILE.",
        )
    scratch = lay_out_scratch(at.workdir, spec)
    command = command_for(
        at.profile, resource, [sys.executable, "-u", "-m", "sgonz.train", str(scratch.root)]
    )
    return run_live(at.profile, command, dict.fromkeys(THREADS, str(at.sweep.threads))), scratch.workdir.root


def lay_out_scratch(workdir: Workdir, spec: RunSpec) -> RunDir:
    """A work folder for this run alone; what it needs is read from the real one, and the cache is the same."""
    folder = workdir.root / "debug" / f"{spec.run_id}-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    scratch = Workdir(folder)
    run = scratch.run(spec.run_id)
    for need in spec.needs:
        found = workdir.run(need.run_id)
        if not found.result.exists():
            raise UserError(
                f"{spec.run_id} needs {need.run_id}, which has no result yet",
                hint=f"See what it waits for: sgonz explain {need.run_id}",
            )
        link = scratch.run(need.run_id).root
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(found.root)
    write_atomic(run.spec, msgspec.json.encode(spec))
    workdir.cache.mkdir(exist_ok=True)
    scratch.cache.symlink_to(workdir.cache)
    if workdir.history.exists():
        shutil.copy(workdir.history, scratch.history)
    return run
