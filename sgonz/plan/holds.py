"""Which runs are kept from being sent, and by what: a person's word, a broken circuit, a canary that goes first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from sgonz.plan.canary import Hold, breaker_holds, canary_holds
from sgonz.plan.orders import Order, holds
from sgonz.plan.runs import PENDING, SUBMITTED
from sgonz.plan.snapshot import Snapshot

WORDS = {"pause": "paused", "drain": "drained"}


def find_holds(snapshot: Snapshot) -> dict[str, Hold]:
    """Held runs, PENDING or only SUBMITTED; what a person said comes before what the rules say."""
    word_on = holds(snapshot.orders)
    said = {
        row.run_id: _said(order)
        for row in (snapshot.runs if snapshot.orders.said else ())
        if row.state in (PENDING, SUBMITTED) and (order := word_on(row)) is not None
    }
    return {**canary_holds(snapshot), **breaker_holds(snapshot), **said}


def taken_back(
    snapshot: Snapshot, held: Mapping[str, Hold], over_budget: Collection[str] = ()
) -> dict[str, tuple[str, ...]]:
    """Submission -> runs that its workers are not to begin."""
    if not held and not over_budget:
        return {}
    by_tag: dict[str, list[str]] = defaultdict(list)
    for row in snapshot.runs:
        hold = held.get(row.run_id)
        back = (hold is not None and hold.taken_back) or row.run_id in over_budget
        if back and row.state is SUBMITTED and row.tag is not None:
            by_tag[row.tag].append(row.run_id)
    return {tag: tuple(run_ids) for tag, run_ids in by_tag.items()}


def _said(order: Order) -> Hold:
    why = f" ({order.reason})" if order.reason else ""
    return Hold(
        reason=f"{WORDS[order.what]} by hand{why}; `sgonz resume` goes on",
        said=True,
        taken_back=order.what == "drain",
    )
