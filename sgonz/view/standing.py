"""Where a running run stands, from the end of its job's event file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sgonz import events
from sgonz.events import EpochEnded, Progress
from sgonz.plan.state import RunRow
from sgonz.rundir import Workdir

TAIL = 4096  # bytes; some twenty lines, and a few of every run where several share a job


@dataclass(frozen=True, kw_only=True)
class Standing:
    epoch: int
    loss: float | None  # training loss since the last validation
    share: float | None = None  # of the planned steps


def standing(workdir: Workdir, row: RunRow) -> Standing | None:
    """The run's newest progress; None where it has said nothing lately."""
    path = _newest(workdir, row)
    if path is None:
        return None
    found: Standing | None = None
    try:
        for event, _ in events.read(path, max(0, events.size(path) - TAIL)):
            if isinstance(event, Progress | EpochEnded) and event.run_id == row.run_id:
                found = _standing(event)
    except FileNotFoundError:
        return None
    return found


def _standing(event: Progress | EpochEnded) -> Standing:
    if isinstance(event, EpochEnded):
        return Standing(epoch=event.epoch, loss=event.train_loss)
    return Standing(
        epoch=event.epoch, loss=event.loss, share=event.step / event.steps if event.steps else None
    )


def _newest(workdir: Workdir, row: RunRow) -> Path | None:
    """The event file of the job's last start: `<element>.<start>.jsonl`."""
    if row.tag is None or row.element is None:
        return None
    files = (workdir.job(row.tag) / "events").glob(f"{row.element}.*.jsonl")
    return max(files, key=lambda path: int(path.name.split(".")[1]), default=None)
