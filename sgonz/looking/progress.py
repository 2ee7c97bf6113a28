"""Where running runs stand, from the ends of their jobs' event files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from sgonz import events
from sgonz.events import EpochEnded, MemoryShort, Progress, RunReady
from sgonz.plan.state import RunRow
from sgonz.rundir import Workdir

TAIL = 16_384  # bytes of a file that is looked at for the first time; some eighty lines


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A run's newest words."""

    epoch: int = 0
    loss: float | None = None  # training loss since the last validation
    step: int | None = None
    steps: int | None = None  # planned
    per_second: float | None = None  # examples
    micro_batch: int | None = None
    patience_left: int | None = None
    rows: int | None = None  # of an epoch
    epoch_seconds: float | None = None  # of the last whole one, validation included

    @property
    def share(self) -> float | None:
        """Of the planned steps."""
        return self.step / self.steps if self.step is not None and self.steps else None

    def seconds_left(self, row: RunRow) -> float | None:
        """Until the last planned epoch: by the last whole epoch, else by the examples a second."""
        if self.share is None or not self.steps or self.step is None:
            return None
        if self.epoch_seconds is not None and row.epochs:
            return (1 - self.share) * row.epochs * self.epoch_seconds
        if self.per_second and row.batch_size:
            return (self.steps - self.step) * row.batch_size / self.per_second
        return None


@dataclass
class Listener:
    """Remembers how far files were heard, so that a look reads only what is new."""

    workdir: Workdir
    offsets: dict[Path, int] = field(default_factory=dict)
    standings: dict[str, Standing] = field(default_factory=dict)

    def hear(self, rows: Iterable[RunRow]) -> dict[str, Standing]:
        """The standings of these runs; of those that have said something."""
        wanted = list(rows)
        files: dict[str, dict[int, Path]] = {}
        for row in wanted:
            if row.tag is None or row.element is None:
                continue
            if row.tag not in files:
                files[row.tag] = _newest(self.workdir.job(row.tag) / "events")
            path = files[row.tag].get(row.element)
            if path is not None:
                self._read(path)
        return {row.run_id: self.standings[row.run_id] for row in wanted if row.run_id in self.standings}

    def _read(self, path: Path) -> None:
        there = events.size(path)
        start = self.offsets.get(path, max(0, there - TAIL))
        if there <= start:
            return
        try:
            for event, offset in events.read(path, start):
                start = offset
                if isinstance(event, Progress | EpochEnded | RunReady | MemoryShort):
                    known = self.standings.get(event.run_id, Standing())
                    self.standings[event.run_id] = _after(known, event)
        except FileNotFoundError:
            return
        self.offsets[path] = start


def _after(known: Standing, event: Progress | EpochEnded | RunReady | MemoryShort) -> Standing:
    match event:
        case Progress():
            return replace(known, epoch=event.epoch, loss=event.loss, step=event.step, steps=event.steps,
                           per_second=event.rows_per_second)  # fmt: skip
        case EpochEnded():
            loss = known.loss if event.train_loss is None else event.train_loss
            pace = known.rows / event.seconds if known.rows and event.seconds else None  # validation included
            return replace(known, epoch=event.epoch, loss=loss, step=event.step, patience_left=event.patience_left,
                           micro_batch=event.micro_batch or known.micro_batch, epoch_seconds=event.seconds,
                           per_second=known.per_second or pace)  # fmt: skip
        case RunReady():
            return Standing(
                epoch=event.epoch, steps=event.steps, micro_batch=event.micro_batch, rows=event.rows
            )
        case MemoryShort():
            return replace(known, micro_batch=event.micro_batch)


def _newest(folder: Path) -> dict[int, Path]:
    """Element -> the event file of its last start: `<element>.<start>.jsonl`."""
    found: dict[int, tuple[int, Path]] = {}
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except FileNotFoundError:
        return {}
    for name in names:
        if written := events.element_and_start(name):
            element, start = written
            found[element] = max(found.get(element, (start, folder / name)), (start, folder / name))
    return {element: path for element, (_, path) in found.items()}
