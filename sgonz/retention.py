"""Weights that nobody will ask for are removed, and a disk that fills up is noticed in time."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec

from sgonz.journal import Journal
from sgonz.rundir import RunDir, Workdir, write_atomic

REMOVED = "weights_removed.json"
LEAST_SHARE = 0.05  # of a disk that should stay free,
LEAST_BYTES = 20 * 2**30  # unless it is so large that this much is enough


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """What a run's folder would give back."""

    run_id: str
    size: int  # bytes
    paths: tuple[str, ...]


def weights_of(workdir: Workdir, run_ids: Iterable[str]) -> list[Weights]:
    """The weights that are there of these completed runs, the largest first."""
    found = []
    for run_id in run_ids:
        run = workdir.run(run_id)
        paths = [path for path in (run.output / "model", run.checkpoint) if path.is_dir()]
        if paths and run.result.exists():
            size = sum(bytes_in(path) for path in paths)
            found.append(Weights(run_id=run_id, size=size, paths=tuple(map(str, paths))))
    return sorted(found, key=lambda each: -each.size)


def remove(workdir: Workdir, weights: Collection[Weights], reason: str) -> int:
    """Remove weights, leaving scores and a mark that says when and why; how many bytes came free."""
    for each in weights:
        run = workdir.run(each.run_id)
        mark = {"time": time.time(), "size": each.size, "reason": reason}
        write_atomic(
            run.output / REMOVED, msgspec.json.encode(mark)
        )  # first: what is half removed is not used
        for path in each.paths:
            aside = Path(path).with_name(f".{Path(path).name}.removed")
            shutil.rmtree(aside, ignore_errors=True)
            os.rename(path, aside)
            shutil.rmtree(aside, ignore_errors=True)
    freed = sum(each.size for each in weights)
    if weights:
        Journal(workdir.journal).write(
            "weights_removed", runs=[each.run_id for each in weights], bytes=freed, reason=reason
        )
    return freed


def are_removed(run: RunDir) -> bool:
    """Whether a run's weights were there once and are not any more."""
    return (run.output / REMOVED).exists()


def disk_warning(folder: Path, free: int | None = None, size: int | None = None) -> str | None:
    """What to say of a disk that is nearly full. A quota of one's own is seen where the file system tells of it."""
    if free is None or size is None:
        usage = shutil.disk_usage(folder)
        free, size = usage.free, usage.total
    if free >= min(LEAST_SHARE * size, LEAST_BYTES):
        return None
    return f"{free / 2**30:.1f} GiB left on the disk of {folder}; `sgonz clean` shows what can go"


def bytes_in(folder: Path) -> int:
    return sum(
        os.stat(os.path.join(place, name)).st_size for place, _, names in os.walk(folder) for name in names
    )
