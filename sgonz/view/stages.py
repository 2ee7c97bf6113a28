"""How far every data set is: a row each, a bar for fine-tuning and one for distillation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import HORIZONTALS, Box
from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sgonz.plan.health import CONSTANT
from sgonz.plan.runs import Kind, State
from sgonz.view.cells import Column, cut, table_of
from sgonz.view.figures import MISSING, loss

ROOMY = 100  # columns from which bars are long
STYLES = {
    State.PENDING: "dim", State.SUBMITTED: "blue", State.RUNNING: "cyan", State.COMPLETED: "green",
    State.FAILED: "bold red", State.CANCELLED: "yellow", State.SKIPPED: "yellow",
}  # fmt: skip


def counts_line(runs: Mapping[str, int]) -> Text:
    """`3 running, 20 pending, ...`, in the order of a run's life."""
    line = Text(no_wrap=True, overflow="ellipsis")
    for state in State:
        if runs.get(state):
            line.append(", " if line else "").append(f"{runs[state]:,} {state.lower()}", style=STYLES[state])
    return line or cut("no runs yet")


def stage_table(
    datasets: Mapping[str, Mapping[str, Any]], *, width: int, box: Box | None = HORIZONTALS
) -> Table:
    """A row for each data set of `status()`."""
    bar = 10 if width >= ROOMY else 4
    rows = list(datasets.items())
    columns = [
        Column(heading="data set", cell=lambda row: cut(row[0])),
        Column(heading="finetune", cell=lambda row: _bar(row[1], Kind.FINETUNE, bar), number=True),
        Column(heading="teacher", cell=lambda row: cut(row[1]["teacher_model"] or MISSING)),
        Column(
            heading="loss", cell=lambda row: cut(loss(row[1]["teacher_validation_loss"])), number=True, least=ROOMY
        ),
        Column(heading="logits", cell=lambda row: _fraction(row[1], Kind.LOGITS), number=True),
        Column(heading="distill", cell=lambda row: _bar(row[1], Kind.DISTILL, bar), number=True),
        Column(heading="evaluate", cell=lambda row: _fraction(row[1], Kind.EVALUATE), number=True),
    ]  # fmt: skip
    if any(_lost(facts) for facts in datasets.values()):
        columns.append(Column(heading="failed", cell=_failed, number=True))
    return table_of(columns, rows, width=width, box=box)


def doubts(datasets: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line for each data set whose teacher learned nothing that could be taught."""
    return [
        f"{name}: its teacher {facts['teacher_model']} gives one answer to everything; try other settings"
        for name, facts in datasets.items()
        if CONSTANT in facts.get("teacher_flags", ())
    ]


def other_choices(datasets: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line for each data set whose teacher another criterion would not have chosen."""
    return [
        f"{name}: by {'validation loss' if facts['teacher'] == facts['teacher_by_metric'] else 'score'} "
        f"the teacher would be {_other(facts)}"
        for name, facts in datasets.items()
        if facts.get("other_teacher_model")
    ]


def _other(facts: Mapping[str, Any]) -> str:
    other: str = facts["other_teacher_model"]
    return f"another run of {other}" if other == facts["teacher_model"] else other


def _counts(facts: Mapping[str, Any], kind: Kind) -> tuple[int, int]:
    """Runs with a result, and all of them; a failed or cancelled run fills no bar."""
    runs: Mapping[str, int] = facts["kinds"].get(kind, {})
    return runs.get(State.COMPLETED, 0), sum(runs.values())


def _fraction(facts: Mapping[str, Any], kind: Kind) -> Text:
    done, every = _counts(facts, kind)
    return cut(f"{done}/{every}" if every else MISSING)


def _bar(facts: Mapping[str, Any], kind: Kind, width: int) -> RenderableType:
    done, every = _counts(facts, kind)
    if not every:
        return cut(MISSING)
    cell = Table.grid(padding=(0, 1, 0, 0))
    cell.add_column(no_wrap=True)
    cell.add_column(justify="right", no_wrap=True, min_width=7 if width > 4 else 5)
    cell.add_row(ProgressBar(total=every, completed=done, width=width), _fraction(facts, kind))
    return cell


def _lost(facts: Mapping[str, Any]) -> int:
    runs: Mapping[str, int] = facts["runs"]
    return runs.get(State.FAILED, 0) + runs.get(State.SKIPPED, 0)


def _failed(row: tuple[str, Mapping[str, Any]]) -> Text:
    lost = _lost(row[1])
    return cut(lost, STYLES[State.FAILED]) if lost else cut(MISSING)
