"""Put runs into jobs: by what is expensive to load, and by how long they should take."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from sgonz.plan.runs import Kind
from sgonz.plan.state import RunRow

# What opens gates for others goes first; fine-tuning fills what is left.
STAGE_ORDER: Mapping[Kind, int] = {
    Kind.LOGITS: 0, Kind.EVALUATE: 1, Kind.DISTILL: 2, Kind.BENCHMARK: 3, Kind.FINETUNE: 4, Kind.NOOP: 5,
}  # fmt: skip


def pack(
    ready: Sequence[RunRow],
    *,
    seconds: Callable[[RunRow], float],
    target_seconds: float,
    runs_per_job: int | None,
    jobs: int | None,
    resource: Callable[[RunRow], str] = lambda row: "",
    urgency: Callable[[RunRow], float] = lambda row: 0.0,
    alone: Collection[str] = (),
) -> list[tuple[str, ...]]:
    """Split ready runs into jobs of about `target_seconds`, at most `jobs` of them.

    `seconds`: for how long a run keeps its job busy. Runs of one data set and model stand together. With a
    number of jobs that can start now, the work is spread over all of them even where it is short. A run whose need stands in `ready` too comes behind it
    in the same job, or is left for a later turn. Runs of two resource classes never share a job, nor do
    runs of two urgencies; runs named in `alone` get jobs of their own.
    """
    shared: dict[tuple[str, str], int] = {}  # data set and model -> which of them came first
    for row in ready:
        shared.setdefault((row.dataset, row.model), len(shared))
    ordered = sorted(
        ready,
        key=lambda row: (-urgency(row), STAGE_ORDER[row.kind], resource(row), shared[row.dataset, row.model]),
    )
    total = sum(seconds(row) for row in ordered)
    target = min(target_seconds, total / jobs) if jobs else target_seconds
    waiting_for = {row.run_id for row in ordered}
    packed: list[tuple[str, ...]] = []
    current: dict[str, None] = {}  # in order
    filled = 0.0
    machine: tuple[object, ...] = ()
    for row in ordered:
        if any(need in waiting_for and need not in current for need in row.needs):
            continue
        cost = seconds(row)
        # Half of a run may stick out: rounding to the nearest keeps the jobs even.
        full = filled + cost / 2 > target or (runs_per_job is not None and len(current) >= runs_per_job)
        place = (resource(row), urgency(row), row.run_id if row.run_id in alone else None)
        if current and (full or place != machine):
            if any(need in current for need in row.needs):
                continue  # its turn comes when its need is done, on a slot of its own
            packed.append(tuple(current))
            current, filled = {}, 0.0
            if jobs is not None and len(packed) == jobs:
                return packed
        machine = place
        current[row.run_id] = None
        filled += cost
    if current:
        packed.append(tuple(current))
    return packed[:jobs]
