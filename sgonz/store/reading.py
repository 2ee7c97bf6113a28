"""What the store tells: snapshots for decisions, results and curves for people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, select

from sgonz.plan.runs import Kind, Outcome, State
from sgonz.plan.state import RunRow, ScoreRow
from sgonz.store import labels
from sgonz.store.rows import AttemptRow, FailedRow, ResultRow, SplitRow, decoded_splits
from sgonz.store.tables import attempts, jobs, needs, runs, scores, sweep_runs, tallies
from sgonz.store.transaction import Transaction, chunks

_scores = msgspec.json.Decoder(dict[str, float])
_flags = msgspec.json.Decoder(tuple[str, ...])
_notes = msgspec.json.Decoder(dict[str, str | int | float])
_KINDS = {str(kind): kind for kind in Kind}
_STATES = {str(state): state for state in State}
_OUTCOMES: dict[str | None, Outcome | None] = {None: None, **{str(outcome): outcome for outcome in Outcome}}
_MARKS = ("selected", "superseded")
RUN_COLUMNS = tuple(name for name in RunRow.__struct_fields__ if name not in ("needs", "tags", *_MARKS))
_RESULT_COLUMNS = tuple(name for name in ResultRow.__struct_fields__ if name not in ("needs", *_MARKS))


def snapshot(at: Transaction, sweep_id: int | None = None) -> list[RunRow]:
    """All runs of a sweep, or of the workspace, needs before what needs them."""
    tagged = labels.tags_of_runs(at)
    return [
        RunRow(**columns, tags=tagged.get(columns["run_id"], ()))
        for columns in _runs_of(at, sweep_id, RUN_COLUMNS)
    ]


def results(at: Transaction, sweep_id: int | None = None) -> list[ResultRow]:
    """The same runs with their settings and every final score."""
    return [ResultRow(**columns) for columns in _runs_of(at, sweep_id, _RESULT_COLUMNS)]


def epochs(at: Transaction, run_id: str) -> list[ScoreRow]:
    """A run's validations, in order."""
    found = (
        select(scores.c.epoch, scores.c.step, scores.c.name, scores.c.value)
        .where(scores.c.workspace_id == at.workspace, scores.c.run_id == run_id, ~scores.c.final)
        .order_by(scores.c.step, scores.c.epoch)
    )
    by_validation: dict[tuple[int, int], dict[str, float]] = defaultdict(dict)
    for epoch, step, name, value in at.connection.execute(found):
        by_validation[(epoch, step)][name] = value
    return [
        ScoreRow(
            run_id=run_id,
            epoch=epoch,
            train_loss=values.pop("train_loss", None),
            validation_loss=values.pop("validation_loss", None),
            validation=dict(sorted(values.items())),
        )
        for (epoch, _), values in by_validation.items()
    ]


def list_attempts(at: Transaction, run_ids: Iterable[str] | None = None) -> list[AttemptRow]:
    """Attempts at these runs, or all of them, oldest first."""
    job = (jobs.c.workspace_id == attempts.c.workspace_id) & (jobs.c.tag == attempts.c.tag)
    names = [name for name in AttemptRow.__struct_fields__ if name != "external_id"]
    found = (
        select(*(attempts.c[name] for name in names), jobs.c.external_id)
        .join_from(attempts, jobs, job & (jobs.c.element == attempts.c.element), isouter=True)
        .where(attempts.c.workspace_id == at.workspace)
        .order_by(attempts.c.started, attempts.c.run_id, attempts.c.attempt)
    )
    wanted: Sequence[Select[Any]] = (
        [found]
        if run_ids is None
        else [found.where(attempts.c.run_id.in_(chunk)) for chunk in chunks(run_ids)]
    )
    rows = (row._asdict() for statement in wanted for row in at.connection.execute(statement))
    return [AttemptRow(**{**row, "outcome": _OUTCOMES[row["outcome"]]}) for row in rows]


def splits(at: Transaction, sweep_id: int) -> list[SplitRow]:
    """Attempts at a sweep's runs that memory made try smaller parts, oldest first; few, and found by their index."""
    linked = select(sweep_runs.c.run_id).where(_linked(), sweep_runs.c.sweep_id == sweep_id).exists()
    found = (
        select(
            *(attempts.c[name] for name in ("run_id", "attempt", "device", "outcome", "splits")),
            *(runs.c[name] for name in ("kind", "dataset", "model")),
        )
        .join_from(
            attempts,
            runs,
            (runs.c.workspace_id == attempts.c.workspace_id) & (runs.c.run_id == attempts.c.run_id),
        )
        .where(attempts.c.workspace_id == at.workspace, attempts.c.splits.is_not(None), linked)
        .order_by(attempts.c.started, attempts.c.run_id, attempts.c.attempt)
    )
    rows = (row._asdict() for row in at.connection.execute(found))
    return [
        SplitRow(**{**row, "kind": _KINDS[row["kind"]], "splits": decoded_splits(row["splits"])})
        for row in rows
    ]


def failed(at: Transaction, sweep_id: int) -> list[FailedRow]:
    """Runs of a sweep that have no result and will have none, in order of arrival."""
    linked = select(sweep_runs.c.run_id).where(_linked(), sweep_runs.c.sweep_id == sweep_id).exists()
    found = (
        select(*(runs.c[name] for name in FailedRow.__struct_fields__))
        .where(runs.c.workspace_id == at.workspace, linked)
        .where(
            runs.c.kind.in_(Kind), runs.c.state.in_((State.FAILED, State.SKIPPED))
        )  # every kind: for the index
        .order_by(runs.c.position)
    )
    return [
        FailedRow(**{**row._asdict(), "kind": _KINDS[row.kind], "state": _STATES[row.state]})
        for row in at.connection.execute(found)
    ]


def counts(at: Transaction, sweep_id: int | None = None) -> dict[tuple[Kind, str], dict[State, int]]:
    """How many runs stand in each state, by kind and data set."""
    columns = (tallies.c.kind, tallies.c.dataset, tallies.c.state)
    found = (
        select(*columns, tallies.c.runs)
        .where(
            tallies.c.workspace_id == at.workspace, tallies.c.sweep_id == (sweep_id or 0), tallies.c.runs > 0
        )
        .order_by(*columns)
    )
    counted: dict[tuple[Kind, str], dict[State, int]] = defaultdict(dict)
    for kind, dataset, state, count in at.connection.execute(found):
        counted[(_KINDS[kind], dataset)][_STATES[state]] = count
    return dict(counted)


def _runs_of(at: Transaction, sweep_id: int | None, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """These columns of runs as values, with needs and marks, in order of arrival."""
    found = select(*(runs.c[name] for name in names)).where(runs.c.workspace_id == at.workspace)
    if sweep_id is not None:
        found = found.join_from(runs, sweep_runs, _linked()).where(sweep_runs.c.sweep_id == sweep_id)
    needed = _needs(at)
    selected, superseded = (_marked(at, sweep_id, mark) for mark in _MARKS)
    for row in at.connection.execute(found.order_by(runs.c.position)).all():
        columns = as_values(dict(zip(names, row, strict=True)))
        run_id = row[0]
        columns["needs"] = needed.get(run_id, ())
        columns["selected"] = run_id in selected
        columns["superseded"] = run_id in superseded
        yield columns


def _marked(at: Transaction, sweep_id: int | None, mark: str) -> set[str]:
    """Runs with this mark in the sweep; for the workspace as a whole, in any sweep."""
    found = select(sweep_runs.c.run_id).where(sweep_runs.c.workspace_id == at.workspace, sweep_runs.c[mark])
    if sweep_id is not None:
        found = found.where(sweep_runs.c.sweep_id == sweep_id)
    return set(at.connection.execute(found).scalars())


def as_values(row: dict[str, Any]) -> dict[str, Any]:
    """A row's text columns as values; only those that are there."""
    row["kind"] = _KINDS[row["kind"]]
    row["state"] = _STATES[row["state"]]
    if "last_outcome" in row:
        row["last_outcome"] = _OUTCOMES[row["last_outcome"]]
    for name in ("validation", "test"):
        row[name] = _scores.decode(row[name]) if row[name] else {}
    row["flags"] = _flags.decode(row["flags"]) if row["flags"] else ()
    if "notes" in row:
        row["notes"] = _notes.decode(row["notes"]) if row["notes"] else {}
    return row


def _needs(at: Transaction) -> dict[str, tuple[str, ...]]:
    """Run -> the runs that it needs, in a fixed order."""
    found = (
        select(needs.c.run_id, needs.c.needed_id)
        .where(needs.c.workspace_id == at.workspace)
        .order_by(needs.c.run_id, needs.c.role, needs.c.needed_id)
    )
    needed: dict[str, tuple[str, ...]] = {}
    for run_id, needed_id in at.connection.execute(found):
        needed[run_id] = (*needed.get(run_id, ()), needed_id)
    return needed


def _linked() -> Any:
    return (sweep_runs.c.workspace_id == runs.c.workspace_id) & (sweep_runs.c.run_id == runs.c.run_id)
