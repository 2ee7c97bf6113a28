"""Runs that a sent job is not to begin any more: a file beside job.json, written by turns and read before every run."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import msgspec

from sgonz.bare import TAKEN_BACK
from sgonz.rundir import write_atomic

WITHDRAWN = "{}.withdrawn"


def take_back(job_folder: Path, run_ids: Collection[str]) -> None:
    """Have the workers of a submission leave these runs alone, and no others; nothing where that stands there already."""
    path = job_folder / TAKEN_BACK
    if set(run_ids) == read(job_folder):
        return
    if run_ids:
        write_atomic(path, msgspec.json.encode(sorted(run_ids)))
    else:
        path.unlink(missing_ok=True)


def note_withdrawn(job_folder: Path, element: int) -> None:
    """Write down that a job is about to be taken out of the queue by us: nobody else has cancelled it."""
    (job_folder / WITHDRAWN.format(element)).touch()


def was_withdrawn(job_folder: Path, element: int) -> bool:
    return (job_folder / WITHDRAWN.format(element)).exists()


def read(job_folder: Path) -> frozenset[str]:
    """The runs that are taken back from a submission."""
    try:
        return msgspec.json.decode((job_folder / TAKEN_BACK).read_bytes(), type=frozenset[str])
    except FileNotFoundError:
        return frozenset()
