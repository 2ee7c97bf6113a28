"""What is different since the last look: one pass over the rows, and none where nothing changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sgonz.plan.runs import State
from sgonz.plan.state import RunRow


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one pass over the rows found."""

    rows: Mapping[str, RunRow]  # by id
    ended: Sequence[RunRow]  # final now and not before, in the order in which they ended
    again: Sequence[RunRow]  # an attempt failed, and the run is tried again
    running: Sequence[RunRow]
    failed: Sequence[RunRow]  # newest first


def look(before: Look | None, rows: Sequence[RunRow]) -> Look:
    """Compare the rows with the last look; at the first one nothing is new."""
    known = before.rows if before else {}
    found: dict[str, RunRow] = {}
    ended: list[RunRow] = []
    again: list[RunRow] = []
    running: list[RunRow] = []
    failed: list[RunRow] = []
    for row in rows:
        found[row.run_id] = row
        state, old = row.state, known.get(row.run_id)
        if state is State.RUNNING:
            running.append(row)
        elif state is State.FAILED:
            failed.append(row)
        if before is None:
            continue
        if state.is_final:
            if old is None or not old.state.is_final:
                ended.append(row)
        elif old is not None and row.failures > old.failures:
            again.append(row)
    return Look(
        rows=found,
        ended=sorted(ended, key=_ended),
        again=again,
        running=running,
        failed=sorted(failed, key=_ended, reverse=True),
    )


def _ended(row: RunRow) -> float:
    return row.ended or 0.0


def new_teachers(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Data sets whose teacher was chosen, or changed, between two answers of `status()`."""
    return [
        name
        for name, facts in after["datasets"].items()
        if facts["teacher"] and facts["teacher"] != before["datasets"].get(name, {}).get("teacher")
    ]
