"""The page: one HTML file with its style, its script, its library and its numbers inside."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sgonz import __version__
from sgonz.plan.wording import number_of
from sgonz.view.report import papers
from sgonz.view.report.cells import best, headings, is_number, number, rules, shown
from sgonz.view.report.chart import Chart
from sgonz.view.report.drawing import CONFIG, library

Row = Mapping[str, Any]
ASSETS = Path(__file__).parent / "assets"
LONG = 48  # letters from which a cell may break
COPIED = 400  # rows up to which a table can be copied from the page; longer ones lie beside it

# What stands where: a title and the tables and figures under it.
PARTS: Sequence[tuple[str, str, Sequence[tuple[str, str]]]] = (
    ("results", "Results", (("table", "summary"), ("figure", "scores"))),
    ("tasks", "By task", (("table", "classification"), ("table", "tagging"), ("table", "qa"))),
    ("teaching", "Teachers", (("table", "teachers"),)),
    ("costs", "Score against cost", (("figure", "score-macs"), ("figure", "score-latency"), ("figure", "front"), ("table", "tradeoff"),
                                     ("figure", "balance"), ("table", "speed"))),
    ("comparison", "Published results", (("figure", "differences"), ("table", "published"))),
    ("learning", "Learning curves", (("figure", "curves"),)),
    ("grids", "Grids", (("figure", "grid"), ("table", "selected"))),
    ("spent", "Time spent", (("figure", "hours"), ("table", "hours"))),
    ("trouble", "Failures and doubts", (("table", "failures"), ("table", "flagged"))),
    ("provenance", "Provenance", ()),
    ("reproduce", "How to reproduce", ()),
)  # fmt: skip


def page(report: Row, charts: Sequence[Chart]) -> str:
    """The report as HTML. Names from sweeps are escaped wherever they stand."""
    environment = Environment(
        loader=FileSystemLoader(ASSETS), autoescape=True, undefined=StrictUndefined, trim_blocks=False
    )
    tables = {table["name"]: _table(table) for table in report["tables"]}
    figures = {chart.name: chart for chart in charts}
    return environment.get_template("page.html.j2").render(
        sweep={**report["sweep"], "notes": [{**note, "day": _day(note["time"])} for note in report["sweep"]["notes"]]},
        version=__version__, lead=_lead(report), facts=_facts(report), gaps=report["gaps"], parts=_parts(tables, figures), tables=tables,
        figures={name: {"name": name, "title": chart.title, "note": chart.note, "empty": chart.empty, "drawn": chart.spec is not None}
                 for name, chart in figures.items()},
        provenance=report["provenance"], reproduce=report["reproduce"], made=_day(report["sweep"]["made"]),
        charts=_script({"config": {**CONFIG, "background": "transparent"}, "charts": {chart.name: chart.spec for chart in charts if chart.spec}}),
        papers=_script({table["name"]: _papers(table) for table in report["tables"] if 0 < len(table["rows"]) <= COPIED}),
        css=Markup((ASSETS / "page.css").read_text()), script=Markup((ASSETS / "page.js").read_text()),
        library=Markup(library()),
    )  # fmt: skip


def _parts(tables: Mapping[str, Any], figures: Mapping[str, Chart]) -> list[dict[str, Any]]:
    """Those parts that have something to hold; a sweep without question answering has no such table."""
    found = []
    for name, title, holds in PARTS:
        there = [(kind, of) for kind, of in holds if of in (tables if kind == "table" else figures)]
        if there or not holds:
            found.append({"id": name, "title": title, "holds": there})
    return found


def _table(table: Row) -> dict[str, Any]:
    winners, breaks = best(table), rules(table)
    columns = [{**column, "number": is_number(column)} for column in table["columns"]]
    cells = [
        {"rule": at in breaks, "cells": [_cell(row, column, (at, column["name"]) in winners) for column in columns]}
        for at, row in enumerate(table["rows"])
    ]  # fmt: skip
    return {**table, "columns": columns, "cells": cells, "headings": headings(table),
            "papers": ["markdown", "latex", "csv"] if len(cells) <= COPIED else []}  # fmt: skip


def _cell(row: Row, column: Row, winner: bool) -> dict[str, Any]:
    text = shown(row, column)
    kinds = [
        "n" if column["number"] else "t",
        *(["best"] if winner else []),
        *(["long"] if len(text) > LONG else []),
    ]
    return {"kind": " ".join(kinds), "value": row.get(column["name"]), "text": text, "mark": row.get(f"{column['name']}_mark")}  # fmt: skip


def _papers(table: Row) -> dict[str, str]:
    return {"markdown": papers.markdown(table), "latex": papers.latex(table), "csv": papers.as_csv(table)}


def _script(value: Any) -> Markup:
    """JSON that cannot end the script element that it stands in."""
    return Markup(json.dumps(value, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))  # fmt: skip


def _lead(report: Row) -> str:
    sweep = report["sweep"]
    return (f"{number_of(sweep['models'], 'model')} on {number_of(sweep['datasets'], 'data set')}, "
            f"{number_of(sweep['runs'], 'run')}, protocol {sweep['protocol']}, begun {_day(sweep['created'])}, "
            f"read {_day(sweep['made'])}.")  # fmt: skip


def _facts(report: Row) -> list[dict[str, str]]:
    states, tables = report["states"], {table["name"]: table for table in report["tables"]}
    hours = tables["hours"]["rows"]
    facts = [(state.lower(), f"{count:,}") for state, count in states.items()]
    facts += [(f"{kind} runs", f"{count:,}") for kind, count in report["sweep"]["kinds"].items()]
    facts += [("device hours", number(sum(row["hours"] for row in hours), "hours")),
              ("of them wasted", number(sum(row["wasted"] for row in hours), "hours")),
              ("seeds", ", ".join(map(str, report["sweep"]["seeds"]))), ("cluster", report["sweep"]["cluster"])]  # fmt: skip
    return [{"name": name, "value": value} for name, value in facts]


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
