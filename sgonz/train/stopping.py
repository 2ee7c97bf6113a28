"""Early stopping: which epoch is the best so far, and whether waiting for a better one is over."""

from __future__ import annotations

import math
from typing import Any, Self, get_args

from sgonz.errors import SpecError
from sgonz.plan.protocol import Protocol


class EarlyStopping:
    """Counts epochs without improvement.

    An epoch improves only if it is strictly better than the best before it; NaN and infinities never are.
    `sound` stops on bad epoch number `patience`, `paper` on the one after it; patience None never stops.
    """

    def __init__(
        self, patience: int | None, protocol: Protocol = "sound", *, higher_is_better: bool = False
    ) -> None:
        if patience is not None and patience < 1:
            raise SpecError(
                f"patience is {patience}; it must be at least 1", hint="Leave it out to train every epoch."
            )
        if protocol not in get_args(Protocol):
            raise SpecError(f"protocol is {protocol!r}; it must be one of {', '.join(get_args(Protocol))}")
        self.patience = patience
        self.protocol = protocol
        self.higher_is_better = higher_is_better
        self.epoch = 0  # epochs seen
        self.best: float | None = None
        self.best_epoch: int | None = None  # from 1
        self.bad_epochs = 0  # in a row, up to the last one
        self.improved = False  # whether the last epoch was the best so far

    def update(self, validation_loss: float) -> bool:
        """Take in the next epoch's value; true means stop after this epoch."""
        value = float(validation_loss)  # a number of numpy or torch would not be a plain JSON value
        self.epoch += 1
        self.improved = self._is_better(value)
        if self.improved:
            self.best, self.best_epoch, self.bad_epochs = value, self.epoch, 0
        else:
            self.bad_epochs += 1
        return self.patience_left == 0

    @property
    def patience_left(self) -> int | None:
        """How many more bad epochs in a row end training; None where nothing does."""
        if self.patience is None:
            return None
        allowed = self.patience + 1 if self.protocol == "paper" else self.patience
        return max(allowed - self.bad_epochs, 0)

    def state(self) -> dict[str, Any]:
        """All of it as plain JSON values, for a checkpoint."""
        return dict(vars(self))

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Go on exactly where `state` was taken."""
        stopping = cls(state["patience"], state["protocol"], higher_is_better=state["higher_is_better"])
        vars(stopping).update(state)
        return stopping

    def _is_better(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        if self.best is None:
            return True
        return value > self.best if self.higher_is_better else value < self.best
