"""How much work is left, and when it may be done: from groups of runs, so that nobody has to read them all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from sgonz.plan.estimate import EARLY_STOP_SHARE
from sgonz.plan.runs import Kind

Guess = Callable[
    [Kind, str, str, float], float
]  # kind, data set, model, planned epochs -> seconds of one run

Pace = Callable[[Kind, str, str], float | None]  # kind, data set, model -> seconds of one epoch, where known


class Group(Protocol):
    """Runs of one kind, data set and model: done ones with what they took, or open ones."""

    @property
    def kind(self) -> Kind: ...
    @property
    def dataset(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def open(self) -> bool: ...
    @property
    def measured(self) -> bool: ...
    @property
    def runs(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def epochs(self) -> int: ...
    @property
    def epochs_done(self) -> int: ...


def unknown(kind: Kind, dataset: str, model: str) -> None:
    """Nothing has been measured elsewhere."""


def seconds_left(
    groups: Sequence[Group], guess: Guess, pace: Pace = unknown
) -> dict[tuple[Kind, str, str], float]:
    """Work that is left by kind, data set and model, one run after the other.

    By what such runs took per epoch, in any sweep (`pace`) or in this one; where none has ended, the guess, scaled by
    how wrong it was for the kind.
    """
    paces: dict[tuple[Kind, str, str], float] = {}
    took: dict[Kind, float] = defaultdict(float)
    guessed: dict[Kind, float] = defaultdict(float)
    for group in groups:
        if (known := pace(group.kind, group.dataset, group.model)) is not None:
            paces[group.kind, group.dataset, group.model] = known
        if not group.measured:
            continue
        key = (group.kind, group.dataset, group.model)
        done = max(1, group.epochs_done) if _trains(group.kind) else group.runs
        paces.setdefault(key, group.seconds / done)
        took[group.kind] += group.seconds
        guessed[group.kind] += guess(*key, done / group.runs) * group.runs
    left: dict[tuple[Kind, str, str], float] = {}
    for group in groups:
        if not group.open:
            continue
        key = (group.kind, group.dataset, group.model)
        share = EARLY_STOP_SHARE if group.kind is Kind.DISTILL else 1.0
        epochs = group.epochs * share if _trains(group.kind) else float(group.runs)
        if key in paces:
            left[key] = paces[key] * epochs
        else:
            wrong = took[group.kind] / guessed[group.kind] if guessed[group.kind] else 1.0
            left[key] = guess(*key, epochs / group.runs) * group.runs * wrong
    return left


def finishes(
    left: Mapping[tuple[Kind, str], float], *, at_once: int, now: float
) -> dict[tuple[Kind, str], float]:
    """When each part may be done: runs are sent in order, so many at a time."""
    done, found = 0.0, {}
    for key, seconds in left.items():
        done += seconds
        found[key] = now + done / max(1, at_once)
    return found


def _trains(kind: Kind) -> bool:
    return kind in (Kind.FINETUNE, Kind.DISTILL)
