"""What a plan comes to before anything is sent: hours by kind, jobs, and when it may be done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from sgonz.cluster.profile import Profile
from sgonz.plan.estimate import first_guess
from sgonz.plan.expand import distill_runs, logits_run
from sgonz.plan.packing import pack
from sgonz.plan.runs import Kind, RunSpec
from sgonz.plan.state import RunRow
from sgonz.planned import Planned
from sgonz.workloads import workloads_of

A100_MACS_PER_SECOND = 4e13  # what fine-tuning in bf16 sustains on one A100: about a quarter of its peak


def foreseen(planned: Planned, profile: Profile | None) -> dict[str, Any]:
    """`profile`: of the cluster that was named; without one, hours are those of an A100 and no jobs are made."""
    macs = profile.macs_per_second if profile else A100_MACS_PER_SECOND
    guess = first_guess(workloads_of(planned.sweep, planned.resolution.sources), macs)
    by_kind: dict[str, float] = defaultdict(float)
    rows = [_as_row(run) for run in [*planned.runs, *later(planned)]]
    for row in rows:
        by_kind[row.kind] += guess(row) / 3600
    answer: dict[str, Any] = {
        "predicted_hours_by_kind": {kind: round(hours, 2) for kind, hours in by_kind.items()}
    }
    if profile is not None:
        answer["jobs"] = _jobs(rows, guess, profile)
    return answer


def later(planned: Planned) -> list[RunSpec]:
    """What follows when teachers are known, with any model in their place: students are trained for as long."""
    teachers = {run.dataset.name: run for run in planned.runs if run.kind is Kind.FINETUNE}
    found: list[RunSpec] = []
    for teacher in teachers.values() if planned.sweep.distill else ():
        logits = logits_run(planned.sweep, teacher)
        found += [logits, *distill_runs(planned.sweep, planned.resolution.sources, logits)]
    return found


def _jobs(rows: Sequence[RunRow], guess: Callable[[RunRow], float], profile: Profile) -> dict[str, Any]:
    """How runs would be packed, stage by stage, and how long that takes at best and one job after the other."""
    at_once = profile.slots if profile.scheduler == "local" else None
    sizes: list[int] = []
    longest = total = 0.0
    for stage in (Kind.FINETUNE, Kind.LOGITS, Kind.DISTILL):
        own = {row.run_id: row for row in rows if row.kind is stage}
        if not own:
            continue
        packed = pack(
            list(own.values()), seconds=guess, target_seconds=profile.target_minutes * 60,
            runs_per_job=profile.runs_per_job, jobs=None, resource=lambda row: profile.resource_for(row.model)[0],
        )  # fmt: skip
        lengths = [sum(guess(own[run_id]) for run_id in job) for job in packed]
        sizes += map(len, packed)
        total += sum(lengths)
        longest += max([*lengths, *([sum(lengths) / at_once] if at_once else [])])
    return {
        "cluster": profile.name, "jobs": len(sizes), "runs_per_job": [min(sizes, default=0), max(sizes, default=0)],
        "target_minutes": profile.target_minutes, "slots": at_once,
        "hours_at_best": round(longest / 3600, 2), "hours_one_by_one": round(total / 3600, 2),
    }  # fmt: skip


def _as_row(run: RunSpec) -> RunRow:
    return RunRow(
        run_id=run.run_id,
        kind=run.kind,
        dataset=run.dataset.name,
        model=run.model.name,
        epochs=run.settings.epochs,
    )
