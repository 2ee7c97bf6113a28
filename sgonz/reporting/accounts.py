"""What it took and what is missing: states, device hours used and wasted, failures by cause, gaps, all in plain words."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from sgonz.plan.remedy import said
from sgonz.plan.runs import Kind, Outcome, State
from sgonz.plan.wording import number_of
from sgonz.reporting.source import STAGES, Row, Source
from sgonz.reporting.tables import column, table

FAILURES = 60  # causes that a table lists


def states(source: Source) -> dict[str, int]:
    """How many runs stand in each state, in the order of a run's life."""
    counted = Counter(run.state for run in source.runs)
    return {state: counted[state] for state in State if counted[state]}


def hours(source: Source) -> Row:
    """Device hours by kind and data set."""
    run_of = {run.run_id: run for run in source.runs}
    sums: dict[tuple[Kind, str], list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
    for attempt in source.attempts:
        run = run_of[attempt.run_id]
        spent = attempt.seconds if attempt.seconds is not None else attempt.seen - attempt.started
        failed = attempt.outcome is not None and attempt.outcome is not Outcome.COMPLETED
        found = sums[run.kind, run.dataset]
        found[0] += 1
        found[1] += max(0.0, spent) / 3600
        found[2] += max(0.0, spent) / 3600 if failed else 0.0
    rows: list[Row] = [
        {"kind": kind, "dataset": source.dataset_title(dataset) if dataset != "none" else "–", "attempts": int(tried),
         "hours": used, "wasted": wasted}
        for (kind, dataset), (tried, used, wasted) in sorted(sums.items(), key=lambda pair: _place(source, *pair[0]))
    ]  # fmt: skip
    devices = sorted({attempt.device for attempt in source.attempts if attempt.device})
    columns = [
        column("kind", "Kind"), column("dataset", "Data set"), column("attempts", "Attempts", "count"),
        column("hours", "Hours", "hours"), column("wasted", "of them wasted", "hours"),
    ]  # fmt: skip
    total, lost = sum(row["hours"] for row in rows), sum(row["wasted"] for row in rows)
    return table("hours", "Device hours", columns, rows, section="kind", empty="No attempt has been made yet.",
                 note=f"{_hours(total)} in all, {_hours(lost)} of them by attempts that ended without a result (part of that "
                      f"may live on in checkpoints). Devices: {_some(devices) or 'not recorded'}.")  # fmt: skip


def _place(source: Source, kind: Kind, dataset: str) -> tuple[int, int]:
    """Kinds in the order in which they follow each other, data sets in the sweep's."""
    names = list(source.datasets)
    return list(Kind).index(kind), names.index(dataset) if dataset in names else len(names)


def _hours(value: float) -> str:
    return f"{value:,.1f} hours" if value >= 1 else f"{value * 60:.1f} minutes"


def failures(source: Source) -> Row:
    """What went wrong, by cause, most frequent first; an example of each."""
    groups: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for run in source.runs:
        if run.state in (State.FAILED, State.SKIPPED, State.CANCELLED):
            fault = run.signature if run.state is State.FAILED else None
            why = said(fault or run.reason or run.signature or "no reason is known")
            groups[run.state, run.kind, run.dataset, run.model, why].append(run.run_id)
    listed = sorted(groups.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    rows = [
        {"state": state, "kind": kind, "dataset": source.dataset_title(dataset), "model": source.model_title(model),
         "reason": why, "runs": len(ids), "example": ids[0]}
        for (state, kind, dataset, model, why), ids in listed[:FAILURES]
    ]  # fmt: skip
    columns = [
        column("state", "State"), column("kind", "Kind"), column("dataset", "Data set"), column("model", "Model"),
        column("runs", "Runs", "count"), column("reason", "Reason"), column("example", "One of them"),
    ]  # fmt: skip
    more = f"The {FAILURES} most frequent of {len(listed)} causes. " if len(listed) > FAILURES else ""
    return table("failures", "Failures", columns, rows, empty="No run failed, was skipped or was cancelled.",
                 note=f"{more}sgonz logs RUN shows the end of a run's log, sgonz retry tries again.")  # fmt: skip


def flagged(source: Source) -> Row:
    """Runs that ended well and learned nothing, by model and data set."""
    groups: dict[tuple[str, str, str, str], list[Row]] = defaultdict(list)
    for row in source.results:
        for flag in row["flags"]:
            groups[flag, row["kind"], row["dataset"], row["model"]].append(row)
    rows = [
        {"flag": flag.replace("_", " "), "stage": STAGES[kind], "dataset": source.dataset_title(dataset),
         "model": source.model_title(model), "runs": len(there), "selected": sum(row["selected"] for row in there)}
        for (flag, kind, dataset, model), there in sorted(groups.items())
    ]  # fmt: skip
    columns = [
        column("flag", "Flag"), column("stage", "Stage"), column("dataset", "Data set"), column("model", "Model"),
        column("runs", "Runs", "count"), column("selected", "of them selected", "count"),
    ]  # fmt: skip
    return table("flagged", "Doubtful results", columns, rows, empty="No result is doubtful.",
                 note="Collapsed: constant predictions, no better than always answering the same, or 15 points below the best run of "
                      "its model; never selected while a healthy run exists. Suspect: selected, and 25 points below the best "
                      "model of its stage.")  # fmt: skip


def gaps(source: Source) -> list[str]:
    """What a reader has to know before believing the tables, a sentence each."""
    told = []
    open_ = [run for run in source.runs if not run.state.is_final]
    lost = [run for run in source.runs if run.state in (State.FAILED, State.SKIPPED, State.CANCELLED)]
    if not source.runs:
        return ["The sweep has no runs yet."]
    if open_:
        told.append(
            f"{len(open_):,} of {len(source.runs):,} runs are not done: what is shown is what is known so far."
        )
    if lost:
        told.append(
            f"{number_of(len(lost), 'run')} gave no result; selection went on without them (see Failures)."
        )
    told += _unselected(source)
    untested = [row for row in source.selected if row["test"].get(row["metric"]) is None]
    if untested:
        told.append(f"{len(untested):,} of {len(source.selected):,} selected runs have no test score.")
    if any("suspect" in row["flags"] for row in source.selected):
        told.append(
            "Some selected results are far below the others of their stage; they are marked † in the tables."
        )
    seeds = {run.seed for run in source.runs if run.kind in STAGES}
    if len(seeds) == 1:
        told.append("Every figure is of one seed: differences of a few tenths of a point may be chance.")
    elif seeds:
        told.append(f"Figures are means over {len(seeds)} seeds, ± their standard deviation.")
    return told


def _unselected(source: Source) -> list[str]:
    """Models and data sets whose grid is over and that have no selected run."""
    chosen = {(row["kind"], row["dataset"], row["model"]) for row in source.selected}
    grids: dict[tuple[str, str, str], list[State]] = defaultdict(list)
    for run in source.runs:
        if run.kind in STAGES and not run.superseded:
            grids[run.kind, run.dataset, run.model].append(run.state)
    empty = [
        key for key, found in grids.items() if key not in chosen and all(state.is_final for state in found)
    ]
    if not empty:
        return []
    listed = [
        f"{source.model_title(model)} on {source.dataset_title(dataset)} ({STAGES[kind]})"
        for kind, dataset, model in empty
    ]
    return [f"No run could be selected for {_some(listed)}."]


def _some(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def selected(source: Source) -> Row:
    """The selected runs with their settings: what to train again."""
    rows = [
        {"stage": STAGES[row["kind"]], "dataset": source.dataset_title(row["dataset"]), "model": source.model_title(row["model"]),
         "teacher": source.model_title(row["teacher"]) if row["teacher"] else None, "seed": row["seed"],
         "rate": row["learning_rate"], "batch": row["batch_size"], "epochs": row["epochs"], "best": row["best_epoch"],
         "loss": row["validation_loss"], "validation": row["validation"].get(row["metric"]),
         "test": row["test"].get(row["metric"]), "test_mark": "far below the best of its stage" if "suspect" in row["flags"] else None,
         "run": row["run_id"]}
        for row in source.selected
    ]  # fmt: skip
    columns = [
        column("stage", "Stage"), column("dataset", "Data set"), column("model", "Model"), column("teacher", "Teacher"),
        column("seed", "Seed", "count"), column("rate", "Rate", "rate"), column("batch", "Batch", "count"),
        column("epochs", "Epochs", "count"), column("best", "Best", "count", meaning="epoch whose weights were kept"),
        column("loss", "Validation loss", "loss"), column("validation", "Validation", "score"),
        column("test", "Test", "score"), column("run", "Run"),
    ]  # fmt: skip
    return table("selected", "Selected runs", columns, rows, empty="No run has been selected yet.",
                 note="The best of every grid by its criterion on validation data.")  # fmt: skip
