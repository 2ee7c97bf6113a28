"""status, results, sweeps: commands that read and change nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from sgonz.cli import options
from sgonz.commands.choosing import chosen, looked
from sgonz.commands.labelling import labels_of
from sgonz.commands.planning import show
from sgonz.coordinator import climbing, detached, disk, standing
from sgonz.coordinator.coordinator import Coordinator, closing
from sgonz.looking import answers
from sgonz.plan.runs import State
from sgonz.store.rows import BenchmarkRow
from sgonz.sweep.opening import open_existing, reopen
from sgonz.sweep.planned import workdir_of
from sgonz.workdir import costs

MODEL = "model"  # kind of what a run left: the folder that `from_pretrained` reads
RESULT_COLUMNS = ("run_id", "kind", "dataset", "model", "teacher", "protocol", "seed", "learning_rate", "batch_size", "epochs",
                  "best_epoch", "validation_loss", "validation", "test", "selected", "selected_by_metric", "state", "flags",
                  "model_folder")  # fmt: skip

PAPER_COLUMNS = ("dataset", "kind", "model", "teacher", "seed", "learning_rate", "batch_size", "epoch",
                 "validation_loss", "metric", "validation", "test")  # fmt: skip


def status(
    workdir: str | None, sweep: str | None, where: str | None, *, problems: bool = False, output: str
) -> None:
    if problems:
        from sgonz.commands import database

        with open_existing(workdir_of(workdir), read_only=True) as store:
            database.problems(workdir_of(workdir), store, output=output)
        return
    at = reopen(workdir_of(workdir), sweep)
    with closing(at):
        kept = None if where else standing.found(at.store, at.sweep_id, time.time())
        if kept is not None:
            answer = standing.answer(kept)
        elif not where and (latest := standing.latest(at.store, at.sweep_id)):
            answer = latest
        else:
            rows, decision = looked(at)
            answer = answers.status(
                at.sweep,
                chosen(rows, where),
                decision,
                climbing.steps(costs.read(at.workdir), at.profile, rows),
                disk.to_come(at.sweep, at.sources, rows, at.workloads),
            )
        there = {row.run_id for row in chosen(rows, where)} if where else None
        splits = [row for row in at.store.splits(at.sweep_id) if there is None or row.run_id in there]
        answer = {**answer, "splits": climbing.splits(splits), **labels_of(at.store, at.sweep.name)}
    needed = int(answer.get("disk_to_come_gb", 0.0) * 2**30)
    answer = {**answer, "detached": detached.told(at.workdir, at.sweep.name),
              "disk": disk.warning(at.workdir.root, needed)}  # fmt: skip
    print_status(answer, output)


def print_status(answer: Mapping[str, Any], output: str) -> None:
    """An answer of `status()`: drawn, whole as JSON, or a line for every data set."""
    if output == "table":
        from sgonz.view.tables import show_status

        show_status(answer)
    elif output == "json":
        options.print_json(answer)
    else:
        flat = [
            {"dataset": name, **facts["runs"], "teacher": facts["teacher"]}
            for name, facts in answer["datasets"].items()
        ]
        options.print_rows(flat, output, ("dataset", "teacher", *State))


def results(
    workdir: str | None,
    sweep: str | None,
    where: str | None,
    limit: int | None,
    everything: bool,
    *,
    compare: bool = False,
    output: str,
) -> None:
    at = reopen(workdir_of(workdir), sweep)
    with closing(at):
        rows, _ = looked(at)
        notes = {row.run_id: row.notes for row in at.store.results(at.sweep_id) if row.notes}
        measured = at.store.benchmarks() if compare else []
        found = answers.results(rows, _metrics(at), notes)
        ids = {row.run_id for row in chosen(rows, where)}
        folders = {
            one.run_id: str(at.workdir.root / one.path) for one in at.store.artifacts() if one.kind == MODEL
        }
    found = [{**row, "model_folder": folders.get(row["run_id"])} for row in found if row["run_id"] in ids]
    selected = output in ("table", "markdown", "latex") and not (everything or where or compare)
    found = (answers.leaderboard(found) if selected else found)[:limit]
    if compare:
        _compare(at, found, measured, output)
        return
    if output in ("markdown", "latex"):
        print_for_papers(found, output)
        return
    if output != "table":
        options.print_rows(found, output, RESULT_COLUMNS)
        return
    from sgonz.view.tables import show_leaderboard, show_results

    (show_leaderboard if selected else show_results)(found)


def print_for_papers(found: Sequence[dict[str, Any]], output: str) -> None:
    """One score a cell, as it is printed; bold is what the table on the screen makes bold."""
    rows = [
        {**row, "validation": _headline(row, "validation"), "test": _headline(row, "test")} for row in found
    ]
    best: dict[tuple[str, str], float] = {}
    for row in rows:
        if row["validation"] is not None:
            group = row["dataset"], row["kind"]
            best[group] = max(row["validation"], best.get(group, row["validation"]))
    bold = {
        (number, "validation")
        for number, row in enumerate(rows)
        if row["validation"] is not None and row["validation"] == best[row["dataset"], row["kind"]]
    }
    printed = [
        {
            **row,
            "epoch": row.get("epoch", row.get("best_epoch")),
            "validation_loss": _rounded(row["validation_loss"], 4),
            "validation": _rounded(row["validation"], 2),
            "test": _rounded(row["test"], 2),
        }
        for row in rows
    ]
    options.print_rows(printed, output, PAPER_COLUMNS, bold)


def _headline(row: dict[str, Any], split: str) -> float | None:
    scores = row[split]
    found: float | None = scores.get(row["metric"]) if isinstance(scores, dict) else scores
    return found


def _rounded(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:.{digits}f}"


def _compare(
    at: Coordinator, found: Sequence[dict[str, Any]], measured: Sequence[BenchmarkRow], output: str
) -> None:
    """Ours beside the published numbers: every score, then every model's Score and Speedup."""
    from sgonz.looking import comparison
    from sgonz.sweep.architectures import architectures_of

    published_as = {name: dataset.catalog for name, dataset in at.sources.datasets.items()}
    speeds = comparison.per_second(measured)
    compared = comparison.compare(found, published_as, architectures_of(at.sources.models), speeds)
    if all(row["published"] is None for row in compared["results"]):
        options.say(
            "the study published no score of these models on these data sets; --format json names both"
        )
    if output == "json":
        options.print_json(compared)
        return
    if output == "csv":  # one table: a file of two could not be read
        options.print_rows(comparison.flat(compared), output, comparison.COLUMNS)
        return
    if output in ("markdown", "latex"):
        options.print_rows(_to_print(compared["results"]), output, comparison.COLUMNS)
        click.echo()
        options.print_rows(_to_print(compared["summary"]), output, comparison.SUMMARY)
        return
    from sgonz.view.published import show_comparison

    show_comparison(compared)


def _to_print(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {name: f"{value:.2f}" if isinstance(value, float) else value for name, value in row.items()}
        for row in rows
    ]


def sweeps(workdir: str | None, *, output: str) -> None:
    with open_existing(workdir_of(workdir), read_only=True) as store:
        tags, notes = store.sweep_tags(), {note.sweep: note.text for note in store.notes()}
        listed = [
            {"name": sweep.name, "created": time.strftime("%Y-%m-%d %H:%M", time.localtime(sweep.created)),
             "cluster": sweep.cluster, "runs": sweep.runs, "states": dict(sweep.states),
             "tags": list(tags.get(sweep.name, ())), "note": notes.get(sweep.name)}
            for sweep in store.sweeps()
        ]  # fmt: skip
    show(listed, output, ("name", "created", "cluster", "runs", "states", "tags", "note"))


def _metrics(at: Coordinator) -> dict[str, str]:
    return {name: dataset.metric for name, dataset in at.sources.datasets.items()}
