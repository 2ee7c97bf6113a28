"""What a figure is, and the parts that figures share, as Vega-Lite has them.

Names from sweeps are only ever values of rows, never field names or parts of expressions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]
Spec = dict[str, Any]
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
ALL = "all data sets"
STAGE_COLOURS = {
    "fine-tuned": "#4269d0",
    "distilled": "#ff725c",
    "published, fine-tuned": "#9db3ea",
    "published, distilled": "#ffb9ae",
}
STEP = 19  # pixels of a row of a chart with names on its axis
NAME = {"labelLimit": 220, "title": None}


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One figure; `parts` are the static files where one picture could not hold what the page lets people choose."""

    name: str
    title: str
    spec: Spec | None  # None where there is nothing to draw
    note: str = ""
    empty: str = ""
    parts: Mapping[str, Spec] = field(default_factory=dict)

    @property
    def statics(self) -> Mapping[str, Spec]:
        """File name without suffix -> what is drawn in it."""
        if self.spec is None:
            return {}
        return self.parts or {self.name: self.spec}


def spec(rows: Sequence[Row], **parts: Any) -> Spec:
    return {"$schema": SCHEMA, "data": {"values": list(rows)}, **parts}


def stage_colour(rows: Sequence[Row], legend: bool = True) -> Spec:
    there = [stage for stage in STAGE_COLOURS if any(row["stage"] == stage for row in rows)]
    return {"field": "stage", "type": "nominal", "title": None, "scale": {"domain": there, "range": [STAGE_COLOURS[s] for s in there]},
            "legend": {"orient": "top"} if legend else None}  # fmt: skip


def tip(*fields: tuple[str, str, str]) -> list[Spec]:
    """Tooltip lines from (field, title, number format or empty)."""
    return [
        {
            "field": name,
            "title": title,
            **({"type": "quantitative", "format": form} if form else {"type": "nominal"}),
        }
        for name, title, form in fields
    ]


HIDDEN: Spec = {"name": "hidden", "value": []}  # what clicks on the legend have hidden; page.js fills it


def faded(*fields: str, shown: float = 1) -> Spec:
    """Opacity of what stands in these fields, near nothing where a click on the legend has hidden it."""
    test = " && ".join(f"indexof(hidden, datum.{name}) < 0" for name in fields)
    return {"condition": {"test": test, "value": shown}, "value": 0.05}


def choice(name: str, label: str, options: Sequence[str], value: str) -> Spec:
    return {
        "name": name,
        "value": value,
        "bind": {"input": "select", "options": list(options), "name": f"{label} "},
    }


def distinct(rows: Sequence[Row], name: str) -> list[Any]:
    return list(dict.fromkeys(row[name] for row in rows))
