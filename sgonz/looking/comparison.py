"""Ours beside the published numbers: test scores with their differences, then Score and Speedup by model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from types import MappingProxyType
from typing import Any

from msgspec import to_builtins

from sgonz import catalog
from sgonz.catalog import PublishedRow
from sgonz.errors import SpecError
from sgonz.plan import scoring
from sgonz.plan.sizing import Shape, macs, macs_full, parameters, shape_of
from sgonz.store.rows import BenchmarkRow

COLUMNS = (
    "kind",
    "model",
    "dataset",
    "metric",
    "ours",
    "published",
    "difference",
    "teacher",
    "published_teacher",
    "seeds",
)
SUMMARY = ("kind", "model", "score", "score_truncated", "published_score", "score_difference", "millions", "published_millions",
           "speedup", "speedup_truncated", "published_speedup")  # fmt: skip
POINT = {"batch": 1, "length": 512, "labels": 3}  # where MACs and parameters were published
Row = Mapping[str, Any]


def compare(
    results: Sequence[Row],
    published_as: Mapping[str, str | None],
    architectures: Mapping[str, Row],
    per_second: Mapping[str, Mapping[str, float]] = MappingProxyType({}),
) -> dict[str, list[dict[str, Any]]]:
    """`{"results": [...], "summary": [...]}` of the selected rows of `answers.results()`.

    `published_as` gives the catalog's name of every data set, None where it is not a published one. Runs of
    several seeds count with their mean. What followed the study's own protocol counts as the study printed it:
    accuracies and exact matches with two decimals. `per_second` is what was measured here: model -> device -> inferences.
    """
    chosen = [row for row in results if row["selected"] and not row["superseded"]]
    compared = list(_compared(chosen, published_as))
    summaries = [
        {**row, "per_second": dict(per_second.get(row["model"], {}))}
        for row in _summaries(compared, architectures)
    ]
    return {"results": compared, "summary": summaries}


def per_second(measured: Sequence[BenchmarkRow]) -> dict[str, dict[str, float]]:
    """Inferences per second at the published point, by model and device."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for row in measured:
        if row.latency_ms and (row.batch_size, row.length) == (POINT["batch"], POINT["length"]):
            found[row.model][row.device] = scoring.per_second(row.latency_ms).exact
    return found


def flat(compared: Mapping[str, Sequence[Row]]) -> list[dict[str, Any]]:
    """Both parts as rows of one table, Score and Speedup as metrics over all data sets."""
    rows = [dict(row) for row in compared["results"]]
    for row in compared["summary"]:
        same = {"kind": row["kind"], "model": row["model"], "dataset": "all"}
        rows.append({**same, "metric": "score", "ours": row["score"], "published": row["published_score"],
                     "difference": row["score_difference"]})  # fmt: skip
        rows.append({**same, "metric": "speedup", "ours": row["speedup_truncated"],
                     "published": row["published_speedup"]})  # fmt: skip
    return rows


def _compared(chosen: Sequence[Row], published_as: Mapping[str, str | None]) -> Iterator[dict[str, Any]]:
    """One row for every (kind, model, data set) and score: the headline, and exact match beside an F1 of answers."""
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in chosen:
        groups[row["kind"], row["model"], row["dataset"]].append(row)
    for (kind, model, dataset), rows in groups.items():
        known = published_as.get(dataset)
        theirs = catalog.published().row(kind, model) if known else None  # type: ignore[arg-type]
        teachers = sorted({row["teacher"] for row in rows if row["teacher"]})
        same = {"kind": kind, "model": model, "dataset": dataset, "published_as": known, "seeds": len(rows),
                "teacher": ", ".join(teachers) or None,
                "published_teacher": catalog.published().teachers.get(known or "") if teachers else None,
                "run_ids": [row["run_id"] for row in rows]}  # fmt: skip
        headline = rows[0]["metric"]
        for metric in dict.fromkeys([headline, "exact_match"]):
            if metric == headline or metric in rows[0]["test"]:
                yield {**same, "metric": metric, **_beside(rows, metric, _published(theirs, known, metric))}


def _beside(rows: Sequence[Row], metric: str, published: float | None) -> dict[str, float | None]:
    scores = [row["test"].get(metric) for row in rows]
    there = [score for score in scores if score is not None]
    ours = (
        fmean(there) if len(there) == len(scores) else None
    )  # a mean of some of the seeds is another number
    if ours is not None and all(row["protocol"] == "paper" for row in rows):
        ours = scoring.as_printed(metric, ours)
    difference = None if ours is None or published is None else round(ours - published, 6)
    return {"ours": ours, "published": published, "difference": difference}


def _published(row: PublishedRow | None, dataset: str | None, metric: str) -> float | None:
    if row is None or dataset is None:
        return None
    return (row.exact_match if metric == "exact_match" else row.headline).get(dataset)


def _summaries(compared: Sequence[Row], architectures: Mapping[str, Row]) -> Iterator[dict[str, Any]]:
    """One row for every (kind, model); a Score only of those that have every published data set."""
    scores: dict[tuple[str, str], dict[str, float | None]] = defaultdict(dict)
    for row in compared:
        headlines = scores[row["kind"], row["model"]]
        if row["metric"] != "exact_match" and row["published_as"]:
            headlines[row["published_as"]] = row["ours"]
    for (kind, model), found in scores.items():
        theirs = catalog.published().row(kind, model)  # type: ignore[arg-type]
        score = scoring.score(found.get(name) for name in catalog.datasets())
        yield {
            "kind": kind,
            "model": model,
            "score": float(score.rounded) if score else None,
            "score_exact": score.exact if score else None,
            "score_truncated": float(score.truncated) if score else None,
            "published_score": theirs.score if theirs else None,
            "score_difference": round(float(score.truncated) - theirs.score, 2) if score and theirs else None,
            **_size(architectures.get(model)),
            "published_millions": theirs.millions if theirs else None,
            "published_speedup": theirs.speedup if theirs else None,
            "published_per_second": to_builtins(theirs.per_second) if theirs else None,
        }


def _size(architecture: Row | None) -> dict[str, float | int | None]:
    """Parameters in millions and the ratio of BETO's MACs to this model's; None where its shape is not known."""
    nothing = dict.fromkeys(("millions", "speedup", "speedup_exact", "speedup_truncated", "speedup_full"))
    if architecture is None:
        return nothing
    try:
        shape = shape_of(str(architecture["model_type"]), architecture)
    except SpecError:
        return nothing
    ratio = scoring.speedup(macs(shape, **POINT))
    return {
        "millions": scoring.millions(parameters(shape, POINT["labels"])),
        "speedup": float(ratio.rounded),
        "speedup_exact": ratio.exact,
        "speedup_truncated": float(ratio.truncated),
        "speedup_full": macs_full(_beto(), **POINT)
        / macs_full(shape, **POINT),  # products of attention included
    }


def _beto() -> Shape:
    fields = catalog.models()["beto-cased"].architecture()
    return shape_of(fields["model_type"], fields)
