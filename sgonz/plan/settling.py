"""Which runs are given up, skipped, revived or no longer wanted."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sgonz.plan.actions import Action, Cancel, Fail, Revive, Skip
from sgonz.plan.nodes import is_of_job
from sgonz.plan.runs import PENDING, State
from sgonz.plan.snapshot import Snapshot
from sgonz.plan.spec import Sweep
from sgonz.plan.state import RunRow

AT_REST = frozenset({PENDING, State.SKIPPED, State.CANCELLED})  # nobody works on them, nothing came of them
SUPERSEDED = "superseded: another teacher is better now"
NEVER_AGAIN = ("RunError", "DataError", "ModelError", "SpecError")  # failures that a second try cannot change


LOST = frozenset({State.FAILED, State.SKIPPED})


def settle(snapshot: Snapshot, by_id: Mapping[str, RunRow], superseded: Collection[str]) -> list[Action]:
    """Give up, skip, revive and cancel what no job is to be made for."""
    actions: list[Action] = []
    lost: set[str] = {row.run_id for row in snapshot.runs if row.state in LOST}
    back: set[str] = set()
    for row in snapshot.runs:  # needs come before what needs them: they were added first
        if row.state not in AT_REST or row.run_id in superseded:
            continue
        dead = [need for need in row.needs if need in lost and need not in back] if row.needs else ()
        if row.state is PENDING and dead:
            lost.add(row.run_id)
            actions.append(
                Skip(run_id=row.run_id, reason=f"needs {dead[0]}, which is {by_id[dead[0]].state}")
            )
        elif row.state is PENDING and (why := _given_up(row, snapshot.sweep)) and not snapshot.climbed(row):
            lost.add(row.run_id)
            actions.append(Fail(run_id=row.run_id, reason=why))
        elif (row.state is State.SKIPPED and not dead) or (
            row.state is State.CANCELLED and row.reason == SUPERSEDED
        ):
            back.add(row.run_id)
    if back:
        actions.append(Revive(run_ids=tuple(sorted(back))))
    unwanted = [
        row.run_id for row in snapshot.runs if row.run_id in superseded and row.state is PENDING
    ] if superseded else []  # fmt: skip
    if unwanted:
        actions.append(Cancel(run_ids=tuple(unwanted), reason=SUPERSEDED))
    return actions


def _given_up(row: RunRow, sweep: Sweep) -> str | None:
    """Why a run that did not end well is not tried again; None while it is."""
    if not (row.failures or row.interruptions or row.signature_repeats):
        return None
    retry = sweep.retry
    if row.failures and row.signature and row.signature.startswith(NEVER_AGAIN):
        return "a second try would end the same way"
    if row.signature_repeats >= retry.same_failure:
        return f"the same failure {row.signature_repeats} times in a row{_of_job(row)}"
    if row.failures >= retry.max_failures:
        return f"failed {row.failures} times{_of_job(row)}"
    if row.interruptions >= retry.max_interruptions:
        return f"interrupted {row.interruptions} times"
    return None


def _of_job(row: RunRow) -> str:
    """What is known of a job that failed before any run of it could tell why."""
    return f": {row.reason}" if is_of_job(row.signature) and row.reason else ""
