"""What to do next: a pure function from what is known to a list of actions, each with its reason.

The coordinator carries the actions out on a cluster, on this machine or in a simulation; it adds nothing of
its own. Deciding twice on the same snapshot gives the same actions, and carrying out an action makes the
next decision not ask for it again. The rules stand in the modules named here, one subject each.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from sgonz.plan.actions import (
    Action,
    Cancel,
    Evaluate,
    Fail,
    OpenGate,
    Revive,
    Select,
    Skip,
    Submit,
    ended_by,
)
from sgonz.plan.budget import OVER_BUDGET, affordable, budget_of, outgrown
from sgonz.plan.canary import Hold, canaries
from sgonz.plan.caps import free_jobs, within_gpus
from sgonz.plan.holds import find_holds, taken_back
from sgonz.plan.nodes import excluded
from sgonz.plan.orders import priorities
from sgonz.plan.packing import pack
from sgonz.plan.readiness import find_ready
from sgonz.plan.runs import COMPLETED, PENDING
from sgonz.plan.selection import collapsed_runs
from sgonz.plan.settling import SUPERSEDED, settle
from sgonz.plan.snapshot import Budget, Decision, Snapshot
from sgonz.plan.state import RunRow
from sgonz.plan.teaching import chooser, evaluations, finished_grids, gates, superseded_runs, winners

__all__ = ["SUPERSEDED", "Action", "Cancel", "Decision", "Evaluate", "Fail", "OpenGate", "Revive", "Select", "Skip",
           "Snapshot", "Submit", "decide"]  # fmt: skip


def decide(snapshot: Snapshot) -> Decision:
    """One turn's actions. Gates and evaluations are opened before jobs are filled."""
    sweep = snapshot.sweep
    by_id = {row.run_id: row for row in snapshot.runs}
    collapsed_ids = collapsed_runs(snapshot.runs, snapshot.metrics)
    actions: list[Action] = []
    waiting: dict[str, str] = {}

    grids = finished_grids(sweep, snapshot.runs)
    teachers_by = chooser(snapshot, grids, collapsed_ids)
    teachers = teachers_by(sweep.criterion)
    superseded = superseded_runs(snapshot.runs, teachers)
    actions += settle(snapshot, by_id, superseded)
    actions += gates(sweep, snapshot.runs, teachers)
    selected = winners(snapshot, superseded, collapsed_ids)
    if selected != {row.run_id for row in snapshot.runs if row.selected} or superseded != {
        row.run_id for row in snapshot.runs if row.superseded
    }:
        actions.append(Select(selected=frozenset(selected), superseded=frozenset(superseded)))
    actions += evaluations(snapshot, selected)

    settled = {run_id for action in actions for run_id in ended_by(action)}
    held = find_holds(snapshot)
    ready = find_ready(snapshot, by_id, settled, held, waiting)
    jobs, refused, budget = _fill(snapshot, ready, held)
    if jobs:
        actions.append(Submit(jobs=tuple(jobs)))
    sent = {run_id for job in jobs for run_id in job}
    waiting |= {run_id: why for run_id, why in refused.items() if run_id not in sent}
    finished = not actions and all(row.state.is_final for row in snapshot.runs)
    person = {run_id: hold.reason for run_id, hold in held.items() if hold.for_person and run_id in waiting}
    person |= {run_id: why for run_id, why in refused.items() if why.startswith(OVER_BUDGET)}
    too_much = outgrown(snapshot, budget)
    person |= too_much
    metrics = snapshot.metrics
    return Decision(
        actions=tuple(actions), waiting=waiting, teachers=teachers, finished=finished,
        taken_back=taken_back(snapshot, held, too_much), for_person=person, budget=budget, over_budget=frozenset(too_much),
        excluded=excluded(snapshot.nodes, sweep.retry, snapshot.now),
        stuck=not actions and _is_stuck(snapshot, by_id, person, held),
        teachers_by_loss=teachers_by(lambda dataset: "validation_loss"),
        teachers_by_metric=teachers_by(lambda dataset: f"validation_{metrics.get(dataset)}"),
    )  # fmt: skip


def _fill(
    snapshot: Snapshot, ready: Sequence[RunRow], held: Mapping[str, Hold]
) -> tuple[list[tuple[str, ...]], dict[str, str], Budget | None]:
    """Jobs within budget and caps, why ready runs would be in none, and how the budget stands."""
    budget = budget_of(snapshot)
    urgency = _urgencies(snapshot)
    fitting, refused = affordable(snapshot, budget, sorted(ready, key=lambda row: -urgency(row)))
    free, full = free_jobs(snapshot)
    packed = [] if free == 0 else pack(
        fitting,
        seconds=snapshot.seconds,
        resource=snapshot.resource,
        target_seconds=snapshot.target_seconds,
        runs_per_job=snapshot.runs_per_job,
        jobs=free,
        urgency=urgency,
        alone=canaries(snapshot, held) if free is None else (),
    )  # fmt: skip
    jobs, capped = within_gpus(snapshot, packed)
    left_out = {run_id for job in packed for run_id in job} if capped else set()
    return jobs, {
        **{row.run_id: capped if capped and row.run_id in left_out else full for row in fitting},
        **refused,
    }, budget  # fmt: skip


def _urgencies(snapshot: Snapshot) -> Callable[[RunRow], float]:
    """What a person said of a run, or of one that waits for it if that is more."""
    if not any(order.what == "priority" for order in snapshot.orders.said):
        return lambda row: 0.0
    said = priorities(snapshot.orders)
    urgent: dict[str, float] = {}
    for row in reversed(snapshot.runs):  # what needs others comes after them
        if not row.state.is_final:
            urgent[row.run_id] = max(said(row), urgent.get(row.run_id, said(row)))
            for need in row.needs:
                urgent[need] = max(urgent[row.run_id], urgent.get(need, urgent[row.run_id]))
    return lambda row: urgent.get(row.run_id, 0.0)


def _is_stuck(
    snapshot: Snapshot, by_id: Mapping[str, RunRow], person: Collection[str], held: Mapping[str, Hold]
) -> bool:
    """Whether all that is left waits for somebody who may not know it; who pauses a sweep does."""
    if not person or any(row.state.is_live for row in snapshot.runs):
        return False
    first = [
        row
        for row in snapshot.runs
        if row.state is PENDING and all(by_id[need].state is COMPLETED for need in row.needs)
    ]
    return bool(first) and all(
        row.run_id in person and not (row.run_id in held and held[row.run_id].said) for row in first
    )
