"""A sweep of runs that do nothing, done by real workers on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from job_folders import noop
from plan.small_sweep import small_sources, small_sweep

from sgonz.cluster.local import LocalCluster
from sgonz.cluster.profile import Profile
from sgonz.control.runs import add_grid
from sgonz.coordinator.coordinator import Coordinator
from sgonz.rundir import Workdir
from sgonz.store.store import open_store


@contextmanager
def idle_sweep(folder: Path, **settings: Any) -> Iterator[Coordinator]:
    """Four runs, one of which needs another; jobs wait while the gate is there."""
    workdir = Workdir(folder / "work")
    workdir.create()
    profile = Profile(name="here", scheduler="local", slots=2, runs_per_job=2,
                      setup=(f"while [ -e '{folder / 'gate'}' ]; do sleep 0.05; done",), **settings)  # fmt: skip
    with open_store(workdir.store, workspace=workdir.root, create=True) as store:
        sweep = small_sweep()
        number = store.add_sweep(
            name=sweep.name, text="", spec_json="{}", cluster="here", time=1.0, provenance={}
        )
        made = Coordinator(workdir=workdir, store=store, cluster=LocalCluster(profile), profile=profile,
                           sweep_id=number, sweep=sweep, sources=small_sources())  # fmt: skip
        add_grid(made, [noop("aaaa1111"), noop("bbbb2222", "aaaa1111"), noop("cccc3333"), noop("dddd4444")])
        yield made
        made.cluster.cancel(store.live_jobs())
