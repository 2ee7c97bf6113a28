"""Put on disk what jobs read: run.json, job.json, and links by name for people."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from sgonz.plan.runs import Kind, RunSpec
from sgonz.rundir import JobList, Workdir, disk_errors, write_atomic

LONGEST = 56  # characters of a name; one may take four bytes, and a path component has 255


def lay_out(workdir: Workdir, sweep: str, specs: Iterable[RunSpec]) -> None:
    """A folder with run.json for every run, and a link to it under a readable name."""
    with disk_errors(workdir.root):
        for spec in specs:
            run = workdir.run(spec.run_id)
            if not run.spec.exists():
                write_atomic(run.spec, msgspec.json.encode(spec))
            _link(workdir.by_name / safe(sweep) / safe(spec.dataset.name) / readable(spec), run.root)


def write_job(workdir: Workdir, job: JobList) -> None:
    with disk_errors(workdir.root):
        folder = workdir.job(job.tag)
        (folder / "events").mkdir(parents=True, exist_ok=True)
        write_atomic(folder / "job.json", msgspec.json.encode(job))


def readable(spec: RunSpec) -> str:
    """A run's name for people: distill-albeto-tiny-lr5e-05-b16-e50-s42-1f2e."""
    parts = [spec.kind, spec.model.name]
    if spec.kind in (Kind.FINETUNE, Kind.DISTILL):
        settings = spec.settings
        parts += [f"lr{settings.learning_rate:g}", f"b{settings.batch_size}", f"e{settings.epochs}"]
    return f"{safe('-'.join(parts))}-s{spec.seed}-{spec.run_id[:4]}"


def safe(name: str) -> str:
    """A name from a sweep file as one path component: no separators, no leading dot, nothing for a shell, not too long."""
    return re.sub(r"[^\w.+-]+", "_", name).lstrip(".")[:LONGEST] or "_"


def _link(link: Path, target: Path) -> None:
    if link.is_symlink():
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(os.path.relpath(target, link.parent))
