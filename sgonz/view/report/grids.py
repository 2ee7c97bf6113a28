"""Heat maps of grids: the validation score at every learning rate and batch size."""

from __future__ import annotations

from collections.abc import Sequence

from sgonz.view.figures import rate
from sgonz.view.report.chart import Chart, Row, Spec, choice, distinct, spec, tip

MOST_FILES = 12  # of static heat maps


def chart(rows: Sequence[Row]) -> Chart:
    """A square for every model; the page lets one choose data set and stage, files hold one each."""
    title = "Grids"
    told = [
        {**row, "rate": rate(row["rate"]), "order": row["rate"]} for row in rows if row["score"] is not None
    ]
    if not told:
        return Chart(name="grid", title=title, spec=None, empty="No training run has finished yet.")
    pairs = list(dict.fromkeys((row["dataset"], row["stage"]) for row in told))
    parts = {f"grid-{number + 1}": _maps([row for row in told if (row["dataset"], row["stage"]) == pair], f"{pair[0]}, {pair[1]}")
             for number, pair in enumerate(pairs[:MOST_FILES])}  # fmt: skip
    note = "Best validation score at every learning rate and batch size (over the other settings), mean over seeds."
    if len(pairs) > MOST_FILES:
        note += f" Static files hold the first {MOST_FILES} of {len(pairs)}."
    return Chart(name="grid", title=title, spec=_page(told), note=note, parts=parts)


def _page(rows: Sequence[Row]) -> Spec:
    datasets, stages = distinct(rows, "dataset"), distinct(rows, "stage")
    drawn = _maps(rows, None)
    drawn["params"] = [
        choice("grid_dataset", "Data set", datasets, datasets[0]),
        choice("grid_stage", "Stage", stages, stages[0]),
    ]
    drawn["transform"] = [{"filter": "datum.dataset == grid_dataset && datum.stage == grid_stage"}]
    return drawn


def _maps(rows: Sequence[Row], title: str | None) -> Spec:
    rates = [row["rate"] for row in sorted(rows, key=lambda row: row["order"])]
    batches = sorted({row["batch"] for row in rows})
    heading = {"title": {"text": title}} if title else {}
    return spec(
        rows, **heading,
        facet={"field": "model", "type": "nominal", "title": None, "sort": distinct(rows, "model"), "header": {"labelLimit": 160}}, columns=4,
        spec={
            "width": {"step": 40}, "height": {"step": 26},
            "encoding": {"x": {"field": "rate", "type": "ordinal", "sort": list(dict.fromkeys(rates)), "axis": {"title": "learning rate", "labelAngle": 0}},
                         "y": {"field": "batch", "type": "ordinal", "sort": batches, "axis": {"title": "batch"}}},
            "layer": [
                {"mark": "rect", "encoding": {
                    "color": {"field": "score", "type": "quantitative", "title": "validation", "scale": {"range": ["#f3f7fc", "#5b9bd5"], "zero": False}},
                    "tooltip": tip(("model", "Model", ""), ("dataset", "Data set", ""), ("stage", "Stage", ""), ("rate", "Learning rate", ""),
                                   ("batch", "Batch", ""), ("metric", "Metric", ""), ("score", "Validation", ".2f"), ("runs", "Runs", ",.0f"),
                                   ("without", "of them without a score", ",.0f"))}},
                {"mark": {"type": "text", "fontSize": 9.5, "fill": "#111"},
                 "encoding": {"text": {"field": "score", "type": "quantitative", "format": ".1f"}, "detail": {"field": "dataset"}}},
            ],
        },
    )  # fmt: skip
