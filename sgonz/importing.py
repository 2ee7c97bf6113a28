"""Finished results of an earlier study from a CSV file: read, selected and stored like runs of our own."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from sgonz import catalog
from sgonz.errors import DataError, SpecError
from sgonz.plan.expand import Sources
from sgonz.plan.runs import Kind
from sgonz.plan.selection import best, collapsed_runs
from sgonz.plan.state import RunRow
from sgonz.rundir import Workdir
from sgonz.store.imported import Imported
from sgonz.store.store import Store, open_store
from sgonz.sweep.opening import Stored
from sgonz.sweep.provenance import provenance
from sgonz.sweep.sweepfile import dump
from sgonz.workdir import lock

# Field -> what its column may be called; --column FIELD=COLUMN adds any other name.
COLUMNS = {
    "dataset": ("dataset", "data_set", "data set", "task_name"),
    "student": ("student", "model", "student_model"),
    "teacher": ("teacher", "teacher_model"),
    "learning_rate": ("learning_rate", "learning rate", "lr"),
    "batch_size": ("batch_size", "batch size", "batch"),
    "epochs_done": ("epochs_done", "completed_epochs", "completed epochs", "epochs", "epoch"),
    "validation_loss": ("validation_loss", "validation loss", "val_loss", "eval_loss", "loss"),
    "validation_score": (
        "validation_score",
        "validation_metric",
        "validation metric",
        "val_metric",
        "metric",
    ),
    "seconds": ("seconds", "elapsed_seconds", "elapsed seconds", "elapsed", "time"),
    "seed": ("seed",),
    "test_score": ("test_score", "test score", "test_metric", "test metric", "test"),
    "exact_match": ("exact_match", "exact match", "test_exact_match", "em"),
}
OPTIONAL = ("teacher", "validation_score", "seconds", "seed", "test_score", "exact_match")


@dataclass(frozen=True, kw_only=True)
class Import:
    """What a file held."""

    name: str
    rows: int
    new: int
    unusable: int
    hours: float
    best: Sequence[dict[str, Any]]  # per data set and student


def import_csv(
    path: Path,
    workdir: Workdir,
    location: str | Path,
    *,
    name: str | None,
    columns: Sequence[str],
    given: Mapping[str, str | None],
) -> Import:
    """Store the rows as a sweep, with its best runs selected; importing a file again changes nothing."""
    rows = read(path, columns, given)
    study = name or path.stem
    now = time.time()
    with (
        lock.hold(workdir, "an import"),
        open_store(location, workspace=workdir.root, create=True) as store,
    ):
        sweep_id = _add_sweep(store, study, rows, now)
        new = store.import_results(sweep_id, rows, now)
        chosen = _select(store, sweep_id, rows)
        results = {row.run_id: row for row in store.results(sweep_id)}
    listed = [
        {"dataset": row.dataset, "student": row.model, "teacher": row.teacher, "learning_rate": row.learning_rate,
         "batch_size": row.batch_size, "epochs_done": row.epochs_done, "validation_loss": row.validation_loss,
         "validation_score": row.validation_score, "run_id": row.run_id}
        for row in sorted((results[run_id] for run_id in chosen), key=lambda row: (row.dataset, row.model))
    ]  # fmt: skip
    hours = math.fsum(row.seconds or 0.0 for row in rows) / 3600
    unusable = sum(row.why_unusable is not None for row in rows)
    return Import(name=study, rows=len(rows), new=new, unusable=unusable, hours=hours, best=listed)


def read(path: Path, columns: Sequence[str], given: Mapping[str, str | None]) -> list[Imported]:
    """The rows of a file. Raises DataError for a missing column or a value that is no number."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            table = csv.DictReader(stream)
            names = _found(table.fieldnames or (), columns, path)
            return list(_rows(table, names, given, path))
    except FileNotFoundError:
        raise DataError(str(path), None, "there is no such file") from None
    except UnicodeDecodeError:
        raise DataError(str(path), None, "is not UTF-8 text", hint="Save it as CSV, UTF-8.") from None


def _found(header: Sequence[str], columns: Sequence[str], path: Path) -> dict[str, str]:
    """Field -> its column in this file."""
    wanted = dict(_pair(column) for column in columns)
    by_name = {name.strip().lower(): name for name in header}
    found: dict[str, str] = {}
    for field, names in COLUMNS.items():
        for name in (wanted[field],) if field in wanted else names:
            if name.lower() in by_name:
                found[field] = by_name[name.lower()]
                break
    if missing := [
        field for field in COLUMNS if field not in found and (field in wanted or field not in OPTIONAL)
    ]:
        raise DataError(str(path), 1, f"no column for {', '.join(missing)}",
                        hint=f"Columns there: {', '.join(header)}. Name one with --column {missing[0]}=COLUMN.")  # fmt: skip
    return found


def _pair(column: str) -> tuple[str, str]:
    field, equals, name = column.partition("=")
    if not equals or field not in COLUMNS:
        raise SpecError(f"--column {column}: expected FIELD=COLUMN", hint=f"Fields: {', '.join(COLUMNS)}.")
    return field, name


def _rows(
    table: csv.DictReader[str], names: Mapping[str, str], given: Mapping[str, str | None], path: Path
) -> Iterator[Imported]:
    for row in table:
        values = {field: (row[column] or "").strip() for field, column in names.items()}
        line = table.line_num
        loss, score, seconds = (
            _number(values.get(field, ""), path, line)
            for field in ("validation_loss", "validation_score", "seconds")
        )
        why = _unusable(values["validation_loss"], loss)
        known = catalog.datasets().get(values["dataset"])
        yield Imported(
            source=f"{path.name}:{line}", dataset=values["dataset"],
            task=given.get("task") or (known.task if known else "classification"),
            student=values["student"], teacher=values.get("teacher") or given.get("teacher"),
            learning_rate=_needed(values, "learning_rate", path, line),
            batch_size=int(_needed(values, "batch_size", path, line)),
            epochs_done=int(_number(values["epochs_done"], path, line) or 0),
            metric=given.get("metric") or (known.metric if known else "f1"),
            validation_loss=None if why else loss,
            validation_score=score if score is not None and math.isfinite(score) and score != -1 else None,
            seconds=seconds if seconds is not None and math.isfinite(seconds) and seconds >= 0 else None,
            seed=int(_number(values.get("seed", ""), path, line) or 42), why_unusable=why,
            test_score=_number(values.get("test_score", ""), path, line),
            exact_match=_number(values.get("exact_match", ""), path, line),
        )  # fmt: skip


def _unusable(text: str, loss: float | None) -> str | None:
    """Why a row is never selected: earlier tools wrote -1 for a run that gave nothing."""
    if loss is None:
        return "no validation loss"
    if not math.isfinite(loss) or loss < 0:
        return f"validation loss is {text}"
    return None


def _number(text: str, path: Path, line: int) -> float | None:
    if not text or text.lower() in ("none", "null", "na", "n/a"):
        return None
    try:
        return float(text)
    except ValueError:
        raise DataError(str(path), line, f"{text!r} is not a number") from None


def _needed(values: Mapping[str, str], field: str, path: Path, line: int) -> float:
    value = _number(values[field], path, line)
    if value is None or not math.isfinite(value) or value <= 0:
        raise DataError(str(path), line, f"{field} is {values[field]!r}, and has to be a number above 0")
    return value


def _add_sweep(store: Store, name: str, rows: Sequence[Imported], now: float) -> int:
    """A sweep that plans nothing: commands that show results speak of it as of any other."""
    datasets = {row.dataset: row.described for row in rows}
    students = list(dict.fromkeys(row.student for row in rows))
    table = {"name": name, "datasets": list(datasets), "finetune": {"models": students}, "evaluate": False}
    stored = Stored(sweep=table, sources=Sources(datasets=datasets, models={}), workloads={})
    return store.add_sweep(
        name=name, text=dump(table), spec_json=msgspec.json.encode(stored, order="sorted").decode(), cluster="local",
        time=now, provenance=provenance(),
    )  # fmt: skip


def _select(store: Store, sweep_id: int, rows: Sequence[Imported]) -> set[str]:
    """Mark the best run of every data set and student, by the rule that our own runs are chosen by."""
    snapshot = store.snapshot(sweep_id)
    collapsed = collapsed_runs(snapshot, {row.dataset: row.metric for row in rows})
    groups: dict[tuple[Kind, str, str], list[RunRow]] = {}
    for row in snapshot:
        groups.setdefault((row.kind, row.dataset, row.model), []).append(row)
    winners = (best(group, "validation_loss", collapsed) for group in groups.values())
    chosen = {row.run_id for row in winners if row is not None}
    store.mark_selected(chosen, set(), sweep_id=sweep_id)
    return chosen
