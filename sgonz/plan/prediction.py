"""What the next run of a shape will take, from what runs of the shape took: seconds, memory, rows at a time."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache

import msgspec
from msgspec import Struct

from sgonz.plan.estimate import START_SECONDS
from sgonz.plan.history import AtBatch, Cost, History, Shape, shape_of
from sgonz.plan.runs import Kind, RunSpec
from sgonz.plan.state import RunRow

ROOM = 2.0  # of the measured time: nodes differ, and are shared
LEAST_MINUTES = 15  # of a job, whatever was measured: libraries load from slow disks
FULL = 0.95  # of a device's memory that a prediction may fill
Recall = Callable[[RunSpec], "Measured | None"]


class Measured(Struct, frozen=True, kw_only=True):
    """What runs like one took, on the slowest of the devices that they ran on."""

    shape: Shape
    device: str
    runs: int
    seconds_per_epoch: float | None  # validation included
    seconds_per_step: float | None
    peak_memory_mb: float | None
    micro_batch: int | None  # None: whole batches fit


def recall(history: History) -> Recall:
    """What is known of runs, asked by what they are; a job may get any device that runs like it have seen."""
    known: dict[Shape, list[Cost]] = defaultdict(list)
    for cost in history.costs:
        known[msgspec.structs.replace(cost.shape, device="")].append(cost)

    def measured(spec: RunSpec) -> Measured | None:
        costs = known.get(shape_of(spec, ""), ())
        found = [_measured(cost, spec.settings.batch_size) for cost in costs if cost.batches]
        return max(found, key=lambda each: each.seconds_per_epoch or 0.0, default=None)

    return measured


def epoch_seconds(history: History, examples: Sequence[RunSpec]) -> Callable[[RunRow], float | None]:
    """Seconds of one epoch of runs like these examples, asked of any run of their kind, model and data set."""
    measured = recall(history)
    known = {(spec.kind, spec.model.name, spec.dataset.name): spec for spec in examples}

    @cache
    def at_batch(kind: Kind, model: str, dataset: str, batch_size: int | None) -> float | None:
        spec = known.get((kind, model, dataset))
        if spec is None:
            return None
        settings = msgspec.structs.replace(spec.settings, batch_size=batch_size or spec.settings.batch_size)
        found = measured(msgspec.structs.replace(spec, settings=settings))
        return found.seconds_per_epoch if found else None

    return lambda row: at_batch(row.kind, row.model, row.dataset, row.batch_size)


def _measured(cost: Cost, batch_size: int) -> Measured:
    """Epochs read the same rows whatever the batch; memory grows with it."""
    nearest = min(cost.batches, key=lambda each: abs(math.log(each.batch_size / batch_size)))
    per_step = nearest.seconds_per_step
    split = cost.micro_batch if cost.micro_batch is not None and cost.micro_batch < batch_size else None
    return Measured(
        shape=cost.shape, device=cost.shape.device, runs=cost.runs, seconds_per_epoch=nearest.seconds_per_epoch,
        seconds_per_step=None if per_step is None else per_step * batch_size / nearest.batch_size,
        peak_memory_mb=memory_at(cost.batches, split or batch_size), micro_batch=split,
    )  # fmt: skip


def memory_at(batches: Sequence[AtBatch], rows: int) -> float | None:
    """Memory with so many rows at a time: what was measured, or the line through what was; None from one point."""
    peaks: dict[int, float] = {}
    for each in batches:
        if each.peak_memory_mb is not None:
            peaks[each.rows] = max(each.peak_memory_mb, peaks.get(each.rows, 0.0))
    if rows in peaks:
        return peaks[rows]
    if len(peaks) < 2:
        return None
    least, most = min(peaks), max(peaks)
    slope = max(0.0, (peaks[most] - peaks[least]) / (most - least))
    return peaks[most] + slope * (rows - most)


def micro_batch_within(history: History, spec: RunSpec, device: str, memory_mb: float) -> int | None:
    """The largest halving of the batch that is predicted to fit; None where the whole is, or nobody knows."""
    shape = shape_of(spec, device)
    cost = next((cost for cost in history.costs if cost.shape == shape), None)
    if cost is None:
        return None
    rows = spec.settings.batch_size
    while rows > 1 and (memory_at(cost.batches, rows) or 0.0) > FULL * memory_mb:
        rows = -(-rows // 2)
    return rows if rows < spec.settings.batch_size else None


def minutes_for(history: History, jobs: Sequence[Sequence[RunSpec]]) -> int | None:
    """A time limit for jobs of these runs, one after the other; None where one of them was never measured."""
    measured = recall(history)
    known: dict[tuple[object, ...], float | None] = {}

    def seconds(spec: RunSpec) -> float | None:
        settings = spec.settings
        like = (spec.kind, spec.model.name, spec.dataset.name, spec.precision, settings.max_length, settings.batch_size)  # fmt: skip
        if like not in known:
            found = measured(spec)
            known[like] = found.seconds_per_epoch if found else None
        epoch = known[like]
        return None if epoch is None else START_SECONDS + epoch * settings.epochs

    longest = 0.0
    for job in jobs if history.costs else ():
        lasting = [seconds(spec) for spec in job]
        if None in lasting:
            return None
        longest = max(longest, sum(each for each in lasting if each is not None))
    return max(LEAST_MINUTES, math.ceil(longest * ROOM / 60)) if longest else None
