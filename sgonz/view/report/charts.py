"""The figures as Vega-Lite specifications: one of each serves the page (hover, legends, choices) and the static files."""

from __future__ import annotations

from collections.abc import Sequence

from sgonz.view.figures import printable
from sgonz.view.report import costs, grids
from sgonz.view.report.chart import (
    HIDDEN,
    NAME,
    STEP,
    Chart,
    Row,
    Spec,
    choice,
    distinct,
    faded,
    spec,
    stage_colour,
    tip,
)


def charts(report: Row) -> list[Chart]:
    """Every figure of a report, those without anything to draw among them."""
    figures = {name: [_clean(row) for row in rows] for name, rows in report["figures"].items()}
    notes = report["notes"]
    return [
        _scores(figures["scores"]),
        *costs.charts(figures["points"]),
        _differences(figures["differences"]),
        _curves(figures["curves"], notes["curves"]),
        grids.chart(figures["grid"]),
        _hours(figures["hours"]),
    ]


def _clean(row: Row) -> Row:
    """Text without the line separators that end a string in Vega's own scripts."""
    return {name: printable(value) if isinstance(value, str) else value for name, value in row.items()}


def _scores(rows: Sequence[Row]) -> Chart:
    title = "Test scores"
    if not rows:
        return Chart(
            name="scores",
            title=title,
            spec=None,
            empty="No selected run has been scored on its test split yet.",
        )
    models = distinct(rows, "model")
    ends = [
        {**row, "low": row["score"] - (row["sd"] or 0), "high": row["score"] + (row["sd"] or 0)}
        for row in rows
    ]
    y = {"field": "model", "type": "nominal", "sort": models, "axis": NAME}
    x = {
        "type": "quantitative",
        "scale": {"zero": False, "nice": True},
        "axis": {"title": None, "tickCount": 5},
    }
    layers = [
        {"mark": {"type": "rule", "strokeWidth": 1.5},
         "encoding": {"x": {"field": "low", **x}, "x2": {"field": "high"}, "y": y, "color": stage_colour(rows),
                      "opacity": faded("stage")}},
        {"mark": {"type": "point", "filled": True, "size": 70},
         "encoding": {"x": {"field": "score", **x}, "y": y, "color": stage_colour(rows), "opacity": faded("stage"),
                      "tooltip": tip(("model", "Model", ""), ("stage", "Stage", ""), ("dataset", "Data set", ""),
                                     ("metric", "Metric", ""), ("score", "Test", ".2f"), ("sd", "± sd", ".2f"),
                                     ("seeds", "Seeds", ".0f"), ("teacher", "Teacher", ""))}},
    ]  # fmt: skip
    drawn = spec(ends, params=[HIDDEN], facet={"field": "dataset", "type": "nominal", "title": None, "sort": distinct(rows, "dataset"), "header": {"labelLimit": 150}}, columns=4,
                 spec={"width": 150, "height": {"step": STEP}, "layer": layers}, resolve={"scale": {"x": "independent"}})  # fmt: skip
    return Chart(name="scores", title=title, spec=drawn, note="The selected run of every model, percent; a line is ± one standard deviation "
                 "over seeds. Every data set has an axis of its own.")  # fmt: skip


def _curves(rows: Sequence[Row], note: str) -> Chart:
    title = "Learning curves"
    if not rows:
        return Chart(name="curves", title=title, spec=None, empty="No epoch-by-epoch scores are stored for the selected runs "
                     "(imported results have none).")  # fmt: skip
    names, models, datasets = distinct(rows, "name"), distinct(rows, "model"), distinct(rows, "dataset")

    def drawn(start: str) -> Spec:
        return spec(
            rows,
            params=[HIDDEN, choice("shown_curve", "Shown", names, start)],
            transform=[{"filter": "datum.name == shown_curve"}],
            facet={"field": "dataset", "type": "nominal", "title": None, "sort": datasets}, columns=3,
            spec={
                "width": 215, "height": 150,
                "mark": {"type": "line", "point": {"size": 22}, "strokeWidth": 1.6},
                "encoding": {
                    "x": {"field": "epoch", "type": "quantitative", "title": "epoch", "axis": {"labelExpr": "datum.value % 1 ? '' : format(datum.value, 'd')", "grid": False, "tickCount": 6}},
                    "y": {"field": "value", "type": "quantitative", "title": None, "scale": {"zero": False}},
                    "color": {"field": "model", "type": "nominal", "sort": models, "title": None, "scale": {"scheme": "tableau20"},
                              "legend": {"orient": "bottom", "columns": 5, "labelLimit": 200, "symbolLimit": 40}},
                    "strokeDash": {"field": "stage", "type": "nominal", "title": None, "sort": ["fine-tuned", "distilled"],
                                   "legend": {"orient": "bottom"}},
                    "detail": {"field": "run"}, "opacity": faded("model", "stage"),
                    "tooltip": tip(("model", "Model", ""), ("stage", "Stage", ""), ("dataset", "Data set", ""), ("epoch", "Epoch", ".0f"),
                                   ("name", "Shown", ""), ("value", "Value", ".4f"), ("seed", "Seed", ".0f"), ("run", "Run", "")),
                },
            },
            resolve={"scale": {"x": "independent", "y": "independent"}},
        )  # fmt: skip

    parts = {f"curves-{name.replace(' ', '-').replace('_', '-')}": drawn(name) for name in names}
    return Chart(name="curves", title=title, spec=drawn("validation loss" if "validation loss" in names else names[0]), note=note,
                 parts=parts)  # fmt: skip


def _hours(rows: Sequence[Row]) -> Chart:
    split = [
        {"kind": row["kind"], "dataset": row["dataset"], "work": f"{row['kind']} {row['dataset']}", "what": what, "hours": hours,
         "attempts": row["attempts"]}
        for row in rows
        for what, hours in (("gave a result", row["hours"] - row["wasted"]), ("wasted", row["wasted"]))
    ]  # fmt: skip
    if not any(row["hours"] > 0 for row in split):
        return Chart(name="hours", title="Device hours", spec=None, empty="No time has been recorded yet.")
    drawn = spec(
        split, width=520, height={"step": STEP}, params=[HIDDEN],
        mark={"type": "bar", "height": {"band": 0.75}},
        encoding={
            "y": {"field": "work", "type": "nominal", "sort": distinct(split, "work"), "axis": NAME},
            "x": {"field": "hours", "type": "quantitative", "title": "hours"},
            "color": {"field": "what", "type": "nominal", "title": None, "legend": {"orient": "top"},
                      "scale": {"domain": ["gave a result", "wasted"], "range": ["#4269d0", "#e15759"]}},
            "opacity": faded("what"),
            "tooltip": tip(("kind", "Kind", ""), ("dataset", "Data set", ""), ("what", "Time that", ""), ("hours", "Hours", ",.3f"),
                           ("attempts", "Attempts", ",.0f")),
        },
    )  # fmt: skip
    return Chart(
        name="hours",
        title="Device hours",
        spec=drawn,
        note="Time on the device of every attempt, by what it worked on.",
    )


def _differences(rows: Sequence[Row]) -> Chart:
    title = "Differences from the published results"
    if not rows:
        return Chart(
            name="differences",
            title=title,
            spec=None,
            empty="Nothing here was published: there is nothing to compare with.",
        )
    most = max(1.0, *(abs(row["difference"]) for row in rows))
    most = min(most, 10.0)  # one broken model would leave all others without a colour
    drawn = spec(rows, vconcat=[_stage_differences(rows, stage, most) for stage in distinct(rows, "stage")],
                 resolve={"scale": {"color": "shared"}})  # fmt: skip
    return Chart(
        name="differences",
        title=title,
        spec=drawn,
        note="Test score here minus the published one, in points: blue is better here.",
    )


def _stage_differences(rows: Sequence[Row], stage: str, most: float) -> Spec:
    there = [row for row in rows if row["stage"] == stage]
    return {
        "title": stage, "width": {"step": 66}, "height": {"step": STEP + 2}, "transform": [{"filter": {"field": "stage", "equal": stage}}],
        "encoding": {
            "x": {"field": "dataset", "type": "nominal", "sort": distinct(rows, "dataset"), "axis": {"title": None, "orient": "top", "labelAngle": 0}},
            "y": {"field": "model", "type": "nominal", "sort": distinct(there, "model"), "axis": NAME},
        },
        "layer": [
            {"mark": {"type": "rect"}, "encoding": {
                "color": {"field": "difference", "type": "quantitative", "title": "points",
                          "scale": {"scheme": "redblue", "domain": [-most, most], "domainMid": 0, "clamp": True}},
                "tooltip": tip(("model", "Model", ""), ("stage", "Stage", ""), ("dataset", "Data set", ""), ("ours", "Here", ".2f"),
                               ("published", "Published", ".2f"), ("difference", "Difference", "+.2f"))}},
            {"mark": {"type": "text", "fontSize": 10}, "encoding": {
                "text": {"field": "difference", "type": "quantitative", "format": "+.2f"},
                "color": {"condition": {"test": f"abs(datum.difference) > {0.6 * most:.6g}", "value": "white"}, "value": "#222"}}},
        ],
    }  # fmt: skip
