"""What models cost against what they give: inference speed, score against MACs and latency, the front, the balance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from sgonz import catalog
from sgonz.plan import scoring
from sgonz.plan.sizing import macs, shape_of
from sgonz.plan.tradeoff import Box, Point, area, box, front
from sgonz.reporting.scores import POINT, groups, mean_score, sizes
from sgonz.reporting.source import STAGES, Row, Source
from sgonz.reporting.tables import column, table

ALL = "all data sets"
PUBLISHED = "published, "


def speed(source: Source) -> Row:
    """Size, work and measured speed of every model; a column for each device, since hosts do not compare."""
    measured = [
        row for row in source.measured if (row.batch_size, row.length) == (POINT["batch"], POINT["length"])
    ]
    devices = list(dict.fromkeys(row.device for row in measured if row.model in source.models))
    by_model = {(row.model, row.device): row for row in measured}
    rows = []
    for model in source.models:
        size = sizes(source, model)
        row: Row = {"model": source.model_title(model), "millions": size["millions"], "gmacs": size["gmacs"],
                    "speedup": size["speedup_truncated" if source.truncates else "speedup"],
                    "size": next((r.size_mb for (m, _), r in by_model.items() if m == model and r.size_mb), None)}  # fmt: skip
        for number, device in enumerate(devices):
            found = by_model.get((model, device))
            latency = found.latency_ms if found else None
            row |= {f"latency{number}": latency,
                    f"rate{number}": scoring.per_second(latency).exact if latency else None}  # fmt: skip
        theirs = _published_speed(model)
        row |= {"cpu": theirs.cpu if theirs else None, "gpu": theirs.gpu if theirs else None}
        rows.append(row)
    columns = [
        column("model", "Model"), column("millions", "Parameters", "millions"), column("gmacs", "GMACs", "gmacs"),
        column("speedup", "Speedup", "times"), column("size", "MB", "number"),
    ]  # fmt: skip
    for number, device in enumerate(devices):
        columns += [column(f"latency{number}", "ms", "number", group=device, best="low"),
                    column(f"rate{number}", "per second", "number", group=device, best="high")]  # fmt: skip
    if any(row["cpu"] for row in rows):
        columns += [column("cpu", "CPU", "score", group="published, per second"),
                    column("gpu", "GPU", "score", group="published, per second")]  # fmt: skip
    told = [] if devices else ["No latency was measured: add a [benchmark] table to the sweep file."]
    unknown = [source.model_title(name) for name in source.models if name not in source.shapes]
    if unknown:
        told.append(f"No formula knows the work of {', '.join(unknown)}.")
    return table("speed", "Size and inference speed", columns, rows, empty="No model has been trained yet.",
                 note=" ".join([f"Batch {POINT['batch']}, length {POINT['length']}, {POINT['labels']} labels. MACs are counted as "
                                "the study did, without the two products of attention.", *told]))  # fmt: skip


def _published_speed(model: str) -> catalog.Throughput | None:
    stages = ("finetune", "distill")
    found = (catalog.published().row(stage, model) for stage in stages)  # type: ignore[arg-type]
    return next((row.per_second for row in found if row is not None), None)


def points(source: Source, found: Mapping[tuple[str, str, str], Row], comparable: bool) -> list[Row]:
    """Every model with its scores, by data set and over all, and its costs: MACs, and latency by device.

    The published models stand beside them where some of ours are `comparable`.
    """
    latency = {(row.model, row.device): row.latency_ms for row in source.measured if row.latency_ms
               and (row.batch_size, row.length) == (POINT["batch"], POINT["length"])}  # fmt: skip
    listed = []
    for stage, model in groups(source):
        size = sizes(source, model)
        costs = {"GMACs": size["macs"] / 1e9} if size["macs"] else {}
        costs |= {device: value for (name, device), value in latency.items() if name == model}
        scores = {
            source.dataset_title(name): found.get((stage, model, name), {}).get("test")
            for name in source.datasets
        }
        scores[ALL] = mean_score(source, found, stage, model)["mean"]
        listed += _rows(
            source, stage=STAGES[stage], model=model, millions=size["millions"], costs=costs, scores=scores
        )
    return listed + (_published(source) if comparable else [])


def _published(source: Source) -> list[Row]:
    """The published models, where this sweep has all of the study's data sets or some of them."""
    names = {
        dataset.catalog: source.dataset_title(name)
        for name, dataset in source.datasets.items()
        if dataset.catalog
    }
    listed = []
    for row in catalog.published().rows:
        scores: dict[str, float | None] = {title: row.headline[name] for name, title in names.items() if name}
        scores[ALL] = (
            fmean(row.headline[name] for name in names if name)
            if len(names) == len(source.datasets)
            else None
        )
        entry = catalog.models()[row.model]
        costs = {"GMACs": macs(shape_of(entry.model_type, entry.fields), **POINT) / 1e9}
        listed += _rows(source, stage=PUBLISHED + STAGES[row.stage], model=entry.name, millions=row.millions, costs=costs,
                        scores=scores)  # fmt: skip
    return listed


def _rows(
    source: Source, *, stage: str, model: str, millions: int | None, costs: Mapping[str, float],
    scores: Mapping[str, float | None],
) -> list[Row]:  # fmt: skip
    return [
        {"stage": stage, "model": source.model_title(model), "millions": millions, "dataset": dataset, "score": score,
         "by": by, "cost": cost}
        for dataset, score in scores.items() if score is not None
        for by, cost in costs.items()
    ]  # fmt: skip


def weighed(rows: Sequence[Row]) -> list[Row]:
    """The same rows with where they stand: on the front of ours or not, economy and quality from 0 to 1."""
    ranges = _boxes(rows)
    fronts = {key: {(point.name, point.cost) for point in front(_points(_at(rows, *key)))} for key in ranges}
    return [
        {**row, "front": (_name(row), row["cost"]) in fronts[key], "economy": ranges[key].economy(row["cost"]),
         "quality": ranges[key].quality(row["score"])}
        for row in rows for key in [(row["dataset"], row["by"])]
    ]  # fmt: skip


def _boxes(rows: Sequence[Row]) -> dict[tuple[str, str], Box]:
    keys = dict.fromkeys((row["dataset"], row["by"]) for row in rows)
    return {key: box(_points(_at(rows, *key))) for key in keys}


def _at(rows: Sequence[Row], dataset: str, by: str) -> list[Row]:
    return [row for row in rows if (row["dataset"], row["by"]) == (dataset, by)]


def _points(rows: Sequence[Row]) -> list[Point]:
    return [Point(name=_name(row), cost=row["cost"], quality=row["score"]) for row in rows]


def _name(row: Row) -> str:
    return f"{row['stage']}\n{row['model']}"


def areas(rows: Sequence[Row]) -> Row:
    """How much of what is possible the models of a stage reach: the area under their front, by cost and data set."""
    listed = []
    for (dataset, by), within in _boxes(rows).items():
        there = _at(rows, dataset, by)
        for stages in _sets(there):
            chosen = [row for row in there if row["stage"] in stages]
            listed.append({"dataset": dataset, "by": by, "models": " and ".join(stages), "area": area(_points(chosen), within),
                           "front": ", ".join(dict.fromkeys(point.name.partition("\n")[2] for point in front(_points(chosen))))})  # fmt: skip
    listed.sort(key=lambda row: row["dataset"] != ALL)
    columns = [
        column("dataset", "Data set"), column("by", "Cost"), column("models", "Models"),
        column("area", "Area under the front", "share"), column("front", "On the front, cheapest first"),
    ]  # fmt: skip
    return table("tradeoff", "Trade-off", columns, listed, section="dataset",
                 note="Share of the square between the dearest and the cheapest (by logarithm) and the worst and the best of all models "
                      "shown, the published ones among them: 1 would be a model that is both cheapest and best. Areas of one "
                      "data set and one cost compare with each other, and with nothing else.",
                 empty="Neither MACs nor latencies are known of models that have been scored on test.")  # fmt: skip


def _sets(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Every stage that is there alone, then ours together."""
    stages = list(dict.fromkeys(row["stage"] for row in rows))
    ours = tuple(stage for stage in stages if not stage.startswith(PUBLISHED))
    return [*((stage,) for stage in stages), *([ours] if len(ours) > 1 else [])]
