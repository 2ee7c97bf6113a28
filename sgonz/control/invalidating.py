"""A person does not believe what a run gave: it, and everything that follows from it, is planned again."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from sgonz.coordinator import tidying
from sgonz.coordinator.coordinator import Coordinator
from sgonz.coordinator.generations import settle
from sgonz.coordinator.observing import observe
from sgonz.plan.runs import State
from sgonz.plan.state import INVALIDATED, INVALIDATED_AT_WORK, RunRow
from sgonz.rundir import RunDir, last_claim
from sgonz.workdir import lock


def invalidate(at: Coordinator, chosen: Sequence[RunRow], reason: str) -> list[RunRow]:
    """Plan another generation of these runs and of all that follows from them, whatever sweep it is in; which those are."""
    with lock.hold(at.workdir, "invalidate"):
        observe(at)
        every = at.store.snapshot()
        found = following(every, {row.run_id for row in chosen})
        ids = [row.run_id for row in found]
        at.journal.write("invalidate", runs=ids, chosen=[row.run_id for row in chosen], reason=reason)
        for row in found:
            if row.state.is_live:
                _ask_to_leave(at.workdir.run(row.run_id))
        due = [row for row in found if not _is_renewed(row)]
        fences = {row.run_id: _fence(at.workdir.run(row.run_id), row) for row in due}
        if fences:
            at.store.renew(fences, INVALIDATED + reason, INVALIDATED_AT_WORK + reason, time.time())
        at_work = {row.run_id for row in found if row.state.is_live or _is_renewed(row, INVALIDATED_AT_WORK)}
        for each in at.store.generations():
            settle(at.workdir, each, keep_mark=each.run_id in at_work)
        _make_readable(at, found)
    return found


def following(every: Sequence[RunRow], chosen: Iterable[str]) -> list[RunRow]:
    """Runs and all that need them, directly or not; needs come before what needs them."""
    wanted = set(chosen)
    for row in every:
        if wanted.intersection(row.needs):
            wanted.add(row.run_id)
    return [row for row in every if row.run_id in wanted]


def _is_renewed(row: RunRow, *words: str) -> bool:
    """Whether nothing has happened since it was invalidated: said again, that changes nothing."""
    return row.state is State.PENDING and (row.reason or "").startswith(
        words or (INVALIDATED, INVALIDATED_AT_WORK)
    )


def _ask_to_leave(run: RunDir) -> None:
    run.root.mkdir(parents=True, exist_ok=True)
    run.cancel.touch()


def _fence(run: RunDir, row: RunRow) -> int:
    """An attempt number that nobody has used."""
    last = last_claim(run)
    return max(row.attempts, last.attempt if last else 0) + 1


def _make_readable(at: Coordinator, found: Sequence[RunRow]) -> None:
    """What these runs will read again is made again where its weights were removed."""
    again = {row.run_id for row in found}
    needed = {need for row in found for need in row.needs} - again
    done = [
        row.run_id for row in at.store.snapshot() if row.run_id in needed and row.state is State.COMPLETED
    ]
    tidying.make_again(at.workdir, at.store, done)
