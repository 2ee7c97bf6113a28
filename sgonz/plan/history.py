"""What runs have cost so far, by shape and device, and what the next run of a shape does with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from sgonz.plan.ladder import Climb
from sgonz.plan.runs import Kind, RunSpec

HISTORY_FORMAT = 1
NEWEST = 0.3  # weight of the newest run in the mean of seconds per step


class Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What decides how much memory a row takes and how long it lasts; batch size and learning rate do not."""

    kind: Kind
    model: str
    dataset: str
    max_length: int
    precision: str
    device: str  # as the driver names it, or cpu
    content: str  # digest of the model's and the data set's content, which names alone do not tell


class AtBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What runs of one shape took at one batch size."""

    batch_size: int
    rows: int  # at a time: the micro-batch
    seconds_per_step: float | None = None  # of steps alone
    seconds_per_epoch: float | None = None  # start and validations included
    peak_memory_mb: float | None = None  # of those that kept their activations


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What runs of one shape took."""

    shape: Shape
    runs: int = 0
    seconds_per_step: float | None = None  # of steps alone
    batch_size: int | None = None  # of the last run
    peak_memory_mb: float | None = None  # the most of all of them
    micro_batch: int | None = None  # that fitted after a larger one did not; None while whole batches do
    recompute: bool = False  # activations had to be recomputed
    host_memory_mb: float | None = None  # the most of all of them
    device_use: float | None = None  # percent of the time
    energy_joules: float | None = None  # of one run
    batches: tuple[AtBatch, ...] = ()  # by batch size


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt that has ended, as far as its cost goes."""

    device: str
    batch_size: int
    micro_batch: int | None = None
    recompute: bool = False
    seconds_per_step: float | None = None
    seconds_per_epoch: float | None = None
    peak_memory_mb: float | None = None
    host_memory_mb: float | None = None
    device_use: float | None = None
    energy_joules: float | None = None


class History(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of history.json."""

    version: int = HISTORY_FORMAT
    costs: tuple[Cost, ...] = ()
    climbs: tuple[Climb, ...] = ()


def shape_of(spec: RunSpec, device: str) -> Shape:
    """The shape of a run on a device."""
    model, dataset = spec.model, spec.dataset
    content = msgspec.json.encode(
        [model.fingerprint or [model.path, model.hub, model.revision], model.architecture, model.overrides,
         dataset.fingerprint or dataset.files, dataset.limit],
        order="sorted",
    )  # fmt: skip
    return Shape(
        kind=spec.kind, model=model.name, dataset=dataset.name, max_length=spec.settings.max_length,
        precision=spec.precision, device=device, content=hashlib.sha256(content).hexdigest()[:12],
    )  # fmt: skip


def noted(history: History, trials: Iterable[tuple[RunSpec, Trial]]) -> History:
    """The history with these attempts in it."""
    costs = {cost.shape: cost for cost in history.costs}
    for spec, trial in trials:
        shape = shape_of(spec, trial.device)
        costs[shape] = _with(costs.get(shape, Cost(shape=shape)), trial)
    return msgspec.structs.replace(history, costs=tuple(costs.values()))


def start(history: History, spec: RunSpec, device: str) -> tuple[int | None, bool]:
    """The micro-batch that a run starts with, None for its whole batch, and whether activations are recomputed."""
    shape = shape_of(spec, device)
    cost = next((cost for cost in history.costs if cost.shape == shape), None)
    if cost is None or (cost.micro_batch is None and not cost.recompute):
        return None, False
    smaller = cost.micro_batch is not None and cost.micro_batch < spec.settings.batch_size
    return cost.micro_batch if smaller else None, cost.recompute


def _with(cost: Cost, trial: Trial) -> Cost:
    split = trial.micro_batch is not None and trial.micro_batch < trial.batch_size
    if trial.recompute != cost.recompute:  # what fitted before says nothing of what fits now
        micro_batch = trial.micro_batch if split else None
    elif split:
        micro_batch = trial.micro_batch
    else:  # a whole batch fitted: what is known of larger ones stands
        fits = trial.micro_batch or 0
        micro_batch = None if cost.micro_batch is not None and fits > cost.micro_batch else cost.micro_batch
    return Cost(
        shape=cost.shape, runs=cost.runs + 1, batch_size=trial.batch_size, micro_batch=micro_batch,
        recompute=trial.recompute or cost.recompute, peak_memory_mb=_most(cost.peak_memory_mb, trial.peak_memory_mb),
        seconds_per_step=_blended(cost.seconds_per_step, trial.seconds_per_step), batches=_at_batches(cost, trial),
        host_memory_mb=_most(cost.host_memory_mb, trial.host_memory_mb),
        device_use=_blended(cost.device_use, trial.device_use),
        energy_joules=_blended(cost.energy_joules, trial.energy_joules),
    )  # fmt: skip


def _most(known: float | None, new: float | None) -> float | None:
    return max((each for each in (known, new) if each is not None), default=None)


def _at_batches(cost: Cost, trial: Trial) -> tuple[AtBatch, ...]:
    rows = min(trial.micro_batch or trial.batch_size, trial.batch_size)
    known = {each.batch_size: each for each in cost.batches}
    before = known.get(trial.batch_size, AtBatch(batch_size=trial.batch_size, rows=rows))
    peak = before.peak_memory_mb if before.rows == rows else None
    known[trial.batch_size] = AtBatch(
        batch_size=trial.batch_size, rows=rows,
        seconds_per_step=_blended(before.seconds_per_step, trial.seconds_per_step),
        seconds_per_epoch=_blended(before.seconds_per_epoch, trial.seconds_per_epoch),
        peak_memory_mb=peak if trial.recompute else _most(peak, trial.peak_memory_mb),
    )  # fmt: skip
    return tuple(known[size] for size in sorted(known))


def _blended(known: float | None, new: float | None) -> float | None:
    if known is None or new is None:
        return known if new is None else new
    return (1 - NEWEST) * known + NEWEST * new
