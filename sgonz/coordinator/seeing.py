"""Between observing and acting: everything that a decision may depend on, gathered as plain values."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from functools import cache, partial

from sgonz.cluster.base import NoAnswer
from sgonz.cluster.profile import Profile, Resource
from sgonz.coordinator import climbing
from sgonz.coordinator.coordinator import Coordinator
from sgonz.coordinator.sending import waits
from sgonz.plan.budget import is_budgeted
from sgonz.plan.estimate import first_guess, predictor
from sgonz.plan.history import History
from sgonz.plan.ladder import Place
from sgonz.plan.orders import Orders
from sgonz.plan.prediction import epoch_seconds
from sgonz.plan.runs import Kind, State
from sgonz.plan.snapshot import Snapshot
from sgonz.plan.state import JobRow, RunRow
from sgonz.workdir import costs

SILENT = "the cluster does not answer"
GPUS = re.compile(r"(?:^|,)(?:gres[:/])?gpu(?::[^:,]+)??(?::(\d+))?(?=,|$)")


Places = Callable[[Kind, str, str], Place | None]  # by kind, model and data set


def snapshot(at: Coordinator, rows: Sequence[RunRow]) -> Snapshot:
    """What is known of a sweep now."""
    live, history, orders = at.store.live_jobs(), costs.read(at.workdir), at.store.orders(at.sweep_id)
    place = cache(partial(climbing.place_of, history, at.profile))  # asked of every run, the same for most
    gpus = _gpus(at.profile, place)
    free, full = room(at, live)
    return Snapshot(
        now=time.time(),
        sweep=at.sweep,
        runs=rows,
        metrics={name: dataset.metric for name, dataset in at.sources.datasets.items()},
        free_jobs=free,
        full=full,
        in_jobs=frozenset(run_id for job in live for run_id in job.run_ids),
        target_seconds=at.profile.target_minutes * 60,
        runs_per_job=at.profile.runs_per_job,
        resource=lambda row: str(place(row.kind, row.model, row.dataset)),
        climbed=lambda row: climbing.climbed_since(history, at.profile, row),
        seconds=_busy(at, place, rows, history),
        macs={model: load.macs for (_, model), load in at.workloads.items()},
        orders=orders,
        busy=[job for job in live if job.sweep_id == at.sweep_id and not job.ended and not waits(at, job)],
        gpus=gpus,
        tasks={name: dataset.task for name, dataset in at.sources.datasets.items()},
        untested=frozenset(name for name, dataset in at.sources.datasets.items() if not dataset.is_tested),
        stepped=_stepped(at, rows),
        nodes=at.store.node_records(time.time() - at.sweep.retry.node_hours * 3600),
        used_gpu_hours=_used(at, orders, rows, gpus),
        begun=_begun(at, orders, rows),
    )


def room(at: Coordinator, live: Sequence[JobRow]) -> tuple[int | None, str]:
    """How many more jobs the cluster takes, None for any number, and why there are no more."""
    try:
        free = at.cluster.free_slots([job for job in live if not waits(at, job)])
    except NoAnswer:
        return 0, SILENT
    return free, "held by quota" if at.profile.scheduler == "slurm" else "no free slot"


def gpus_of(asked: Resource) -> int:
    """How many GPUs a job of a resource class has: gpu, gpu:2, gpu:a100:2, on each of its nodes."""
    return asked.nodes * sum(int(found[1] or 1) for found in GPUS.finditer(asked.gres or ""))


def _gpus(profile: Profile, place: Places) -> Callable[[RunRow], int]:
    asked = {name: gpus_of(resource) for name, resource in profile.resources.items()}

    def gpus(row: RunRow) -> int:
        found = place(row.kind, row.model, row.dataset)
        return asked.get(found.resource, 0) if found else 0

    return gpus


def _busy(
    at: Coordinator, place: Places, rows: Sequence[RunRow], history: History
) -> Callable[[RunRow], float]:
    """For how long runs keep their jobs busy; those that go on side by side share the time."""
    known = {(cost.shape.kind, cost.shape.model, cost.shape.dataset) for cost in history.costs}
    examples: dict[tuple[Kind, str, str], str] = {}  # one run of each is enough: they differ in nothing else
    for row in rows:
        if (like := (row.kind, row.model, row.dataset)) in known:
            examples.setdefault(like, row.run_id)
    measured = epoch_seconds(history, at.store.specs(examples.values()))
    alone = predictor(rows, first_guess(at.workloads, at.profile.speed), measured)

    def seconds(row: RunRow) -> float:
        found = place(row.kind, row.model, row.dataset)
        return alone(row) / at.profile.runs_at_once(found.resource if found else None)

    return seconds


def _stepped(at: Coordinator, rows: Sequence[RunRow]) -> frozenset[str]:
    """Running runs that have said something after they were ready: a step, or a validation."""
    if not at.sweep.canary.first or not any(row.state is State.PENDING for row in rows):
        return frozenset()
    running = [row.run_id for row in rows if row.state is State.RUNNING and row.kind is not Kind.NOOP]
    return frozenset(
        tried.run_id
        for tried in (at.store.attempts(running) if running else ())
        if tried.outcome is None and tried.ready is not None and tried.seen > tried.ready
    )


def _begun(at: Coordinator, orders: Orders, rows: Sequence[RunRow]) -> dict[str, float]:
    """When the attempts began that run now."""
    running = [row.run_id for row in rows if row.state is State.RUNNING]
    if not running or not is_budgeted(at.sweep, orders):
        return {}
    return {tried.run_id: tried.started for tried in at.store.attempts(running) if tried.outcome is None}


def _used(at: Coordinator, orders: Orders, rows: Sequence[RunRow], gpus: Callable[[RunRow], int]) -> float:
    """GPU-hours of the sweep's own jobs up to now, asked only where somebody set a limit."""
    if not is_budgeted(at.sweep, orders):
        return 0.0
    by_id = {row.run_id: row for row in rows}
    seconds = 0.0
    for job in at.store.use(at.sweep_id, time.time()):
        first = by_id.get(job.run_ids[0]) if job.run_ids else None
        counted = job.gpus if job.gpus is not None else gpus(first) if first else 1
        seconds += job.seconds * max(1, counted)
    return seconds / 3600
