"""A plan as a screen: what would run, for how long, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from sgonz.plan.runs import Kind
from sgonz.plan.wording import number_of
from sgonz.view.cells import Column, cut, table_of, whole
from sgonz.view.figures import MISSING, hours, printable

GAP = 2  # columns between two cells


def plan_screen(plan: Mapping[str, Any], width: int) -> RenderableType:
    """Counts, one cell for each data set and model with its runs, predicted hours, warnings."""
    parts: list[RenderableType] = [_first_line(plan)]
    if plan["matrix"]:
        parts.append(_matrix(plan["matrix"], width))
    if plan["students"]:
        parts.append(whole(f"students: {', '.join(map(printable, plan['students']))}"))
    parts.append(whole(f"predicted: {hours(plan['predicted_hours'])} ({plan['estimated_by']})"))
    parts += map(whole, _foreseen(plan))
    if plan.get("memory"):
        parts.append(_memory(plan["memory"], width))
    if plan.get("budget_gpu_hours"):
        parts.append(whole(f"budget: {plan['budget_gpu_hours']:g} GPU-hours"))
    parts += [whole(f"warning: {warning}", "yellow") for warning in plan["warnings"]]
    return Group(*parts)


def _memory(models: Sequence[Mapping[str, Any]], width: int) -> RenderableType:
    """What models take at the largest batch, and where that is known from."""

    def figure(value: float | None, form: str) -> str:
        return MISSING if value is None else format(value, form)

    columns = [
        Column(heading="model", cell=lambda row: cut(row["model"])),
        Column(heading="batch", cell=lambda row: cut(row["batch_size"]), number=True),
        Column(heading="length", cell=lambda row: cut(row["length"]), number=True, least=70),
        Column(heading="at a time", cell=lambda row: cut(row["micro_batch"] or row["batch_size"]), number=True, least=90),
        Column(heading="memory GB", cell=lambda row: cut(figure(row["memory_gb"], ".2f")), number=True),
        Column(heading="s/step", cell=lambda row: cut(figure(row["seconds_per_step"], ".3g")), number=True, least=80),
        Column(heading="known from", cell=lambda row: cut(row["estimated_by"].split(", ")[0])),
    ]  # fmt: skip
    return table_of(columns, models, width=width)


def _foreseen(plan: Mapping[str, Any]) -> list[str]:
    """Hours of what follows, and how runs are packed into jobs."""
    by_kind = plan.get("predicted_hours_by_kind", {})
    later = [f"{kind} {hours(by_kind[kind])}" for kind in (Kind.LOGITS, Kind.DISTILL) if by_kind.get(kind)]
    lines = [f"then: {', '.join(later)}, early stopping counted as half"] if later else []
    jobs = plan.get("jobs")
    lines += [f"{each['model']}: {each['class']} ({each['why']})" for each in plan.get("classes", ())]
    lines += map(_ask_line, plan.get("asks", ()))
    if jobs:
        least, most = jobs["runs_per_job"]
        each = f"{least} to {most} runs" if least != most else number_of(least, "run")
        room = f"{jobs['slots']} at a time" if jobs["slots"] else "all at once"
        beside = f", {jobs['runs_per_gpu']} side by side" if jobs["runs_per_gpu"] > 1 else ""
        lines.append(
            f"packing: {number_of(jobs['jobs'], 'job')} of {each}{beside} on {jobs['cluster']}, about {hours(jobs['target_minutes'] / 60).removeprefix('about ')} at most"
        )
        lines.append(
            f"finish: in {hours(jobs['hours_at_best'])} with {room}, in {hours(jobs['hours_one_by_one'])} one after the other"
        )
    return lines


def _ask_line(asked: Mapping[str, Any]) -> str:
    """What jobs of a class ask for, and where they may begin."""
    minutes = [f"{asked['minutes']} minutes"] if asked["minutes"] else []
    what = ", ".join([*([asked["gres"]] if asked["gres"] else []), *minutes]) or "the cluster's defaults"
    where = " or ".join(asked["partitions"]) or "the cluster's default partition"
    short = f" ({', '.join(asked['too_short'])} would end them sooner)" if asked["too_short"] else ""
    return printable(
        f"{number_of(asked['jobs'], 'job')} of class {asked['class']}: {what}, in {where}{short}"
    )


def _first_line(plan: Mapping[str, Any]) -> Text:
    runs = plan["runs"]
    line = whole(plan["sweep"], "bold")
    protocol = f", protocol {plan['protocol']}" if plan.get("protocol") else ""
    new = _new(plan)
    kinds = ", ".join(f"{runs[kind]:,} {kind}" for kind in Kind if runs.get(kind))
    line.append(f": {number_of(runs['total'], 'run')} ({kinds}){new}{protocol}", style="not bold")
    return line


def _new(plan: Mapping[str, Any]) -> str:
    """How many of the runs that go first are new; which ones follow depends on their results."""
    if plan.get("new") is None:
        return ""
    first = sum(plan["runs"].get(kind, 0) for kind in (Kind.FINETUNE, Kind.BENCHMARK))
    return f", {plan['new']:,} of the first {first:,} new"


def _matrix(cells: Sequence[Mapping[str, Any]], width: int) -> RenderableType:
    """Models down and data sets across, or the other way round, or a list: whatever fits."""
    for down, across in (("model", "dataset"), ("dataset", "model")):
        if _width(cells, down, across) <= width:
            return _grid(cells, down, across, width)
    columns = [
        Column(heading="data set", cell=lambda cell: cut(cell["dataset"])),
        Column(heading="model", cell=lambda cell: cut(cell["model"])),
        Column(heading="runs", cell=lambda cell: cut(cell["runs"]), number=True),
    ]
    return table_of(columns, cells, width=width, group=lambda cell: cell["dataset"])


def _width(cells: Sequence[Mapping[str, Any]], down: str, across: str) -> int:
    most = max(len(str(cell["runs"])) for cell in cells)
    headings = {printable(cell[across]) for cell in cells}
    first = max(len(printable(cell[down])) for cell in cells)
    return first + sum(max(len(name), most) + GAP for name in headings) + GAP


def _grid(cells: Sequence[Mapping[str, Any]], down: str, across: str, width: int) -> RenderableType:
    found = {(cell[down], cell[across]): cell["runs"] for cell in cells}
    names = list(dict.fromkeys(cell[down] for cell in cells))
    headings = list(dict.fromkeys(cell[across] for cell in cells))
    heading = {"model": "model", "dataset": "data set"}[down]
    columns = [Column(heading=heading, cell=lambda name: cut(name))]
    for other in headings:
        columns.append(
            Column(
                heading=other,
                cell=lambda name, other=other: cut(found.get((name, other), MISSING)),  # type: ignore[misc]
                number=True,
            )
        )
    return table_of(columns, names, width=width)
