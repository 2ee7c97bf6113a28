"""What a turn leaves behind: an answer for `sgonz status`, and whether the next turn has anything to decide.

Both hold until something is written (the store counts that) or time makes a failed run due again, so that neither
a look nor a turn in which nothing happened has to read every run. What a turn that acted found is kept too, for looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sgonz.looking.answers import brought_up_to_date
from sgonz.plan.runs import State
from sgonz.plan.spec import Sweep
from sgonz.plan.state import RunRow
from sgonz.store.rows import StandingRow
from sgonz.store.store import Store

ACTED = -1  # never the number of changes: what such a turn found has changed through what it did
LARGE = 5_000  # runs: reading that many and deciding takes a tenth of a second


def due(sweep: Sweep, rows: Sequence[RunRow], *, look_at: float | None = None) -> float | None:
    """When the first run that failed may be tried again, or a budget is to be looked at; None where time changes nothing."""
    moments = [
        (row.ended or 0.0) + sweep.retry.delay_seconds * 2 ** (row.failures - 1)
        for row in rows
        if row.state is State.PENDING and row.failures
    ]
    if look_at is not None and any(row.state.is_live for row in rows):
        moments.append(look_at)
    return min(moments, default=None)


def keep(
    store: Store,
    sweep_id: int,
    answer: Mapping[str, Any],
    changes: int,
    until: float | None,
    free_jobs: int | None,
) -> None:
    """Remember what a turn found; `changes` is from before it looked, or ACTED where it does not hold any more."""
    text = msgspec.json.encode(answer).decode()
    kept = StandingRow(changes=changes, until=until, free_jobs=free_jobs, answer=text)
    if store.standing(sweep_id) != kept:
        store.keep_standing(sweep_id, kept)


def latest(store: Store, sweep_id: int) -> dict[str, Any] | None:
    """What `sgonz status` says of a sweep that is too large to look at every run: the last turn's answer, with runs
    counted as they stand now. None for a smaller one, which is worked out anew, and where there was no turn yet.
    """
    counts = store.counts(sweep_id)
    if sum(sum(states.values()) for states in counts.values()) < LARGE:
        return None
    text = store.last_answer(sweep_id)
    if text is None:
        return None
    return brought_up_to_date(msgspec.json.decode(text), counts, store.failed(sweep_id))


def found(store: Store, sweep_id: int, now: float) -> StandingRow | None:
    """What the last turn left; None where it does not hold any more."""
    kept = store.standing(sweep_id)
    return None if kept is None or (kept.until is not None and now >= kept.until) else kept


def answer(kept: StandingRow) -> dict[str, Any]:
    """What `sgonz status` says."""
    decoded: dict[str, Any] = msgspec.json.decode(kept.answer)
    return decoded
