"""What the loop tells while it runs: a line every few seconds, and one for each validation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch

from sgonz.events import EpochEnded, Event, MemoryShort, Progress
from sgonz.train.checkpoint import Position
from sgonz.train.evaluation import Evaluation
from sgonz.train.sampling import Sampler

PROGRESS_EVERY = 2.0  # seconds; event files lie on shared disks
CHECKPOINT_EVERY = 900.0  # seconds; the most that a killed worker loses of a long epoch


class Reporter:
    """Keeps the clocks of one run."""

    def __init__(
        self, emit: Callable[[Event], None], run_id: str, attempt: int, *, epochs: int, per_epoch: int
    ) -> None:
        self.emit, self.run_id, self.attempt = emit, run_id, attempt
        self.per_epoch, self.steps = per_epoch, epochs * per_epoch
        self.said = self.saved = self.validated = time.monotonic()
        self.rows = 0
        self.sampler = Sampler()
        self.stepping, self.stepped = 0.0, 0  # seconds in steps, and how many

    def checkpoint_due(self) -> bool:
        """Whether so much work has been done since the last checkpoint that it should not be lost."""
        return time.monotonic() - self.saved > CHECKPOINT_EVERY

    def checkpointed(self) -> None:
        self.saved = time.monotonic()

    def steps_done(self, at: Position) -> int:
        return at.epoch * self.per_epoch + at.step

    @property
    def seconds_per_step(self) -> float | None:
        """The mean of this attempt; None where it made no step."""
        return self.stepping / self.stepped if self.stepped else None

    def step(self, at: Position, rows: int, began: float) -> None:
        """One step was made. The loss is asked for only when a line is due, as that waits for the device.

        That is counted with the step: until then a GPU may be behind with what it was given.
        """
        self.rows += rows
        if time.monotonic() - self.said >= PROGRESS_EVERY:
            self._say(at)
        self.stepping, self.stepped = self.stepping + time.monotonic() - began, self.stepped + 1

    def _say(self, at: Position) -> None:
        self.sampler.look()
        loss = mean_loss(at)
        now = time.monotonic()
        if loss is not None:
            self.emit(
                Progress(time=time.time(), run_id=self.run_id, epoch=at.epoch + 1, step=self.steps_done(at),
                         steps=self.steps, loss=loss, rows_per_second=self.rows / (now - self.said))
            )  # fmt: skip
        self.said, self.rows = now, 0

    def shrunk(self, at: Position) -> None:
        """Memory ran out, and the step was made in smaller parts."""
        self.emit(
            MemoryShort(time=time.time(), run_id=self.run_id, attempt=self.attempt, step=self.steps_done(at),
                        micro_batch=at.micro_batch, recompute=at.recompute)
        )  # fmt: skip

    def validation(
        self,
        at: Position,
        found: Evaluation,
        *,
        learning_rate: float,
        improved: bool,
        patience_left: int | None,
    ) -> None:
        """The model was scored after the steps done so far."""
        now = time.monotonic()
        self.emit(
            EpochEnded(
                time=time.time(), run_id=self.run_id, attempt=self.attempt,
                epoch=-(-self.steps_done(at) // self.per_epoch), step=self.steps_done(at),
                train_loss=mean_loss(at), validation_loss=found.loss if math.isfinite(found.loss) else None,
                validation=found.scores, learning_rate=learning_rate, seconds=now - self.validated,
                improved=improved, patience_left=patience_left, micro_batch=at.micro_batch,
                **self.sampler.summary()._asdict(),
            )
        )  # fmt: skip
        self.validated = self.said = time.monotonic()
        self.rows = 0


def mean_loss(at: Position) -> float | None:
    """Of the steps since the last validation; None where there is none or it is not finite."""
    mean = at.loss_sum.item() / at.loss_steps if at.loss_steps else math.nan
    return mean if math.isfinite(mean) else None


def device_name() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
