"""What figures show, as rows: learning curves, grids, hours, differences; aggregated, so that size does not matter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from statistics import fmean
from typing import Any

from sgonz.plan.runs import State
from sgonz.reporting.source import CURVES, STAGES, Row, Source

MOST_MODELS = 40  # in a figure; more rows nobody compares
MOST_CURVES = 12  # of one data set; more lines nobody can tell apart


def curves(source: Source) -> tuple[list[Row], str]:
    """Losses and the headline score by epoch of the selected runs, the best of a data set where there are many."""
    by_dataset: dict[str, list[Row]] = defaultdict(list)
    for row in source.selected:
        if source.curves.get(row["run_id"]):
            by_dataset[row["dataset"]].append(row)
    found = []
    for dataset, rows in by_dataset.items():
        for row in sorted(rows, key=_loss)[:MOST_CURVES]:
            metric = row["metric"]
            for score in source.curves[row["run_id"]]:
                same = {"dataset": source.dataset_title(dataset), "stage": STAGES[row["kind"]], "run": row["run_id"],
                        "model": source.model_title(row["model"]), "seed": row["seed"], "epoch": score.epoch}  # fmt: skip
                values = {"validation loss": score.validation_loss, "training loss": score.train_loss,
                          f"validation {metric}": score.validation.get(metric)}  # fmt: skip
                found += [
                    {**same, "name": name, "value": value}
                    for name, value in values.items()
                    if value is not None
                ]
    hidden = sum(max(0, len(rows) - MOST_CURVES) for rows in by_dataset.values()) + max(
        0, len(source.selected) - CURVES
    )
    note = "Selected runs, from epoch to epoch."
    if hidden:
        note += f" The {MOST_CURVES} with the lowest validation loss of every data set; {hidden:,} others are left out."
    return found, note


def _loss(row: Row) -> float:
    loss = row["validation_loss"]
    return float("inf") if loss is None else loss


def grid(source: Source) -> list[Row]:
    """The mean over seeds of the best validation score at every learning rate and batch size, by model and data set."""
    best: dict[tuple[Any, ...], dict[int, float]] = defaultdict(dict)
    tried: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0])
    for row in source.results:
        key = (row["dataset"], row["kind"], row["model"], row["learning_rate"], row["batch_size"])
        tried[key][0] += 1
        score = row["validation"].get(row["metric"])
        if row["state"] != State.COMPLETED or score is None:
            tried[key][1] += 1
            continue
        best[key][row["seed"]] = max(score, best[key].get(row["seed"], score))
    return [
        {"dataset": source.dataset_title(dataset), "stage": STAGES[kind], "model": source.model_title(model), "rate": rate,
         "batch": batch, "score": fmean(best[key].values()) if best[key] else None, "runs": runs, "without": without,
         "metric": source.metrics.get(dataset, "")}
        for key, (runs, without) in tried.items() for dataset, kind, model, rate, batch in [key]
    ]  # fmt: skip


def differences(compared: Mapping[str, Any], source: Source) -> list[Row]:
    """Ours minus the published headline score."""
    return [
        {"stage": STAGES[row["kind"]], "model": source.model_title(row["model"]), "dataset": source.dataset_title(row["dataset"]),
         "ours": row["ours"], "published": row["published"], "difference": row["difference"]}
        for row in compared["results"] if row["difference"] is not None and row["metric"] != "exact_match"
    ]  # fmt: skip


def scores(source: Source, found: Mapping[tuple[str, str, str], Row]) -> list[Row]:
    """Every mean test score with its spread."""
    return [
        {"stage": STAGES[stage], "model": source.model_title(model), "dataset": source.dataset_title(dataset),
         "score": cell["test"], "sd": cell["test_sd"], "seeds": cell["seeds"], "metric": source.metrics.get(dataset, ""),
         "teacher": source.model_title(cell["teacher"]) if cell["teacher"] else None}
        for (stage, model, dataset), cell in found.items() if cell["test"] is not None
    ]  # fmt: skip


def best_models(source: Source) -> set[str]:
    """Titles of the models that figures show: all, or those with the best mean validation score (mean test score is not asked)."""
    scores: dict[str, list[float]] = defaultdict(list)
    for row in source.selected:
        value = row["validation"].get(row["metric"])
        scores[row["model"]].append(value if value is not None else 0.0)
    ranked = sorted(source.models, key=lambda name: -fmean(scores[name]) if name in scores else 0.0)
    return {source.model_title(name) for name in ranked[:MOST_MODELS]}


def left_out(source: Source) -> list[str]:
    """What figures do not show, as a sentence."""
    if len(source.models) <= MOST_MODELS:
        return []
    return [
        f"Figures show the {MOST_MODELS} models with the best validation scores of {len(source.models):,}; tables hold all."
    ]
