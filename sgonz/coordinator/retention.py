"""Weights and stored logits that nobody will ask for are removed; scores stay."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec

from sgonz.rundir import READ, Workdir, bytes_in
from sgonz.workdir import removal
from sgonz.workdir.journal import Journal


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """What a run's folder would give back."""

    run_id: str
    size: int  # bytes
    paths: tuple[str, ...]
    earlier: bool = False  # of generations that were invalidated; nobody reads them


def weights_of(workdir: Workdir, run_ids: Iterable[str], renewed: Iterable[str] = ()) -> list[Weights]:
    """What is there of these completed runs, and of earlier generations of those that were renewed, the largest first."""
    found = []
    for run_id in run_ids:
        run = workdir.run(run_id)
        if run.result.exists() and (
            each := _weights(run_id, [*(run.output / name for name in READ), run.checkpoint])
        ):
            found.append(each)
    for run_id in renewed:
        places = [*workdir.run(run_id).root.glob("generations/[0-9]*")]
        paths = [
            path
            for place in places
            for path in (*(place / "output" / name for name in READ), place / "checkpoint")
        ]
        if workdir.run(run_id).result.exists() and (each := _weights(run_id, paths)):
            found.append(msgspec.structs.replace(each, earlier=True))
    return sorted(found, key=lambda each: -each.size)


def _weights(run_id: str, paths: Iterable[Path]) -> Weights | None:
    there = [path for path in paths if path.is_dir()]
    size = sum(bytes_in(path) for path in there)
    return Weights(run_id=run_id, size=size, paths=tuple(map(str, there))) if there else None


def remove(workdir: Workdir, weights: Collection[Weights], reason: str) -> int:
    """Remove weights, leaving scores and a mark that says when and why; how many bytes came free."""
    for each in weights:
        if not each.earlier:  # first: what is half removed is not used
            removal.mark(workdir.run(each.run_id), reason, size=each.size)
        for path in map(Path, each.paths):
            removal.take_away(path)
    freed = sum(each.size for each in weights)
    if weights:
        Journal(workdir.journal).write(
            "weights_removed", runs=[each.run_id for each in weights], bytes=freed, reason=reason
        )
    return freed
