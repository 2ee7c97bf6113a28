"""Who teaches and who stands for its group: finished grids, gates, winners and their evaluations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache

from sgonz.plan.actions import Evaluate, OpenGate
from sgonz.plan.runs import EVALUATE, FINETUNE, LOGITS, TRAINED, Kind, State
from sgonz.plan.selection import best, usable
from sgonz.plan.snapshot import Snapshot
from sgonz.plan.spec import Quorum, Sweep
from sgonz.plan.state import RunRow

OVER = frozenset(state for state in State if state.is_final) - {State.CANCELLED}


def finished_grids(sweep: Sweep, runs: Sequence[RunRow]) -> dict[str, list[RunRow]]:
    """The fine-tuned runs of every data set whose grid is done, as far as failures allow."""
    grids: dict[str, list[RunRow]] = defaultdict(list)
    for row in runs:
        if row.kind is FINETUNE:
            grids[row.dataset].append(row)
    return {
        dataset: rows
        for dataset, rows in grids.items()
        if _is_over(rows) and _may_go_on(sweep, rows, sweep.criterion(dataset))
    }


def _is_over(rows: Sequence[RunRow]) -> bool:
    """Whether every run of a group has ended for good; one that a person stopped is held, not over."""
    return all(row.state in OVER for row in rows)


def chooser(
    snapshot: Snapshot, grids: Mapping[str, list[RunRow]], collapsed_ids: set[str]
) -> Callable[[Callable[[str], str]], dict[str, str | None]]:
    """By a criterion, the best fine-tuned run of every data set; None while its grid is not done."""

    @cache  # several criteria may be one and the same
    def best_of(dataset: str, criterion: str) -> str | None:
        chosen = best(grids[dataset], criterion, collapsed_ids, snapshot.macs)
        return chosen.run_id if chosen else None

    return lambda criterion: {
        **dict.fromkeys(snapshot.sweep.dataset_names),
        **{dataset: best_of(dataset, criterion(dataset)) for dataset in grids},
    }


def _may_go_on(sweep: Sweep, rows: Sequence[RunRow], criterion: str) -> bool:
    good = (usable(row, criterion) for row in rows)
    if isinstance(sweep.on_failure, Quorum):
        return sum(good) >= max(1, sweep.on_failure.quorum * len(rows))
    return all(good) if sweep.on_failure == "stop" else any(good)


def superseded_runs(runs: Sequence[RunRow], teachers: Mapping[str, str | None]) -> set[str]:
    """Runs that descend from a teacher that is not (or no longer) the best of its data set."""
    stale: set[str] = set()
    for row in runs:
        if row.kind is LOGITS:
            # While the grid is open again nothing is stale: the old teacher may win once more.
            chosen = teachers.get(row.dataset)
            if chosen is not None and chosen not in row.needs:
                stale.add(row.run_id)
    for kind in (Kind.DISTILL, EVALUATE) if stale else ():  # parents before children
        stale |= {row.run_id for row in runs if row.kind is kind and not stale.isdisjoint(row.needs)}
    return stale


def gates(sweep: Sweep, runs: Sequence[RunRow], teachers: Mapping[str, str | None]) -> list[OpenGate]:
    if sweep.distill is None:
        return []
    opened = {need for row in runs if row.kind is LOGITS for need in row.needs}
    return [
        OpenGate(dataset=dataset, teacher=teacher, reason=f"best by {sweep.criterion(dataset)}")
        for dataset, teacher in teachers.items()
        if teacher is not None and teacher not in opened
    ]


def winners(snapshot: Snapshot, superseded: Collection[str], collapsed_ids: set[str]) -> set[str]:
    """The best run of every (kind, data set, model, teacher, seed) whose points are all final."""
    groups: dict[tuple[object, ...], list[RunRow]] = defaultdict(list)
    for row in snapshot.runs:
        if row.kind in TRAINED and row.run_id not in superseded:
            groups[(row.kind, row.dataset, row.model, row.needs, row.seed)].append(row)
    winners = (
        best(rows, snapshot.sweep.criterion(rows[0].dataset), collapsed_ids, snapshot.macs)
        for rows in groups.values()
        if _is_over(rows)
    )
    return {row.run_id for row in winners if row is not None}


def evaluations(snapshot: Snapshot, selected: Collection[str]) -> list[Evaluate]:
    """Test scores of selected runs that are not planned yet, where there is a test split."""
    if not snapshot.sweep.evaluate:
        return []
    planned = {need for row in snapshot.runs if row.kind is EVALUATE for need in row.needs}
    missing = tuple(
        row.run_id
        for row in snapshot.runs
        if row.run_id in selected and row.run_id not in planned and row.dataset not in snapshot.untested
    )
    return [Evaluate(run_ids=missing)] if missing else []
