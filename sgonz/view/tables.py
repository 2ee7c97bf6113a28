"""Answers on stdout, for people: as wide as the terminal, without codes where somebody else reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from sgonz.plan.remedy import said
from sgonz.plan.runs import State
from sgonz.plan.wording import number_of
from sgonz.view.boards import leaderboard_table, one_answer_lines, results_table
from sgonz.view.cells import Column, Row, cut, stdout_console, table_of, whole
from sgonz.view.figures import MISSING, done_of, plain, printable
from sgonz.view.matrix import plan_screen
from sgonz.view.stages import STYLES, counts_line, doubts, other_choices, stage_table

FAILURES_SHOWN = 20
ROWS_MEASURED = 1000
LEAST_HEADING, LEAST_TEXT, GAP = 8, 16, 2  # characters of a column: its name, its text, what is between two
LONGEST_WORD = 32  # what is longer, a path, may be broken


def show_status(answer: Mapping[str, Any], *, console: Console | None = None) -> None:
    """Print an answer of `status()`."""
    console = console or stdout_console()
    console.print(status_screen(answer, console.width))


def show_leaderboard(rows: Sequence[Row], *, console: Console | None = None) -> None:
    """Print rows of `leaderboard()`."""
    console = console or stdout_console()
    console.print(leaderboard_table(rows, console.width))
    for line in one_answer_lines(rows):
        console.print(whole(line, "yellow"))


def show_results(rows: Sequence[Row], *, console: Console | None = None) -> None:
    """Print rows of `results()`."""
    console = console or stdout_console()
    console.print(results_table(rows, console.width))


def show_plan(plan: Mapping[str, Any], *, console: Console | None = None) -> None:
    """Print what a sweep would run."""
    console = console or stdout_console()
    console.print(plan_screen(plan, console.width))


def show_rows(
    columns: Sequence[str], rows: Sequence[Row], title: str | None = None, *, console: Console | None = None
) -> None:
    """Print rows of any kind; `columns` says which of their values, in which order."""
    console = console or stdout_console()
    fitting = columns_that_fit(columns, rows, console.width)
    console.print(any_table(fitting, rows, title, console.width))
    if left_out := [printable(name) for name in columns if name not in fitting]:
        console.print(
            whole(f"not shown for want of width: {', '.join(left_out)} (--format csv has them)", "dim")
        )


def status_screen(answer: Mapping[str, Any], width: int) -> RenderableType:
    """Counts, a row for each data set, what runs wait for, and the failures."""
    parts: list[RenderableType] = [
        *_heading(answer),
        *map(whole, _label_lines(answer)),
        stage_table(answer["datasets"], width=width),
    ]
    parts += [whole(line, "yellow") for line in doubts(answer["datasets"])]
    parts += [whole(line, "dim") for line in other_choices(answer["datasets"])]
    if answer["waiting"]:
        reasons = sorted(answer["waiting"].items(), key=lambda pair: -pair[1])
        parts.append(whole("waiting: " + ", ".join(f"{size:,} {printable(why)}" for why, size in reasons)))
    if answer.get("budget"):
        parts.append(whole(_budget_line(answer["budget"])))
    parts += [whole(line, "dim") for line in _memory_lines(answer)]
    if answer.get("disk"):
        parts.append(whole(printable(answer["disk"]), "yellow"))
    for node, why in answer.get("excluded_nodes", {}).items():
        parts.append(whole(printable(f"node {node} is left out: {why}")))
    if answer.get("detached"):
        parts.append(whole(_detached_line(answer["detached"])))
    if answer["failures"]:
        parts.append(_failures(answer["failures"], width))
        parts.append(whole("sgonz failures says what helps; sgonz logs prints the end of their logs", "dim"))
    if len(answer["failures"]) > FAILURES_SHOWN:
        parts.append(cut(f"and {len(answer['failures']) - FAILURES_SHOWN:,} more", "dim"))
    return Group(*parts)


def _budget_line(budget: Mapping[str, float]) -> str:
    return (
        f"budget: {budget['used']:.3g} of {budget['gpu_hours']:g} GPU-hours used, {budget['promised']:.3g} promised to "
        f"jobs that are out, about {budget['wanted']:.3g} for what is planned"
    )


def _heading(answer: Mapping[str, Any]) -> tuple[Text, Text]:
    done, every = done_of(answer["runs"])
    first = cut(answer["sweep"], "bold")
    end = ", finished" if answer["finished"] else ""
    first.append(f": {done:,} of {number_of(every, 'run')} done{end}", style="not bold")
    first.append(f", {number_of(answer['attempts'], 'attempt')}", style="not bold")
    return first, counts_line(answer["runs"])


def _label_lines(answer: Mapping[str, Any]) -> list[str]:
    """What people wrote about the sweep."""
    tags = answer.get("tags")
    lines = [f"tags: {', '.join(tags)}"] if tags else []
    return lines + [
        printable(f"{note['time']}, {note['author']}: {note['text']}") for note in answer.get("notes", ())
    ]


def _detached_line(facts: Row) -> str:
    """Who makes the next turn."""
    if facts["job"] is None:
        why = facts["problem"] or "it was being queued when something died"
        return printable(f"detached, but no job makes the next turn: {why}; sgonz advance goes on")
    queued = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(facts["queued"]))
    return f"detached: job {facts['job']}, queued {queued}, makes the next turn"


def _memory_lines(answer: Mapping[str, Any]) -> list[str]:
    """What memory made smaller or moved, and what was tried on the way there."""
    tried = {_of_shape(each): each for each in answer.get("splits", ())}
    lines = [_memory_line(step, tried.pop(_of_shape(step), None)) for step in answer.get("memory", ())]
    return lines + [_tried_line(each) for each in tried.values()]


def _of_shape(step: Row) -> tuple[object, ...]:
    return step["kind"], step["model"], step["dataset"], step.get("device", "")


def _tried_line(tried: Row) -> str:
    """What does not fit as a whole, of runs of which none has a result yet."""
    runs = f"{tried['runs']:,} runs, as {tried['run_id'][:8]}" if tried["runs"] > 1 else tried["run_id"][:8]
    return printable(
        f"memory: {tried['model']} on {tried['dataset']} ({tried['kind']}, {runs}) is tried {_steps(tried)} on {tried['device']}"
    )


def _steps(tried: Row) -> str:
    """in micro-batches of 4, 2, 1; recomputing activations of 8, 4"""
    said: dict[str, list[str]] = {}
    for step in tried["steps"]:
        how = "recomputing activations, " if step["recompute"] else "scoring, " if step["reading"] else ""
        said.setdefault(how, []).append(str(step["micro_batch"]))
    sizes = "; ".join(f"{how}of {', '.join(parts)}" for how, parts in said.items())
    return f"in micro-batches {sizes}, since step {tried['steps'][-1]['step']}"


def _memory_line(step: Row, tried: Row | None) -> str:
    """One thing that memory made smaller or moved."""
    what = f"memory: {step['model']} on {step['dataset']}"
    if "resource" in step:
        after = " and ".join(_place(each) for each in step.get("passed", ()))
        where = _place(step) + (f", after {after}" if after else "")
        return printable(f"{what} ({step['kind']}) starts in {where}: {step['reason']}")
    size = f"in micro-batches of {step['micro_batch']}" if step["micro_batch"] else "in whole batches"
    again = ", recomputing activations" if step["recompute"] else ""
    path = f", tried {_steps(tried)}" if tried else ""
    return printable(f"{what} ({step['kind']}) runs {size}{again} on {step['device']}{path}")


def _place(asked: Row) -> str:
    return f"{asked['resource']}" + (f" with {asked['memory_gb']:g} GB" if asked["memory_gb"] else "")


def _failures(failures: Sequence[Row], width: int) -> Table:
    columns = [
        Column(heading="run", cell=lambda row: cut(row["run_id"])),
        Column(heading="state", cell=lambda row: cut(row["state"], STYLES[State(row["state"])]), least=92),
        Column(heading="kind", cell=lambda row: cut(row["kind"])),
        Column(heading="data set", cell=lambda row: cut(row["dataset"])),
        Column(heading="model", cell=lambda row: cut(row["model"])),
        Column(heading="reason", cell=lambda row: whole(said(row["error"] or row["reason"] or MISSING))),
    ]
    return table_of(columns, failures[:FAILURES_SHOWN], width=width)


def any_table(columns: Sequence[str], rows: Sequence[Row], title: str | None, width: int) -> Table:
    """Rows of any kind; long text goes on in the next line, so that nothing is lost."""
    shown = [
        Column(heading=name, cell=_cell(name), number=_is_numeric([row.get(name) for row in rows]))
        for name in columns
    ]
    return table_of(shown, rows, width=width, title=title)


def columns_that_fit(columns: Sequence[str], rows: Sequence[Row], width: int) -> Sequence[str]:
    """Columns that can be read at this width: empty ones go first, then those before the last."""
    needs = {name: _need(name, rows) for name in columns}
    shown = list(columns)
    empty = [name for name in columns if all(row.get(name) is None for row in rows)]
    for name in [*reversed(empty), *(name for name in reversed(columns[1:-1]) if name not in empty)]:
        if len(shown) <= 2 or sum(needs[each] + GAP for each in shown) <= width:
            break
        shown.remove(name)
    return shown


def _need(name: str, rows: Sequence[Row]) -> int:
    """The width below which a column is no pleasure to read; text that is longer goes on in the next line."""
    longest = max((len(plain(row.get(name))) for row in rows[:ROWS_MEASURED]), default=0)
    shown = [plain(row.get(name)) for row in rows[:ROWS_MEASURED]]
    word = max((len(part) for text in shown for part in text.split()), default=0)  # a name is not broken
    return max(min(len(name), LEAST_HEADING), min(longest, LEAST_TEXT), min(word, LONGEST_WORD))


def _is_numeric(values: Sequence[Any]) -> bool:
    given = [value for value in values if value is not None]
    return bool(given) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in given
    )


def _cell(name: str) -> Callable[[Row], Text]:
    return lambda row: Text(plain(row.get(name)), overflow="fold")
