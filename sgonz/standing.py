"""What a turn leaves behind: an answer for `sgonz status`, and whether the next turn has anything to decide.

Both hold until something is written (the store counts that) or time makes a failed run due again, so that neither
a look nor a turn in which nothing happened has to read every run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sgonz.plan.runs import State
from sgonz.plan.spec import Sweep
from sgonz.plan.state import RunRow
from sgonz.store.rows import StandingRow
from sgonz.store.store import Store


def due(sweep: Sweep, rows: Sequence[RunRow]) -> float | None:
    """When the first run that failed may be tried again; None where time changes nothing."""
    moments = [
        (row.ended or 0.0) + sweep.retry.delay_seconds * 2 ** (row.failures - 1)
        for row in rows
        if row.state is State.PENDING and row.failures
    ]
    return min(moments, default=None)


def keep(
    store: Store,
    sweep_id: int,
    answer: Mapping[str, Any],
    changes: int,
    until: float | None,
    free_jobs: int | None,
) -> None:
    """Remember what a turn that had nothing more to do found; `changes` is from before it looked."""
    text = msgspec.json.encode(answer).decode()
    kept = StandingRow(changes=changes, until=until, free_jobs=free_jobs, answer=text)
    if store.standing(sweep_id) != kept:
        store.keep_standing(sweep_id, kept)


def found(store: Store, sweep_id: int, now: float) -> StandingRow | None:
    """What the last turn left; None where it does not hold any more."""
    kept = store.standing(sweep_id)
    return None if kept is None or (kept.until is not None and now >= kept.until) else kept


def answer(kept: StandingRow) -> dict[str, Any]:
    """What `sgonz status` says."""
    decoded: dict[str, Any] = msgspec.json.decode(kept.answer)
    return decoded
