"""A sweep's GPU-hours: what was used, what is promised to jobs that are out, and what still fits."""

from __future__ import annotations

from collections.abc import Sequence

from sgonz.plan.orders import Orders
from sgonz.plan.runs import State
from sgonz.plan.snapshot import Budget, Snapshot
from sgonz.plan.spec import Sweep
from sgonz.plan.state import RunRow

WARN_AT = 0.8  # of the budget
UNSURE = 0.02  # of the budget: a prediction that moves by less takes nothing back that was just sent
OVER_BUDGET = "budget: "  # what the reason of a run begins with that does not fit


def is_budgeted(sweep: Sweep, orders: Orders) -> bool:
    """Whether somebody set a limit on a sweep's GPU-hours."""
    return sweep.budget is not None or orders.gpu_hours is not None


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
    running = sum(_left_of(snapshot, row) for row in snapshot.runs if row.state is State.RUNNING)
    sent = [row for row in snapshot.runs if row.state is State.SUBMITTED]
    planned = [row for row in snapshot.runs if not row.state.is_live and not row.state.is_final]
    return Budget(
        gpu_hours=limit,
        used=snapshot.used_gpu_hours,
        promised=running + sum(hours(snapshot, row) for row in sent),
        running=running,
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
        if left > 0 and needed <= left:  # a prediction may be nothing; what is used up is used up
            left -= needed
            kept.append(row)
        else:
            refused[row.run_id] = _too_much(budget, needed)
    return kept, refused


def outgrown(snapshot: Snapshot, budget: Budget | None) -> dict[str, str]:
    """Sent runs that have not begun and do not fit any more, as far as is known by now, and what to say of them."""
    if budget is None:
        return {}
    left, found = budget.gpu_hours - budget.used - budget.running, {}
    for row in snapshot.runs:
        if row.state is not State.SUBMITTED:
            continue
        needed = hours(snapshot, row)
        if left > 0 and needed <= left + UNSURE * budget.gpu_hours:
            left -= needed
        else:
            found[row.run_id] = _too_much(budget, needed)
    return found


def _left_of(snapshot: Snapshot, row: RunRow) -> float:
    """What a running run is still predicted to use; what it has used stands among the job's hours."""
    went = snapshot.now - snapshot.begun.get(row.run_id, snapshot.now)
    whole = hours(snapshot, row)
    return max(0.0, whole - went * max(1, snapshot.gpus(row)) / 3600)


def _too_much(budget: Budget, needed: float) -> str:
    return (
        f"{OVER_BUDGET}{budget.used:.3g} of {budget.gpu_hours:g} GPU-hours are used and {budget.promised:.3g} promised, "
        f"this needs about {needed:.2g}; `sgonz set gpu_hours=...` gives more"
    )
