"""Runs that a sent job is not to begin any more: a file beside job.json, written by turns and read before every run."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import msgspec

from sgonz.rundir import write_atomic

NAME = "taken_back.json"


def take_back(job_folder: Path, run_ids: Collection[str]) -> None:
    """Have the workers of a submission leave these runs alone, and no others; nothing where that stands there already."""
    path = job_folder / NAME
    if set(run_ids) == read(job_folder):
        return
    if run_ids:
        write_atomic(path, msgspec.json.encode(sorted(run_ids)))
    else:
        path.unlink(missing_ok=True)


def is_taken_back(job_folder: Path, run_id: str) -> bool:
    """Whether a worker is to leave a run alone."""
    return run_id in read(job_folder)


def read(job_folder: Path) -> frozenset[str]:
    """The runs that are taken back from a submission."""
    try:
        return msgspec.json.decode((job_folder / NAME).read_bytes(), type=frozenset[str])
    except FileNotFoundError:
        return frozenset()
