"""What jobs read, put on disk: job.json and the specs of its runs; run folders with run.json and a link by name.

A submission writes two files, however many runs it carries; workers make the folders of the runs that they begin.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from sgonz.plan.runs import Kind, RunSpec
from sgonz.rundir import Element, JobList, RunDir, Workdir, disk_errors, write_atomic

SPECS = "runs.jsonl"
LONGEST = 56  # characters of a name; one may take four bytes, and a path component has 255


def write_job(workdir: Workdir, job: JobList, specs: Mapping[str, RunSpec]) -> JobList:
    """Everything that the elements of a submission read; the job as it was written."""
    with disk_errors(workdir.root):
        folder = workdir.job(job.tag)
        (folder / "events").mkdir(parents=True, exist_ok=True)
        written = msgspec.structs.replace(job, elements=add_specs(folder, job.elements, specs))
        write_atomic(folder / "job.json", msgspec.json.encode(written))
    return written


def add_specs(folder: Path, elements: Sequence[Element], specs: Mapping[str, RunSpec]) -> tuple[Element, ...]:
    """Append specs to a job's runs.jsonl, one line for each; the elements, knowing where theirs begin.

    One file and one fsync for a whole submission: a file for each of ten thousand runs takes most of a minute.
    """
    encoder = msgspec.json.Encoder()
    placed: list[Element] = []
    with (folder / SPECS).open("ab") as stream:
        for element in elements:
            placed.append(msgspec.structs.replace(element, specs_at=stream.tell()))
            stream.writelines(encoder.encode(specs[run_id]) + b"\n" for run_id in element.run_ids)
        stream.flush()
        os.fsync(stream.fileno())
    return tuple(placed)


def sent(workdir: Workdir) -> set[str]:
    """Every run that a submission of this work folder carried, begun or not."""
    found: set[str] = set()
    for path in workdir.jobs.glob("*/job.json"):
        try:
            jobs = msgspec.json.decode(path.read_bytes(), type=JobList)
        except (OSError, msgspec.DecodeError):  # just taken back, or of another version
            continue
        found.update(run_id for element in jobs.elements for run_id in element.run_ids)
    return found


def link(run: RunDir, sweep: str, spec: RunSpec) -> None:
    """A link to a run's folder under a readable name."""
    if sweep:
        _link(run.workdir.by_name / safe(sweep) / safe(spec.dataset.name) / readable(spec), run.root)


def short_name(workdir: Workdir) -> str:
    """Four digits that tell work folders apart in a queue."""
    return hashlib.sha256(str(workdir.root.resolve()).encode()).hexdigest()[:4]


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
    with contextlib.suppress(FileExistsError):  # another node was faster
        link.symlink_to(os.path.relpath(target, link.parent))
