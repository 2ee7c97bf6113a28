"""Ours beside the published numbers, as two tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from sgonz.view.cells import Column, cut, stdout_console, table_of, whole
from sgonz.view.figures import MISSING, count, score

Row = Mapping[str, Any]


def show_comparison(compared: Mapping[str, Sequence[Row]], *, console: Console | None = None) -> None:
    """Print an answer of `comparison.compare()`."""
    console = console or stdout_console()
    console.print(comparison_screen(compared, console.width))


def comparison_screen(compared: Mapping[str, Sequence[Row]], width: int) -> RenderableType:
    """Every test score with its difference, then every model with its Score and Speedup as they are printed."""
    if not compared["results"]:
        return cut("no run is selected yet")
    results = [
        Column(heading="data set", cell=lambda row: cut(row["dataset"])),
        Column(heading="kind", cell=lambda row: cut(row["kind"])),
        Column(heading="model", cell=lambda row: cut(row["model"])),
        Column(heading="teacher", cell=lambda row: cut(row["teacher"] or MISSING), least=100),
        Column(heading="published", cell=lambda row: cut(row["published_teacher"] or MISSING), least=120),
        Column(heading="metric", cell=lambda row: cut(row["metric"].replace("_", " "))),
        Column(heading="ours", cell=lambda row: cut(score(row["ours"])), number=True),
        Column(heading="theirs", cell=lambda row: cut(score(row["published"])), number=True),
        Column(heading="difference", cell=lambda row: _signed(row["difference"]), number=True),
    ]
    summary = [
        Column(heading="kind", cell=lambda row: cut(row["kind"])),
        Column(heading="model", cell=lambda row: cut(row["model"])),
        Column(heading="Score", cell=lambda row: cut(score(row["score_truncated"])), number=True),
        Column(heading="theirs", cell=lambda row: cut(score(row["published_score"])), number=True),
        Column(heading="difference", cell=lambda row: _signed(row["score_difference"]), number=True),
        Column(heading="M", cell=lambda row: cut(count(row["millions"])), number=True, least=92),
        Column(
            heading="theirs", cell=lambda row: cut(count(row["published_millions"])), number=True, least=92
        ),
        Column(heading="Speedup", cell=lambda row: cut(score(row["speedup_truncated"])), number=True),
        Column(heading="theirs", cell=lambda row: cut(score(row["published_speedup"])), number=True),
    ]
    by_dataset = sorted(
        compared["results"], key=lambda row: _names(compared["results"]).index(row["dataset"])
    )
    return Group(
        table_of(results, by_dataset, width=width, group=lambda row: row["dataset"]),
        whole(
            "Score: the mean over all eight data sets. Speedup: BETO's MACs over the model's. Both cut, as published."
        ),
        table_of(summary, compared["summary"], width=width, group=lambda row: row["kind"]),
    )


def _names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["dataset"] for row in rows))


def _signed(value: float | None) -> Text:
    return cut(MISSING) if value is None else cut(f"{value:+.2f}", "green" if value >= 0 else "")
