"""Results as tables: the selected ones by data set, or all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from sgonz.plan.health import CONSTANT
from sgonz.plan.runs import State
from sgonz.view.cells import Column, cut, table_of
from sgonz.view.figures import MISSING, count, loss, rate, score
from sgonz.view.stages import STYLES

Row = Mapping[str, Any]


def leaderboard_table(rows: Sequence[Row], width: int) -> RenderableType:
    """Rows of `leaderboard()`; bold is the best validation score of a data set's fine-tuned or distilled models.

    Nothing is marked by its test score: a choice made by it would be worth less than it says.
    """
    if not rows:
        return cut("no run is selected yet")
    best = _best(rows)
    firsts = {id(row) for row, before in zip(rows, [None, *rows], strict=False) if not _same(row, before)}
    several = len({row["seed"] for row in rows}) > 1
    columns = [
        Column(heading="data set", cell=lambda row: cut(row["dataset"] if id(row) in firsts else "")),
        Column(heading="kind", cell=lambda row: cut(row["kind"]), least=92),
        Column(heading="model", cell=lambda row: cut(row["model"])),
        Column(heading="teacher", cell=lambda row: cut(row["teacher"] or MISSING)),
        *([Column(heading="seed", cell=lambda row: cut(row["seed"]), number=True)] if several else []),
        Column(heading="lr", cell=lambda row: cut(rate(row["learning_rate"])), number=True, least=112),
        Column(heading="batch", cell=lambda row: cut(count(row["batch_size"])), number=True, least=112),
        Column(heading="epoch", cell=lambda row: cut(count(row["epoch"])), number=True, least=112),
        Column(heading="loss", cell=lambda row: cut(loss(row["validation_loss"])), number=True),
        Column(heading="metric", cell=lambda row: cut(row["metric"] or MISSING)),
        Column(heading="validation", cell=lambda row: _validation(row, best), number=True),
        Column(heading="test", cell=lambda row: cut(score(row["test"])), number=True),
    ]
    return table_of(columns, rows, width=width, group=lambda row: row["dataset"])


def one_answer_lines(rows: Sequence[Row]) -> list[str]:
    """A line for each data set on which models of `leaderboard()` tell nothing apart."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if CONSTANT in row["flags"]:
            found.setdefault(row["dataset"], []).append(row["model"])
    return [
        f"{dataset}: one answer to everything from {', '.join(dict.fromkeys(models))}"
        for dataset, models in found.items()
    ]


def _same(row: Row, before: Row | None) -> bool:
    return before is not None and before["dataset"] == row["dataset"]


def _best(rows: Sequence[Row]) -> dict[tuple[str, str], float]:
    best: dict[tuple[str, str], float] = {}
    for row in rows:
        group, found = (row["dataset"], row["kind"]), row["validation"]
        if found is not None:
            best[group] = max(found, best.get(group, found))
    return best


def _validation(row: Row, best: Mapping[tuple[str, str], float]) -> Text:
    found = row["validation"]
    leads = found is not None and found == best[row["dataset"], row["kind"]]
    return cut(score(found), "bold" if leads else "")


def results_table(rows: Sequence[Row], width: int) -> RenderableType:
    """Rows of `results()`; a star stands at the selected ones."""
    if not rows:
        return cut("no run has ended yet")
    remarks = any(map(_remark, rows))
    columns = [
        Column(heading="run", cell=lambda row: cut(row["run_id"])),
        Column(heading="", cell=lambda row: cut("*" if row["selected"] else "")),
        Column(heading="kind", cell=lambda row: cut(row["kind"]), least=100),
        Column(heading="data set", cell=lambda row: cut(row["dataset"])),
        Column(heading="model", cell=lambda row: cut(row["model"])),
        Column(heading="teacher", cell=lambda row: cut(row["teacher"] or MISSING), least=120),
        Column(heading="lr", cell=lambda row: cut(rate(row["learning_rate"])), number=True),
        Column(heading="batch", cell=lambda row: cut(count(row["batch_size"])), number=True, least=92),
        Column(heading="epochs", cell=lambda row: cut(count(row["epochs"])), number=True, least=120),
        Column(heading="best", cell=lambda row: cut(count(row["best_epoch"])), number=True, least=120),
        Column(heading="loss", cell=lambda row: cut(loss(row["validation_loss"])), number=True),
        Column(heading="validation", cell=lambda row: cut(_headline(row, "validation")), number=True),
        Column(heading="test", cell=lambda row: cut(_headline(row, "test")), number=True),
        *([Column(heading="remark", cell=_remark)] if remarks else []),
    ]
    return table_of(columns, rows, width=width, group=lambda row: row["dataset"])


def _headline(row: Row, split: str) -> str:
    return score(row[split].get(row["metric"]))


def _remark(row: Row) -> Text:
    if row["state"] == State.FAILED:
        return cut(row["reason"] or "failed", STYLES[State.FAILED])
    return cut(", ".join([*row["flags"], *(["superseded"] if row["superseded"] else [])]), "yellow")
