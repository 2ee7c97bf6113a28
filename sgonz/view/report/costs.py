"""Score against what a model costs: the Pareto front, the area under it, and the balance that a reader weighs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sgonz.view.report.chart import (
    ALL,
    HIDDEN,
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

WORK = "GMACs"
LINE = 0.033  # of the scores' range: what the text of a name is high
NEAR = 6.0  # times the cost, within which two names could stand on each other
TIP = tip(("model", "Model", ""), ("stage", "Stage", ""), ("dataset", "Data set", ""), ("score", "Score", ".2f"),
          ("cost", "Cost", ",.2f"), ("by", "of", ""), ("millions", "Parameters (M)", ",.0f"))  # fmt: skip


def charts(rows: Sequence[Row]) -> list[Chart]:
    """Score against MACs, against latency, the areas, the balance."""
    rows = sorted(
        _apart(_labelled(rows)), key=lambda row: not _is_published(row)
    )  # ours are drawn over theirs
    work = [row for row in rows if row["by"] == WORK]
    timed = [row for row in rows if row["by"] != WORK]
    return [
        _against("score-macs", "Score against MACs", work, "multiply-accumulates, in billions (logarithmic)",
                 empty="The work of these models is known by no formula, or none has been scored on test."),
        _against("score-latency", "Score against latency", timed, "milliseconds, batch 1, length 512 (logarithmic)",
                 empty="No latency was measured: add a [benchmark] table to the sweep file and run it again."),
        _area(rows),
        _balance(rows),
    ]  # fmt: skip


def _is_published(row: Row) -> bool:
    return str(row["stage"]).startswith("published")


def _labelled(rows: Sequence[Row]) -> list[Row]:
    """The same with a name to write beside the point; a published model that stands where ours does has none."""
    ours = {(row["dataset"], row["by"], row["model"], row["stage"]) for row in rows if not _is_published(row)}
    return [{**row, "label": None if _is_published(row) and (row["dataset"], row["by"], row["model"], row["stage"].rpartition(" ")[2]) in ours
             else row["model"]} for row in rows]  # fmt: skip


def _apart(rows: Sequence[Row]) -> list[Row]:
    """The same with the height of each name: up and left of its point, where no other can be, and clear of other names."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["dataset"], row["by"]), []).append(row)
    found: list[Row] = []
    for there in groups.values():
        scores = [row["score"] for row in there]
        line = LINE * (max(scores) - min(scores))
        written: list[tuple[float, float]] = []  # cost and height of the names so far, the lowest first
        for row in sorted(there, key=lambda row: (row["score"], row["cost"])):
            at = row["score"]
            if row["front"] and row["label"]:
                near = [
                    height
                    for cost, height in written
                    if row["cost"] < NEAR * cost and cost < NEAR * row["cost"]
                ]
                at = max([at, *(height + line for height in near)])
                written.append((row["cost"], at))
            found.append({**row, "label_at": at})
    return found


def _against(name: str, title: str, rows: Sequence[Row], axis: str, *, empty: str) -> Chart:
    if not rows:
        return Chart(name=name, title=title, spec=None, empty=empty)
    note = (
        "The stepped line is the front: no model is both cheaper and better than one on it. Paler: published."
    )
    parts = {f"{name}-{number}" if number else name: _scatter(rows, name, axis, by, _start(rows, by))
             for number, by in enumerate(distinct(rows, "by"))}  # fmt: skip
    return Chart(name=name, title=title, spec=next(iter(parts.values())), note=note, parts=parts)


def _start(rows: Sequence[Row], by: str | None = None) -> str:
    there = distinct([row for row in rows if by is None or row["by"] == by], "dataset")
    return ALL if ALL in there else str(there[0])


def _chosen(rows: Sequence[Row], name: str, by: str, dataset: str) -> tuple[list[Spec], list[Spec]]:
    """Parameters and transforms that leave one data set and one cost."""
    key = name.replace("-", "_")
    datasets = sorted(distinct(rows, "dataset"), key=lambda one: one != ALL)
    params = [HIDDEN, choice(f"{key}_dataset", "Data set", datasets, dataset)]
    transform: list[Spec] = [{"filter": f"datum.dataset == {key}_dataset"}]
    costs = distinct(rows, "by")
    if len(costs) > 1:
        params.append(choice(f"{key}_by", "Cost", costs, by))
        transform.append({"filter": f"datum.by == {key}_by"})
    return params, transform


def _scatter(rows: Sequence[Row], name: str, axis: str, by: str, dataset: str) -> Spec:
    params, transform = _chosen(rows, name, by, dataset)
    x = {"field": "cost", "type": "quantitative", "scale": {"type": "log", "nice": False, "padding": 84}, "title": axis,
         "axis": {"format": "~s" if by != WORK else "~r", "tickCount": 8}}  # fmt: skip
    y = {
        "field": "score",
        "type": "quantitative",
        "scale": {"zero": False, "padding": 14},
        "title": "test score",
    }
    colour = stage_colour(rows)
    return spec(
        rows, params=params, transform=transform, width=620, height=360,
        layer=[
            {"transform": [{"filter": "datum.front"}], "mark": {"type": "line", "interpolate": "step-after", "strokeDash": [5, 3]},
             "encoding": {"x": x, "y": y, "order": {"field": "cost"}, "color": {"value": "#888"}}},
            {"mark": {"type": "point", "filled": True, "strokeWidth": 1},
             "encoding": {"x": x, "y": y, "color": colour, "opacity": faded("stage", shown=0.95), "tooltip": TIP,
                          "size": {"field": "millions", "type": "quantitative", "scale": {"type": "sqrt", "range": [50, 420]},
                                   "legend": {"title": "parameters (M)", "orient": "right", "tickCount": 4}}}},
            {"mark": {"type": "text", "align": "right", "dx": -9, "dy": -6, "fontSize": 9.5, "limit": 160}, "transform": [{"filter": "datum.front && datum.label"}],
             "encoding": {"x": x, "y": y | {"field": "label_at"}, "text": {"field": "label"}}},
        ],
    )  # fmt: skip


def _area(rows: Sequence[Row]) -> Chart:
    title = "Area under the front"
    if not rows:
        return Chart(name="front", title=title, spec=None, empty="Without costs there is no front.")
    parts = {
        f"front-{number}" if number else "front": _steps(rows, by)
        for number, by in enumerate(distinct(rows, "by"))
    }
    return Chart(name="front", title=title, spec=parts["front"], parts=parts,
                 note="What the models of each stage reach, both axes from the worst to the best of those shown. Its share of the square is the number "
                      "in the trade-off table.")  # fmt: skip


def _steps(rows: Sequence[Row], by: str) -> Spec:
    params, transform = _chosen(rows, "front", by, _start(rows, by))
    return spec(
        _corners(rows), params=params, transform=transform, width=360, height=320,
        layer=[
            {"mark": {"type": "area", "interpolate": "step-before", "line": True, "fillOpacity": 0.15},
             "encoding": {"x": {"field": "economy", "type": "quantitative", "title": "economy: dearest 0, cheapest 1", "scale": {"domain": [0, 1]}},
                          "y": {"field": "quality", "type": "quantitative", "stack": None, "title": "quality: worst 0, best 1", "scale": {"domain": [0, 1]}},
                          "color": stage_colour(rows), "opacity": faded("stage")}},
            {"transform": [{"filter": "datum.real"}], "mark": {"type": "point", "filled": True, "size": 45},
             "encoding": {"x": {"field": "economy", "type": "quantitative"}, "y": {"field": "quality", "type": "quantitative"},
                          "color": stage_colour(rows), "opacity": faded("stage"), "tooltip": TIP}},
        ],
    )  # fmt: skip


def _corners(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The front of every stage alone, from the dearest (economy 0) to the cheapest, closed at both ends."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["dataset"], row["by"], row["stage"]), []).append(row)
    found: list[dict[str, Any]] = []
    for (dataset, by, stage), there in groups.items():
        steps: list[Row] = []
        for row in sorted(there, key=lambda row: (-row["economy"], -row["quality"])):
            if not steps or row["quality"] > steps[-1]["quality"]:
                steps.append(row)
        same = {"dataset": dataset, "by": by, "stage": stage, "real": False}
        found.append({**same, "economy": 0, "quality": steps[-1]["quality"]})
        found += [{**row, "real": True} for row in reversed(steps)]
        found.append({**same, "economy": steps[0]["economy"], "quality": 0})
    return found


def _balance(rows: Sequence[Row]) -> Chart:
    title = "Balance of quality and economy"
    if not rows:
        return Chart(name="balance", title=title, spec=None, empty="Without costs there is nothing to weigh.")
    by = str(distinct(rows, "by")[0])
    params, transform = _chosen(rows, "balance", by, _start(rows, by))
    slider = {
        "name": "weight",
        "value": 0.5,
        "bind": {"input": "range", "min": 0, "max": 1, "step": 0.05, "name": "Weight of quality "},
    }
    named = [{**row, "label": row["model"] if not row["stage"].endswith("distilled") else f"{row['model']} (distilled)"} for row in rows
             if not _is_published(row)] or [{**row, "label": row["model"]} for row in rows]  # fmt: skip
    drawn = spec(
        named, params=[slider, *params],
        transform=[*transform, {"calculate": "weight * datum.quality + (1 - weight) * datum.economy", "as": "balance"}],
        width=480, height={"step": STEP}, mark={"type": "bar", "height": {"band": 0.75}},
        encoding={
            "y": {"field": "label", "type": "nominal", "sort": {"field": "balance", "op": "max", "order": "descending"}, "axis": {"labelLimit": 240, "title": None}},
            "x": {"field": "balance", "type": "quantitative", "title": "balance", "scale": {"domain": [0, 1]}},
            "color": stage_colour(named), "opacity": faded("stage"),
            "tooltip": [*TIP, *tip(("quality", "Quality", ".3f"), ("economy", "Economy", ".3f"), ("balance", "Balance", ".3f"))],
        },
    )  # fmt: skip
    return Chart(name="balance", title=title, spec=drawn, note="Weight × quality + (1 − weight) × economy. Quality is the score from the worst (0) to the "
                 "best (1) model shown, economy the logarithm of the cost from the dearest (0) to the cheapest (1). What the weight should be is the "
                 "reader's choice: nothing here says it.")  # fmt: skip
