"""Whose weights may go: a pure answer from what is known, erring on the side of keeping them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

from sgonz.plan.runs import TRAINED, Kind, State, Task
from sgonz.plan.selection import best
from sgonz.plan.state import RunRow

Keep = Literal["best", "all", "scores"]
EXAMPLE_BYTES = 24  # of stored logits: a key, and where its logits lie
POINTER_BYTES = 8  # where an example's words, or a window's positions, begin
PIECE_BYTES = 13  # id, offsets and part of a position
CHECKPOINTS = 7  # times the weights: twice (weights and two moments), and the best


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
    """Runs of a sweep whose weights, or stored logits, nobody will ask for; their scores stay.

    `best`: a run goes once another of its group is better and stored, logits once another teacher is better.
    `scores`: so do the best ones and all logits, when the sweep is `finished`. Never a run that one which is not completed reads, here or in `needed` elsewhere, and
    never one of a group in which a point is still to come and could change which is best.
    """
    if keep == "all":
        return set()
    read = set(needed) | {
        need
        for row in rows
        if row.state is not State.COMPLETED and (not row.superseded or row.state.is_live)
        for need in row.needs
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
    over = keep == "scores" and finished
    caches = [row for row in rows if row.kind is Kind.LOGITS and row.state is State.COMPLETED]
    found |= {row.run_id for row in caches if over or row.superseded}
    return found - read


def logits_bytes(task: Task, *, tokens: float, examples: float, labels: int, width: int) -> int:
    """What a teacher's stored logits take: by example its key and place, by word or position its numbers of this width.

    A tagger answers words, and is taken to have no more of them than tokens; positions of questions carry their piece's
    id, offsets and part.
    """
    if task == "classification":
        return round(examples * (EXAMPLE_BYTES + labels * width))
    if task == "tagging":
        return round(examples * (EXAMPLE_BYTES + POINTER_BYTES) + tokens * labels * width)
    return round(examples * (EXAMPLE_BYTES + 2 * POINTER_BYTES) + tokens * (PIECE_BYTES + 2 * width))


def bytes_to_come(rows: Sequence[RunRow], keep: Keep, parameters: Mapping[str, int]) -> int:
    """What runs that are not over will take on the disk at most at a time, by the parameters of their models.

    Weights in float32; of a run at work two checkpoints beside, each with AdamW's two moments, and its best model.
    Unless `all` is kept, a group leaves one of its runs, and the largest group stands there whole for a while.
    """
    weights = {row.run_id: 4 * parameters.get(row.model, 0) for row in rows}
    coming = [row for row in rows if row.kind in TRAINED and not row.state.is_final and not row.superseded]
    at_work = [row for row in coming if row.state.is_live] or coming[:1]
    checkpoints = CHECKPOINTS * sum(weights[row.run_id] for row in at_work)
    if keep == "all":
        return checkpoints + sum(weights[row.run_id] for row in coming)
    groups: dict[tuple[Any, ...], int] = defaultdict(int)
    kept: dict[tuple[Any, ...], int] = {}
    for row in coming:
        group = (row.kind, row.dataset, row.model, row.needs, row.seed)
        groups[group] += weights[row.run_id]
        kept[group] = weights[row.run_id]
    largest = max((groups[group] - kept[group] for group in groups), default=0)
    return checkpoints + largest + (sum(kept.values()) if keep == "best" else 0)
