"""What to do next: a pure function from what is known to a list of actions, each with its reason.

The coordinator carries the actions out on a cluster, on this machine or in a simulation; it adds nothing of
its own. Deciding twice on the same snapshot gives the same actions, and carrying out an action makes the
next decision not ask for it again. The rules stand in the modules named here, one subject each.
"""

from __future__ import annotations

from collections.abc import Sequence

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
from sgonz.plan.packing import pack
from sgonz.plan.readiness import find_ready
from sgonz.plan.selection import collapsed_runs
from sgonz.plan.settling import SUPERSEDED, settle
from sgonz.plan.snapshot import Decision, Snapshot
from sgonz.plan.state import RunRow
from sgonz.plan.teaching import chosen, evaluations, finished_grids, gates, superseded_runs, winners

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
    teachers = chosen(snapshot, grids, sweep.criterion, collapsed_ids)
    superseded = superseded_runs(snapshot.runs, teachers)
    actions += settle(snapshot, by_id, superseded)
    actions += gates(sweep, snapshot.runs, teachers)
    selected = winners(snapshot, superseded, collapsed_ids)
    if selected != {row.run_id for row in snapshot.runs if row.selected} or superseded != {
        row.run_id for row in snapshot.runs if row.superseded
    }:
        actions.append(Select(selected=frozenset(selected), superseded=frozenset(superseded)))
    actions += evaluations(sweep, snapshot.runs, selected)

    settled = {run_id for action in actions for run_id in ended_by(action)}
    ready = find_ready(snapshot, by_id, settled, waiting)
    jobs = [] if snapshot.free_jobs == 0 else _packed(snapshot, ready)
    if jobs:
        actions.append(Submit(jobs=tuple(jobs)))
    sent = {run_id for job in jobs for run_id in job}
    waiting |= {row.run_id: snapshot.full for row in ready if row.run_id not in sent}
    finished = not actions and all(row.state.is_final for row in snapshot.runs)
    metrics = snapshot.metrics
    return Decision(
        actions=tuple(actions), waiting=waiting, teachers=teachers, finished=finished,
        teachers_by_loss=chosen(snapshot, grids, lambda dataset: "validation_loss", collapsed_ids),
        teachers_by_metric=chosen(snapshot, grids, lambda dataset: f"validation_{metrics.get(dataset)}", collapsed_ids),
    )  # fmt: skip


def _packed(snapshot: Snapshot, ready: Sequence[RunRow]) -> list[tuple[str, ...]]:
    return pack(
        ready,
        seconds=snapshot.seconds,
        resource=snapshot.resource,
        target_seconds=snapshot.target_seconds,
        runs_per_job=snapshot.runs_per_job,
        jobs=snapshot.free_jobs,
    )
