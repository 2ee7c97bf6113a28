"""Read the data files of a sweep before anything is queued, once for each content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from sgonz import catalog
from sgonz.plan.expand import Sources
from sgonz.plan.runs import Dataset
from sgonz.rundir import Workdir, write_atomic

CHECK_VERSION = 2  # raised when checks find more than before


class Checked(msgspec.Struct, frozen=True):
    """What reading a data set's files told."""

    labels: tuple[str, ...]
    counts: dict[str, int]
    warnings: tuple[str, ...]


def check_datasets(sources: Sources, workdir: Workdir, say: Callable[[str], None]) -> dict[str, Checked]:
    """Read every local data set that was not read before.

    Raises DataError for a broken line or a label that training never had: file, line, what was expected.
    """
    return {
        name: _check(dataset, workdir, say) for name, dataset in sources.datasets.items() if dataset.files
    }


def _check(dataset: Dataset, workdir: Workdir, say: Callable[[str], None]) -> Checked:
    key = hashlib.sha256(msgspec.json.encode((CHECK_VERSION, dataset), order="sorted")).hexdigest()[:32]
    memory = workdir.cache / "checked" / f"{key}.json"
    if memory.exists():
        return msgspec.json.decode(memory.read_bytes(), type=Checked)
    from sgonz.train import readers  # stdlib only: reading files needs no torch

    say(f"reading {dataset.name}")
    found = readers.check(dataset, {}, published=_sizes(dataset, workdir))
    checked = Checked(labels=tuple(found.labels), counts=dict(found.counts), warnings=tuple(found.warnings))
    for warning in checked.warnings:
        say(warning)
    write_atomic(memory, msgspec.json.encode(checked))
    return checked


def _sizes(dataset: Dataset, workdir: Workdir) -> dict[str, list[int]] | None:
    """The published sizes of each split, where the files are meant to be the published ones."""
    published = catalog.datasets().get(dataset.catalog or "")
    made_here = any(Path(file).is_relative_to(workdir.root / "sample") for file in dataset.files.values())
    if published is None or dataset.limit or made_here:
        return None
    return {split: [size, *published.also.get(split, [])] for split, size in published.sizes.items()}
