"""Which run of a group is best: finished, finite, healthy, and lowest (or highest) by the sweep's criterion."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sgonz.errors import SpecError
from sgonz.plan.health import CONSTANT, MAJORITY, collapsed
from sgonz.plan.runs import COMPLETED, TRAINED, Task
from sgonz.plan.state import RunRow

COLLAPSE_FLAGS = frozenset({CONSTANT, MAJORITY})
Group = tuple[Any, ...]
LOSS = "validation_loss"
SCORES: Mapping[Task, tuple[str, ...]] = {  # what a run of each task scores its validation split by
    "classification": ("accuracy", "f1_macro"),
    "tagging": ("f1", "precision", "recall", "accuracy"),
    "qa": ("f1", "exact_match", "f1_es", "exact_match_es"),
}


def check_criterion(criterion: str, task: Task, where: str) -> None:
    """Raise SpecError for a criterion that no run of this task can have, `test` scores among them."""
    if criterion != LOSS and criterion.removeprefix("validation_") not in SCORES[task]:
        scores = ", ".join(f"validation_{name}" for name in SCORES[task])
        raise SpecError(
            f"{where} is {criterion!r}, which is nothing that a {task} run is validated by",
            hint=f"Allowed there: {LOSS}, {scores}. [teacher.per_dataset] gives single data sets a criterion of their own.",
        )


def criterion_value(row: RunRow, criterion: str) -> float | None:
    """The run's value by the criterion, smaller is better; None where it has no finite one."""
    if criterion == LOSS:
        value = row.validation_loss
    else:
        score = row.validation.get(criterion.removeprefix("validation_"))
        value = None if score is None else -score
    return value if value is not None and math.isfinite(value) else None


def usable(row: RunRow, criterion: str) -> bool:
    """Whether a run may be selected at all: completed, with a finite value."""
    return row.state is COMPLETED and criterion_value(row, criterion) is not None


def collapsed_runs(rows: Sequence[RunRow], metrics: Mapping[str, str]) -> set[str]:
    """Runs that learned nothing: flagged by themselves, or far below the best of their model and data set."""
    groups: dict[Group, list[RunRow]] = defaultdict(list)
    for row in rows:
        if row.state is COMPLETED and row.kind in TRAINED:
            groups[(row.kind, row.dataset, row.model)].append(row)
    found = {
        row.run_id
        for group in groups.values()
        for row in group
        if row.flags and not COLLAPSE_FLAGS.isdisjoint(row.flags)
    }
    for (_, dataset, _), group in groups.items():
        metric = metrics.get(dataset, "")
        scores = {row.run_id: row.validation[metric] for row in group if metric in row.validation}
        best = max(scores.values(), default=0.0)
        found |= {run_id for run_id, score in scores.items() if collapsed(score, best)}
    return found


def best(
    rows: Iterable[RunRow],
    criterion: str,
    collapsed_ids: set[str],
    macs: Mapping[str, float] = MappingProxyType({}),
) -> RunRow | None:
    """The best usable run; a collapsed one only where no healthy one exists.

    Ties go to the model with fewer MACs (`macs` by name; unknown ones last), then to the smaller batch, fewer
    epochs, the lower learning rate.
    """
    candidates = _valued(rows, criterion)
    among = [(value, row) for value, row in candidates if row.run_id not in collapsed_ids] or candidates
    lowest = min((value for value, _ in among), default=None)
    return min(
        (row for value, row in among if value == lowest), key=lambda row: _rank(row, macs), default=None
    )


def _valued(rows: Iterable[RunRow], criterion: str) -> list[tuple[float, RunRow]]:
    """Usable runs with their values: `criterion_value` of each, without asking for each what the criterion is."""
    completed = [row for row in rows if row.state is COMPLETED]
    if criterion == LOSS:
        found = [(row.validation_loss, row) for row in completed]
    else:
        name = criterion.removeprefix("validation_")
        found = [(-row.validation[name] if name in row.validation else None, row) for row in completed]
    return [(value, row) for value, row in found if value is not None and math.isfinite(value)]


def _rank(row: RunRow, macs: Mapping[str, float]) -> tuple[Any, ...]:
    work = macs.get(row.model, math.inf)
    return (work, row.batch_size or 0, row.epochs or 0, row.learning_rate or 0.0, row.run_id)
