"""One attempt at one run, as every kind of run is handed it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from sgonz.events import Event, MemoryShort, RunEnded
from sgonz.plan.runs import Outcome, RunSpec
from sgonz.rundir import READ, RunDir, bytes_in
from sgonz.train.crew import Crew
from sgonz.train.seat import ALONE, Seat


class Stopped(Exception):
    """The worker was told to go; what has been done is kept."""


class NotYet(Exception):
    """Something that the run reads is made again first; the run itself is not to blame."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """Where a run lives, what it is, and how it speaks to the outside."""

    run: RunDir
    spec: RunSpec
    attempt: int
    emit: Callable[[Event], None]
    stop: Callable[[], bool]  # true once the worker has been told to go
    device: torch.device
    micro_batch: int | None = None  # what is known to fit the device; None to try the whole batch first
    recompute: bool = False  # activations do not fit either, and are known not to
    seat: Seat = ALONE
    crew: Crew = field(default_factory=Crew)  # who else does this run
    began: float = field(default_factory=time.monotonic)

    def go_on(self) -> None:
        """Raise Stopped once the worker has been told to go."""
        if self.crew.any(self.stop()):
            raise Stopped

    def read_smaller(self, micro_batch: int, step: int = 0) -> None:
        """Tell that memory ran out while rows were scored or answered, and that fewer are read at a time from here on."""
        self.emit(
            MemoryShort(time=time.time(), run_id=self.spec.run_id, attempt=self.attempt, step=step,
                        micro_batch=micro_batch, reading=True)
        )  # fmt: skip

    def ended(self, outcome: Outcome = Outcome.COMPLETED, **result: Any) -> RunEnded:
        """This attempt's end, timed, with the size of what it leaves."""
        folders = [self.run.output / name for name in READ] if outcome is Outcome.COMPLETED else []
        left = {folder.name: bytes_in(folder) for folder in folders if folder.is_dir()}
        return RunEnded(time=time.time(), run_id=self.spec.run_id, attempt=self.attempt, outcome=outcome,
                        seconds=time.monotonic() - self.began, left=left, **result)  # fmt: skip
