"""Numbers of a report as the study prints them, and which cells are the best of their section."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sgonz.plan.scoring import round2
from sgonz.view.figures import MISSING, loss, rate

Row = Mapping[str, Any]
MARK = "†"


def number(value: Any, form: str) -> str:
    """One value without its spread."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return MISSING
    match form:
        case "score":
            return f"{_two(value)}"
        case "signed":
            rounded = _two(value)
            return f"{'+' if rounded > 0 else ''}{'0.00' if rounded == 0 else rounded}".replace("-", "−")
        case "loss":
            return loss(value)
        case "rate":
            return rate(value)
        case "count":
            return f"{value:,}"
        case "millions":
            return f"{value:,}M" if value else "<1M"
        case "times":
            return f"{_two(value)}x"
        case "gmacs":
            return f"{_two(value):,}"
        case "number":
            return (
                f"{value:,.1f}"
                if abs(value) >= 100
                else f"{value:.2f}"
                if abs(value) >= 1
                else f"{value:.3g}"
            )
        case "hours":
            return (
                f"{value:,.1f}" if value >= 1 else f"{value:.2f}" if value >= 0.005 or not value else "<0.01"
            )
        case "share":
            return f"{value:.3f}"
        case _:
            return str(value)


def _two(value: float) -> Decimal:
    return round2(value)


def shown(row: Row, column: Row) -> str:
    """A cell's text: the value, ± its spread over seeds, and the mark of what is to be doubted."""
    name, form = column["name"], column["form"]
    text = number(row.get(name), form)
    spread = row.get(f"{name}_sd")
    if spread is not None and text != MISSING:
        text = f"{text} ± {number(spread, form)}"
    return f"{text}{MARK}" if row.get(f"{name}_mark") and text != MISSING else text


def is_number(column: Row) -> bool:
    return bool(column["form"] != "text")


def best(table: Row) -> set[tuple[int, str]]:
    """(row number, column) of every best value of its section; nothing where a section has one row."""
    sections: dict[Any, list[int]] = {}
    for position, row in enumerate(table["rows"]):
        sections.setdefault(row.get(table["section"]) if table["section"] else None, []).append(position)
    found = set()
    for column in table["columns"]:
        for positions in sections.values() if column["best"] else ():
            found |= _best_of(table["rows"], positions, column)
    return found


def _best_of(rows: Sequence[Row], positions: Sequence[int], column: Row) -> set[tuple[int, str]]:
    name = column["name"]
    there = [at for at in positions if rows[at].get(name) is not None]
    if len(there) < 2:
        return set()
    choose = max if column["best"] == "high" else min
    top = number(choose(rows[at][name] for at in there), column["form"])  # what prints the same is as good
    return {(at, name) for at in there if number(rows[at][name], column["form"]) == top}


def rules(table: Row) -> set[int]:
    """Numbers of the rows that start another section."""
    name, rows = table["section"], table["rows"]
    return {at for at in range(1, len(rows)) if name and rows[at].get(name) != rows[at - 1].get(name)}


def headings(table: Row) -> list[tuple[str | None, int]]:
    """The upper row of headings: (text, columns that it spans); None above a column that stands alone."""
    spans: list[tuple[str | None, int]] = []
    for column in table["columns"]:
        group = column["group"]
        if group is not None and spans and spans[-1][0] == group:
            spans[-1] = (group, spans[-1][1] + 1)
        else:
            spans.append((group, 1))
    return spans if any(group for group, _ in spans) else []
