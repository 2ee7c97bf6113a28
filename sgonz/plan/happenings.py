"""What a person should be told of a sweep without asking: that it is done, that it stands still, that it needs somebody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from sgonz.plan.remedy import said
from sgonz.plan.runs import State
from sgonz.plan.snapshot import Decision
from sgonz.plan.state import RunRow
from sgonz.plan.wording import number_of

What = Literal["finished", "stalled", "needs_person"]
MOST = 20  # causes that are told one by one


class Happening(Struct, frozen=True, kw_only=True):
    """Something that is so now. It is told once for as long as it is so, and again when it comes back."""

    what: What
    key: str  # the same for the same happening in every turn
    text: str


def happenings(rows: Sequence[RunRow], decision: Decision) -> list[Happening]:
    """All that is so after a turn."""
    found: list[Happening] = []
    states = Counter(row.state for row in rows)
    counts = ", ".join(f"{states[state]:,} {state.lower()}" for state in State if states[state])
    if decision.finished:
        found.append(Happening(what="finished", key=f"finished {len(rows)}", text=f"finished: {counts}"))
    elif decision.stuck:
        reasons = sorted(set(decision.waiting.values()))
        why = "; ".join(reasons[:3]) or "no reason is known"
        found.append(
            Happening(
                what="stalled", key=f"stalled {'; '.join(reasons)}", text=f"stands still: {why} ({counts})"
            )
        )
    held = Counter(decision.for_person.values())
    for reason, size in held.most_common(MOST):
        found.append(
            Happening(
                what="needs_person",
                key=f"held {reason}",
                text=f"{number_of(size, 'run is', 'runs are')} held: {reason}",
            )
        )
    return found + _failures(rows)


def _failures(rows: Sequence[RunRow]) -> list[Happening]:
    """Failures that are not tried again, once for each cause on a data set; a cancelled job's runs wait for a word."""
    causes: Counter[tuple[str, str]] = Counter()
    one: dict[tuple[str, str], RunRow] = {}
    for row in rows:
        if row.superseded or row.state not in (State.FAILED, State.CANCELLED):
            continue
        if row.state is State.CANCELLED and "run or retry" not in (row.reason or ""):
            continue  # cancelled by a person, who knows
        cause = (row.dataset, row.signature or row.reason or "no reason is known")
        causes[cause] += 1
        one.setdefault(cause, row)
    found = []
    for key, size in causes.most_common(MOST):
        (dataset, why), row = key, one[key]
        if row.state is State.FAILED:
            what = "failed and is not tried again" if size == 1 else "failed and are not tried again"
        else:
            what = "waits for a word" if size == 1 else "wait for a word"
        text = f"{number_of(size, 'run')} of {dataset} {what}: {said(why) if row.state is State.FAILED else row.reason or why} (sgonz logs {row.run_id[:8]})"
        found.append(Happening(what="needs_person", key=f"failed {dataset} {why}", text=text))
    return found
