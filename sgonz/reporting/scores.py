"""The tables of scores: by task as in the study, Score with size and speed, teachers, and beside the published numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import fmean, stdev
from typing import Any

from sgonz import catalog
from sgonz.looking import comparison
from sgonz.plan import scoring
from sgonz.plan.runs import Kind, State
from sgonz.plan.sizing import macs, parameters
from sgonz.reporting.source import STAGES, Row, Source
from sgonz.reporting.tables import column, table

POINT = comparison.POINT
TASKS = {"classification": "Classification", "tagging": "Sequence tagging", "qa": "Question answering"}
NOT_CHOSEN_BY = (
    "Bold: the best of its stage. Models and settings were chosen on validation data, never by these scores."
)
AS_PUBLISHED = "cut, as published"
Group = tuple[str, str]  # stage, model


def cells(source: Source) -> dict[tuple[str, str, str], Row]:
    """(stage, model, data set) -> mean and standard deviation over seeds of what the selected runs scored."""
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in source.selected:
        groups[row["kind"], row["model"], row["dataset"]].append(row)
    return {key: _cell(rows) for key, rows in groups.items()}


def _cell(rows: Sequence[Row]) -> Row:
    metric = rows[0]["metric"]
    suspect = any("suspect" in row["flags"] for row in rows)
    return {
        "seeds": len(rows),
        "teacher": ", ".join(sorted({row["teacher"] for row in rows if row["teacher"]})) or None,
        "mark": "far below the best of its stage" if suspect else None,
        **spread("test", [row["test"].get(metric) for row in rows]),
        **spread("exact_match", [row["test"].get("exact_match") for row in rows]),
        **spread("validation", [row["validation"].get(metric) for row in rows]),
        **spread("loss", [row["validation_loss"] for row in rows]),
    }


def spread(name: str, values: Iterable[float | None]) -> dict[str, float | None]:
    """Mean, and with several values their standard deviation; a mean of some of the seeds would be another number."""
    listed = list(values)
    if not listed or any(value is None for value in listed):
        return {name: None, f"{name}_sd": None}
    there = [value for value in listed if value is not None]
    return {name: fmean(there), f"{name}_sd": stdev(there) if len(there) > 1 else None}


def task_tables(source: Source, found: Mapping[tuple[str, str, str], Row]) -> list[Row]:
    """One table per task of the sweep: rows are models, columns data sets."""
    return [
        _task(source, found, task) for task in TASKS if any(d.task == task for d in source.datasets.values())
    ]


def _task(source: Source, found: Mapping[tuple[str, str, str], Row], task: str) -> Row:
    names = [name for name, dataset in source.datasets.items() if dataset.task == task]
    columns = [column("stage", "Stage"), column("model", "Model")]
    for name in names:
        title = source.dataset_title(name)
        if task == "qa":
            columns += [column(f"{name}:f1", "F1", "score", group=title, best="high"),
                        column(f"{name}:em", "EM", "score", group=title, best="high")]  # fmt: skip
        else:
            columns.append(column(name, title, "score", best="high", meaning=source.metrics[name]))
    rows = []
    for stage, model in groups(source):
        row: Row = {"stage": STAGES[stage], "model": source.model_title(model)}
        for name in names:
            cell = found.get((stage, model, name), {})
            for key, score in (
                ((f"{name}:f1", "test"), (f"{name}:em", "exact_match")) if task == "qa" else ((name, "test"),)
            ):
                row |= {
                    key: cell.get(score),
                    f"{key}_sd": cell.get(f"{score}_sd"),
                    f"{key}_mark": cell.get("mark"),
                }
        if any(row.get(c["name"]) is not None for c in columns[2:]):
            rows.append(row)
    metrics = ", ".join(dict.fromkeys(source.metrics[name] for name in names))
    what = "F1 and exact match" if task == "qa" else metrics.replace("f1", "F1")
    return table(task, f"{TASKS[task]}", columns, rows, section="stage", note=f"Test split, {what}, percent. {NOT_CHOSEN_BY}",
                 empty="No selected run has been scored on its test split yet.")  # fmt: skip


def groups(source: Source) -> list[Group]:
    """Stages and models with a selected run, in the sweep's order."""
    there = {(row["kind"], row["model"]) for row in source.selected}
    return [(stage, model) for stage in STAGES for model in source.models if (stage, model) in there]


def summary(source: Source, found: Mapping[tuple[str, str, str], Row], compared: Mapping[str, Any]) -> Row:
    """Score, parameters and speedup of every model, as the study sums itself up."""
    titles = [source.dataset_title(name) for name in source.datasets]
    whole = {row["kind"] + row["model"]: row for row in compared["summary"]}
    cut = source.truncates
    rows = []
    for stage, model in groups(source):
        mean = mean_score(source, found, stage, model)
        size = sizes(source, model)
        score = whole.get(stage + model, {})
        rows.append({
            "stage": STAGES[stage], "model": source.model_title(model),
            **{name: found.get((stage, model, name), {}).get("test") for name in source.datasets},
            **{f"{name}_mark": found.get((stage, model, name), {}).get("mark") for name in source.datasets},
            "score_cut": score.get("score_truncated"), "speedup_cut": size["speedup_truncated"],
            "score": score.get("score_truncated" if cut else "score"), "mean": mean["mean"], "mean_sd": mean["mean_sd"],
            "millions": size["millions"], "speedup": size["speedup_truncated" if cut else "speedup"],
        })  # fmt: skip
    scored = any(row["score"] is not None for row in rows)
    columns = [
        column("stage", "Stage"), column("model", "Model"), column("millions", "Parameters", "millions"),
        column("speedup", "Speedup", "times", meaning="BETO's multiply-accumulates over the model's: a count, not a time"),
        *(column(name, title, "score", best="high") for name, title in zip(source.datasets, titles, strict=True)),
        *([column("score", "Score", "score", best="high", meaning="mean of the eight data sets")] if scored else
          [column("mean", "Mean", "score", best="high", meaning="over the sweep's data sets")]),
        *([column("speedup_cut", "Speedup", "times", group=AS_PUBLISHED), column("score_cut", "Score", "score", group=AS_PUBLISHED)]
          if scored and not cut else []),
    ]  # fmt: skip
    note = ("Score is the mean of three accuracies, two tagging F1 and three question-answering F1." if scored else
            "Score needs all eight data sets of the study; in its place stands the mean over this sweep's, of models that "
            "have all of them.")  # fmt: skip
    how = " Score and Speedup are cut after two decimals, as published." if cut else ""
    how += (
        " Spreads over seeds stand in the tables by task."
        if any(cell["seeds"] > 1 for cell in found.values())
        else ""
    )
    return table("summary", "Summary", columns, rows, section="stage", note=f"{note} Speedup is a ratio of multiply-accumulates "
                 f"at batch 1, length 512.{how} {NOT_CHOSEN_BY}", empty="No run has been selected yet.")  # fmt: skip


def mean_score(
    source: Source, found: Mapping[tuple[str, str, str], Row], stage: str, model: str
) -> dict[str, float | None]:
    """The mean over all data sets of the sweep; nothing where one is missing. Its spread is of means by seed."""
    rows = [row for row in source.selected if (row["kind"], row["model"]) == (stage, model)]
    by_seed: dict[int, dict[str, float]] = defaultdict(dict)
    for row in rows:
        value = row["test"].get(row["metric"])
        if value is not None:
            by_seed[row["seed"]][row["dataset"]] = value
    whole = [fmean(scores.values()) for scores in by_seed.values() if len(scores) == len(source.datasets)]
    tests = [found.get((stage, model, name), {}).get("test") for name in source.datasets]
    present = [value for value in tests if value is not None]
    mean = fmean(present) if present and len(present) == len(tests) else None
    return {"mean": mean, "mean_sd": stdev(whole) if mean is not None and len(whole) > 1 else None}


def sizes(source: Source, model: str) -> dict[str, Any]:
    """Parameters and work of a model by formula; what was measured where no formula knows it."""
    shape = source.shapes.get(model)
    if shape is None:
        known = next((row for row in source.measured if row.model == model and row.parameters), None)
        count = known.parameters if known and known.parameters else None
        return {"millions": scoring.millions(count) if count else None, "macs": None, "gmacs": None, "speedup": None,
                "speedup_truncated": None}  # fmt: skip
    work = macs(shape, **POINT)
    ratio, billions = scoring.speedup(work), scoring.gmacs(work)
    return {
        "millions": scoring.millions(parameters(shape, POINT["labels"])), "macs": work,
        "gmacs": float(billions.truncated if source.truncates else billions.rounded),
        "speedup": float(ratio.rounded), "speedup_truncated": float(ratio.truncated),
    }  # fmt: skip


def teachers(source: Source, comparable: bool) -> Row:
    """Who teaches on each data set, by which criterion, and how many of its students are done."""
    rows = []
    for name in source.datasets:
        tuned = [row for row in source.selected if row["kind"] == Kind.FINETUNE and row["dataset"] == name]
        runs = [
            run
            for run in source.runs
            if run.dataset == name and run.kind is Kind.DISTILL and not run.superseded
        ]
        metric = source.metrics[name]
        for teacher in _teachers(source, name):
            best = min((row for row in tuned if row["model"] == teacher), default=None,
                       key=lambda row: row["validation_loss"] if row["validation_loss"] is not None else float("inf"))  # fmt: skip
            by_score = max((row for row in tuned if row["validation"].get(metric) is not None), default=None,
                           key=lambda row: row["validation"][metric])  # fmt: skip
            catalogued = source.datasets[name].catalog or ""
            published = catalog.published().teachers.get(catalogued)
            other = by_score["model"] if by_score and by_score["model"] != teacher else None
            rows.append({
                "dataset": source.dataset_title(name), "teacher": source.model_title(teacher),
                "loss": best["validation_loss"] if best else None,
                "validation": best["validation"].get(metric) if best else None,
                "test": best["test"].get(metric) if best else None, "metric": metric,
                "other": source.model_title(other) if other else None,
                "published": source.model_title(published) if published else None,
                "done": sum(run.state is State.COMPLETED for run in runs if run.teacher == teacher),
                "students": sum(run.teacher == teacher for run in runs),
            })  # fmt: skip
    columns = [
        column("dataset", "Data set"), column("teacher", "Teacher"), column("metric", "Metric"),
        column("loss", "Validation loss", "loss"), column("validation", "Validation", "score"),
        column("test", "Test", "score"), column("other", "By validation score", meaning="where it would be another"),
        *([column("published", "Published")] if comparable else []), column("done", "Distilled", "count"), column("students", "of", "count"),
    ]  # fmt: skip
    return table("teachers", "Teachers", columns, rows, note=_chosen_by(source),
                 empty="No teacher has been chosen yet: a data set's teacher is known when its grid is done.")  # fmt: skip


def _chosen_by(source: Source) -> str:
    """What decides, in words."""
    rule = source.sweep.teacher
    others = [f"{name} by {criterion}" for name, criterion in rule.per_dataset.items()]
    return f"Chosen by {', '.join([rule.select, *others])}.".replace("_", " ")


def _teachers(source: Source, dataset: str) -> list[str]:
    by_id = {run.run_id: run for run in source.runs}
    logits = [by_id[need].model for run in source.runs if run.kind is Kind.LOGITS and run.dataset == dataset
              and not run.superseded for need in run.needs if need in by_id]  # fmt: skip
    told = [run.teacher for run in source.runs if run.kind is Kind.DISTILL and run.dataset == dataset
            and run.teacher and not run.superseded]  # fmt: skip
    return list(dict.fromkeys([*told, *([] if told else logits)]))


def published(source: Source, compared: Mapping[str, Any]) -> Row:
    """Every score beside the published one, with the difference."""
    rows = [
        {"stage": STAGES[row["kind"]], "model": source.model_title(row["model"]),
         "dataset": source.dataset_title(row["dataset"]), "metric": row["metric"].replace("_", " "), "ours": row["ours"],
         "published": row["published"], "difference": row["difference"], "seeds": row["seeds"]}
        for row in compared["results"] if row["published"] is not None and row["ours"] is not None
    ] + [
        {"stage": STAGES[row["kind"]], "model": source.model_title(row["model"]), "dataset": "all eight", "metric": "Score",
         "ours": row["score_truncated"], "published": row["published_score"], "difference": row["score_difference"],
         "seeds": None}
        for row in compared["summary"] if row["score"] is not None and row["published_score"] is not None
    ]  # fmt: skip
    columns = [
        column("stage", "Stage"), column("model", "Model"), column("dataset", "Data set"), column("metric", "Metric"),
        column("ours", "Here", "score"), column("published", "Published", "score"),
        column("difference", "Difference", "signed"), column("seeds", "Seeds", "count"),
    ]  # fmt: skip
    return table("published", "Beside the published results", columns, rows, section="dataset",
                 note="Test split, percent; published: one run of each (Cañete and Bravo-Marquez 2024). A Score is cut after two decimals, as it was.",
                 empty="Nothing here was published: none of these models on any of these data sets.")  # fmt: skip


def sections(rows: Sequence[Row], name: str | None) -> list[int]:
    """Where a rule is drawn: the numbers of rows that start another value of this column."""
    return [number + 1 for number, (one, two) in enumerate(pairwise(rows)) if name and one[name] != two[name]]
