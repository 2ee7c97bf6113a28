"""Canaries and circuit breakers: one run of a shape goes first, and the same failure again and again stops its like."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from sgonz.plan.nodes import anywhere, at_node, excluded, is_of_job
from sgonz.plan.orders import holds, released
from sgonz.plan.runs import COMPLETED, PENDING, SUBMITTED, Kind, Outcome, State
from sgonz.plan.snapshot import Snapshot
from sgonz.plan.state import RunRow

WAITING = frozenset({PENDING, SUBMITTED})
FAULTS = (Outcome.FAILED, Outcome.OUT_OF_MEMORY)
ENDS = (Outcome.COMPLETED, *FAULTS)
LET_GO = "`sgonz retry` or `sgonz resume` goes on"
Key = tuple[Any, ...]


class Hold(Struct, frozen=True, kw_only=True):
    """Why a run is not sent by itself, although nothing is missing."""

    reason: str
    for_person: bool = True  # whether somebody has to say something
    said: bool = False  # whether somebody asked for it
    taken_back: bool = False  # whether it is not to be begun even where a job has it in its list


def shapes(snapshot: Snapshot) -> Callable[[RunRow], Key]:
    """What runs have in common that are likely to fail together, asked once for each of their kind."""
    known: dict[Key, Key] = {}

    def shape(row: RunRow) -> Key:
        short = (row.kind, row.dataset, row.model)
        if short not in known:
            task = snapshot.tasks.get(row.dataset, row.dataset)
            known[short] = (row.kind, task, row.model, snapshot.resource(row))
        return known[short]

    return shape


def canary_holds(snapshot: Snapshot) -> dict[str, Hold]:
    """Runs of large groups that wait for the first of their shape; small groups go at once."""
    setting = snapshot.sweep.canary
    if not setting.first or not any(_is_waiting(row) for row in snapshot.runs):
        return {}
    let_go, held_by_order = released(snapshot.orders), holds(snapshot.orders)
    found: dict[str, Hold] = {}
    for rows in _unproven(snapshot):
        if len(rows) <= setting.above:
            continue
        failed = [row for row in rows if row.state is State.FAILED]
        if any((row.ended or 0.0) <= let_go(row) for row in failed):
            continue  # somebody has seen it and said that the others are to go
        candidates = [row for row in rows if row.state is PENDING and held_by_order(row) is None]
        first = failed or [row for row in rows if row.state.is_live] or _first(snapshot, candidates)
        if not first:
            continue
        hold = _after_failure(first[0]) if failed else _behind(first[0])
        chosen = {row.run_id for row in first}
        found |= {row.run_id: hold for row in rows if _is_waiting(row) and row.run_id not in chosen}
    return found


def breaker_holds(snapshot: Snapshot) -> dict[str, Hold]:
    """Runs whose like have failed the same way again and again, in one shape or in one data set."""
    let_go = released(snapshot.orders)
    faults = [row for row in snapshot.runs if row.last_outcome in FAULTS and row.signature is not None]
    if len(faults) < snapshot.sweep.canary.same_failure:
        return {}
    to_blame = tuple(at_node(node) for node in excluded(snapshot.nodes, snapshot.sweep.retry, snapshot.now))
    counted = [
        row for row in snapshot.runs
        if _counts(snapshot, row) and not (row.signature or "").endswith(to_blame)
    ]  # fmt: skip
    found: dict[str, Hold] = {}
    keys: tuple[Callable[[RunRow], Key], ...] = (
        shapes(snapshot),
        lambda row: (row.kind, row.dataset),
    )
    for key in keys:
        waiting = _grouped((row for row in snapshot.runs if _is_waiting(row)), key)
        for circuit, rows in _grouped(counted, key).items():
            streak = _streak(rows, let_go)
            if len(streak) >= snapshot.sweep.canary.same_failure:
                hold = _broken(streak)
                found |= {row.run_id: hold for row in waiting.get(circuit, ())}
    return found


def canaries(snapshot: Snapshot, held: Mapping[str, Hold]) -> set[str]:
    """Pending runs that others wait for: each gets a job of its own, so that none waits for another's end."""
    if all(hold.for_person for hold in held.values()):
        return set()
    shape = shapes(snapshot)
    behind = [row for row in snapshot.runs if (hold := held.get(row.run_id)) and not hold.for_person]
    keys = {shape(row) for row in behind}
    return {
        row.run_id
        for row in snapshot.runs
        if row.state is PENDING and row.run_id not in held and shape(row) in keys
    }


def _grouped(rows: Iterable[RunRow], key: Callable[[RunRow], Key]) -> dict[Key, list[RunRow]]:
    groups: dict[Key, list[RunRow]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def _unproven(snapshot: Snapshot) -> Iterable[list[RunRow]]:
    """The shapes of which no run has made a step; runs that do nothing prove nothing."""
    alike: dict[Key, list[RunRow]] = defaultdict(list)  # runs of one kind, model and data set have one shape
    for row in snapshot.runs:
        alike[row.kind, row.dataset, row.model].append(row)
    shape, groups, proven = shapes(snapshot), defaultdict[Key, list[RunRow]](list), set[Key]()
    for rows in alike.values():
        if any(row.state is COMPLETED or row.run_id in snapshot.stepped for row in rows):
            proven.add(shape(rows[0]))
        elif rows[0].kind is not Kind.NOOP:
            groups[shape(rows[0])] += rows
    return [rows for key, rows in groups.items() if key not in proven]


def _first(snapshot: Snapshot, rows: Sequence[RunRow]) -> list[RunRow]:
    """The one to go first: one that has begun before, one whose needs are done, the one that was planned first."""
    done = {row.run_id for row in snapshot.runs if row.state is COMPLETED}
    return sorted(rows, key=lambda row: (not row.attempts, not done.issuperset(row.needs)))[:1]


def _is_waiting(row: RunRow) -> bool:
    return row.state in WAITING


def _behind(first: RunRow) -> Hold:
    return Hold(
        reason=f"canary: {first.run_id} of the same shape goes first; the others follow its first step",
        for_person=False,
    )


def _after_failure(failed: RunRow) -> Hold:
    return Hold(
        reason=f"held: the canary {failed.run_id} failed ({_why(failed)}); {LET_GO}",
        taken_back=True,
    )


def _why(failed: RunRow) -> str:
    known = failed.reason if is_of_job(failed.signature) else failed.signature
    return known or failed.signature or "no reason is known"


def _broken(streak: Sequence[RunRow]) -> Hold:
    return Hold(
        reason=f"held: {len(streak)} runs like it in a row failed the same way ({anywhere(streak[-1].signature)}); {LET_GO}",
        taken_back=True,
    )


def _counts(snapshot: Snapshot, row: RunRow) -> bool:
    """Whether a run's last end says something: a result, or a failure that more memory will not mend."""
    if row.ended is None or row.last_outcome not in ENDS:
        return False
    return row.last_outcome is Outcome.COMPLETED or (row.signature is not None and not snapshot.climbed(row))


def _streak(rows: Sequence[RunRow], let_go: Callable[[RunRow], float]) -> list[RunRow]:
    """The last runs in a row that ended with one and the same failure, oldest first."""
    streak: list[RunRow] = []
    for row in sorted(rows, key=lambda row: (row.ended or 0.0, row.run_id), reverse=True):
        same = not streak or anywhere(row.signature) == anywhere(streak[0].signature)
        if row.last_outcome is Outcome.COMPLETED or not same or (row.ended or 0.0) <= let_go(row):
            break
        streak.append(row)
    return streak[::-1]
