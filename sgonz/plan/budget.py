"""A sweep's GPU-hours: what was used, what is promised to jobs that are out, and what still fits."""

from __future__ import annotations

from collections.abc import Sequence

from sgonz.plan.snapshot import Budget, Snapshot
from sgonz.plan.state import RunRow

WARN_AT = 0.8  # of the budget
OVER_BUDGET = "budget: "  # what the reason of a run begins with that does not fit


def warning(budget: Budget | None) -> str | None:
    """What to say of a budget that is nearly used up."""
    if budget is None or budget.used + budget.promised < WARN_AT * budget.gpu_hours:
        return None
    share = 100 * (budget.used + budget.promised) / budget.gpu_hours
    return f"budget: {share:.0f} % of {budget.gpu_hours:g} GPU-hours are used or promised"


def hours(snapshot: Snapshot, row: RunRow) -> float:
    """What a run is predicted to use."""
    return snapshot.seconds(row) * max(1, snapshot.gpus(row)) / 3600


def budget_of(snapshot: Snapshot) -> Budget | None:
    """None where neither the sweep nor a person set one."""
    limit = snapshot.orders.gpu_hours
    if limit is None and snapshot.sweep.budget is not None:
        limit = snapshot.sweep.budget.gpu_hours
    if limit is None:
        return None
    live = [row for row in snapshot.runs if row.state.is_live]
    planned = [row for row in snapshot.runs if not row.state.is_live and not row.state.is_final]
    return Budget(
        gpu_hours=limit,
        used=snapshot.used_gpu_hours,
        promised=sum(hours(snapshot, row) for row in live),
        wanted=sum(hours(snapshot, row) for row in planned),
    )


def affordable(
    snapshot: Snapshot, budget: Budget | None, ready: Sequence[RunRow]
) -> tuple[list[RunRow], dict[str, str]]:
    """The runs that fit into what is left, the first ones first, and why the others wait."""
    if budget is None:
        return list(ready), {}
    left, kept, refused = budget.left, [], {}
    for row in ready:
        needed = hours(snapshot, row)
        if needed <= left:
            left -= needed
            kept.append(row)
        else:
            refused[row.run_id] = _too_much(budget, needed)
    return kept, refused


def _too_much(budget: Budget, needed: float) -> str:
    return (
        f"{OVER_BUDGET}{budget.used:.3g} of {budget.gpu_hours:g} GPU-hours are used and {budget.promised:.3g} promised, "
        f"this needs about {needed:.2g}; `sgonz set gpu_hours=...` gives more"
    )
