"""How long a run will take: from what like it took, or from the size of model and data until then."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from statistics import fmean

from msgspec import Struct

from sgonz.plan.runs import Kind, State
from sgonz.plan.state import RunRow

START_SECONDS = 1.5  # loading a model and mapping its data in a warm worker
EARLY_STOP_SHARE = 0.5  # of the planned epochs; half of the published distillations stopped before that
TRAINING_PASSES = 3.0  # forward, and twice as much backward
Seconds = Callable[[RunRow], float]


class Workload(Struct, frozen=True, kw_only=True):
    """What decides a run's cost before anything like it has run."""

    tokens: float  # in the training split, padding left out
    macs: float  # of one token, forward


def first_guess(workloads: Mapping[tuple[str, str], Workload], macs_per_second: float) -> Seconds:
    """Seconds by model size and amount of text; `workloads` by (data set, model)."""

    def seconds(row: RunRow) -> float:
        load = workloads.get((row.dataset, row.model))
        if load is None or row.kind is Kind.NOOP:
            return START_SECONDS
        epoch = load.tokens * load.macs / macs_per_second
        if row.kind in (Kind.LOGITS, Kind.EVALUATE):
            return START_SECONDS + epoch
        return START_SECONDS + epoch * TRAINING_PASSES * _epochs(row)

    return seconds


def unknown(row: RunRow) -> None:
    """Nothing has been measured."""


def predictor(
    rows: Sequence[RunRow], guess: Seconds, epoch: Callable[[RunRow], float | None] = unknown
) -> Seconds:
    """Seconds by what was measured per epoch, else by what completed runs of the same kind, data set and model took.

    Where only other models or data sets of the kind have run, the guess is scaled by how wrong it was there.
    `epoch`: seconds of one epoch of a run like this, in any sweep, where they are known.
    """
    measured: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    wrong: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row.state is State.COMPLETED and row.seconds:
            measured[(row.kind, row.dataset, row.model)].append(row.seconds / _epochs(row))
            wrong[row.kind].append(row.seconds / max(guess(row), 1e-6))
        elif (took := epoch(row)) is not None:
            wrong[row.kind].append(took * _epochs(row) / max(guess(row), 1e-6))
    per_epoch = {like: fmean(took) for like, took in measured.items()}
    factors = {kind: fmean(each) for kind, each in wrong.items()}

    def seconds(row: RunRow) -> float:
        like = epoch(row)
        if like is None:
            like = per_epoch.get((row.kind, row.dataset, row.model))
        return like * _epochs(row) if like is not None else guess(row) * factors.get(row.kind, 1.0)

    return seconds


def done_at(seconds: Iterable[float], at_once: int, ends: Collection[float] = (0.0,)) -> float:
    """When a job has done runs of these seconds, in order and so many at the same time, after those that end at `ends`."""
    begun = sorted(ends)
    places = [begun[0]] * (at_once - len(begun)) + begun
    for each in seconds:
        heapq.heapreplace(places, places[0] + each)
    return max(places)


def _epochs(row: RunRow) -> float:
    if row.kind not in (Kind.FINETUNE, Kind.DISTILL):
        return 1.0
    if row.epochs_done:
        return float(row.epochs_done)
    share = EARLY_STOP_SHARE if row.kind is Kind.DISTILL else 1.0
    return max(1.0, (row.epochs or 1) * share)
