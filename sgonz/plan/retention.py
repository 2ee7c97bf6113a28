"""Whose weights may go: a pure answer from what is known, erring on the side of keeping them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

from sgonz.plan.runs import Kind, State
from sgonz.plan.selection import best
from sgonz.plan.state import RunRow

Keep = Literal["best", "all", "scores"]
TRAINED = (Kind.FINETUNE, Kind.DISTILL)


def removable(
    rows: Sequence[RunRow],
    keep: Keep,
    *,
    criterion: Callable[[str], str],
    collapsed_ids: set[str],
    macs: Mapping[str, float],
    needed: Collection[str] = (),
    finished: bool = False,
) -> set[str]:
    """Trained runs of a sweep whose weights nobody will ask for; their scores stay.

    `best`: a run goes once another of its group is better and stored. `scores`: so do the best ones, when the
    sweep is `finished`. Never a run that one which is not completed reads, here or in `needed` elsewhere, and
    never one of a group in which a point is still to come and could change which is best.
    """
    if keep == "all":
        return set()
    read = set(needed) | {
        need for row in rows if row.state is not State.COMPLETED and not row.superseded for need in row.needs
    }
    groups: dict[tuple[Any, ...], list[RunRow]] = defaultdict(list)
    for row in rows:
        if row.kind in TRAINED:
            groups[(row.kind, row.dataset, row.model, row.needs, row.seed)].append(row)
    found: set[str] = set()
    for group in groups.values():
        winner = best(group, criterion(group[0].dataset), collapsed_ids, macs)
        if winner is None or not all(row.state.is_final for row in group):
            continue
        for row in group:
            beaten = row.run_id != winner.run_id and not row.selected
            if row.state is State.COMPLETED and (beaten or (keep == "scores" and finished)):
                found.add(row.run_id)
    return found - read
