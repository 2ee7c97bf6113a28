"""Questions of the live screen: counts and pages of rows, never all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, select

from sgonz.plan.runs import Kind, Outcome, RunSpec, State
from sgonz.plan.state import RunRow
from sgonz.plan.where import read
from sgonz.store import labels, reading
from sgonz.store.reading import RUN_COLUMNS, as_values
from sgonz.store.rows import GroupRow, HoursRow, TryRow
from sgonz.store.selector import clause
from sgonz.store.sweeps import read_specs
from sgonz.store.tables import attempts, jobs, needs, runs, scores, sweep_runs, sweeps
from sgonz.store.transaction import Transaction, chunks

# What was interrupted is gone on with from its checkpoint, so its hours are not lost.
WASTED = (Outcome.FAILED, Outcome.OUT_OF_MEMORY, Outcome.CANCELLED, Outcome.PRUNED)
ENDED = tuple(state for state in State if state.is_final)


@dataclass(frozen=True)
class Scope:
    """The runs of one sweep that somebody looks at."""

    sweep_id: int
    alone: bool  # no other sweep is there, so that every run is this one's and nothing has to be joined
    chosen: ColumnElement[bool] | None = None


def scope(at: Transaction, sweep_id: int, where: str = "") -> Scope:
    """Raises SpecError where the selector makes no sense."""
    others = select(func.count()).select_from(sweeps).where(sweeps.c.workspace_id == at.workspace)
    alone = at.connection.execute(others).scalar_one() == 1
    return Scope(sweep_id, alone, clause(at, sweep_id, read(where)) if where.strip() else None)


def counts(at: Transaction, of: Scope) -> dict[tuple[Kind, str], dict[State, int]]:
    """How many runs stand in each state, by kind and data set."""
    if of.chosen is None:
        return reading.counts(at, of.sweep_id)
    grouped = (runs.c.kind, runs.c.dataset, runs.c.state)
    found: dict[tuple[Kind, str], dict[State, int]] = defaultdict(dict)
    for kind, dataset, state, size in at.connection.execute(
        of_scope(at, of, select(*grouped, func.count())).group_by(*grouped)
    ):
        found[Kind(kind), dataset][State(state)] = size
    return dict(found)


def groups(at: Transaction, of: Scope) -> list[GroupRow]:
    """Runs by kind, data set, model and whether they are done, with what they took: what a prediction is made of."""
    done = (runs.c.state == State.COMPLETED) & runs.c.seconds.is_not(None)
    final = case((done, 1), (runs.c.state.in_(ENDED), 2), else_=0)
    grouped = (runs.c.kind, runs.c.dataset, runs.c.model, final)
    numbers = (func.count(), func.sum(runs.c.seconds), func.sum(runs.c.epochs), func.sum(runs.c.epochs_done))
    found = of_scope(at, of, select(*grouped, *numbers)).group_by(*grouped)
    return [
        GroupRow(kind=Kind(kind), dataset=dataset, model=model, open=ended == 0, measured=ended == 1, runs=size,
                 seconds=seconds or 0.0, epochs=epochs or 0, epochs_done=done_epochs or 0)
        for kind, dataset, model, ended, size, seconds, epochs, done_epochs in at.connection.execute(found)
    ]  # fmt: skip


def examples(at: Transaction, of: Scope, wanted: Collection[tuple[Kind, str, str]]) -> list[RunSpec]:
    """One run of each of these kinds, models and data sets, where there is one."""
    alike = (runs.c.kind, runs.c.model, runs.c.dataset)
    found = of_scope(at, of, select(*alike, func.min(runs.c.run_id)))
    found = found.where(runs.c.model.in_({model for _, model, _ in wanted})).group_by(*alike)
    rows = [row for row in at.connection.execute(found) if (Kind(row[0]), row[1], row[2]) in wanted]
    return read_specs(at, [run_id for *_, run_id in rows])


def page(
    at: Transaction,
    of: Scope,
    states: Iterable[State],
    *,
    first: int = 0,
    most: int = 20,
    newest: bool = False,
) -> list[RunRow]:
    """Runs in these states in order of arrival, or with the newest change first."""
    found = of_scope(at, of, select(*(runs.c[name] for name in RUN_COLUMNS)))
    listed = tuple(states)
    place: ColumnElement[int] = runs.c.position
    if len(listed) < len(State):
        found = found.where(runs.c.state.in_(listed))
        place = runs.c.position + 0  # few are sorted sooner than all are gone through in their order
    order = (runs.c.changed.desc(), place) if newest else (place,)
    return _rows(at, of, found.order_by(*order).offset(first).limit(most))


def total(at: Transaction, of: Scope) -> int:
    return int(at.connection.execute(of_scope(at, of, select(func.count()))).scalar_one())


def selected(at: Transaction, of: Scope) -> list[tuple[RunRow, str, float | None, float | None]]:
    """Selected runs with the name of their headline metric and its value on validation and on test."""
    marked = (sweep_runs.c.workspace_id == at.workspace) & (sweep_runs.c.sweep_id == of.sweep_id)
    names = [*RUN_COLUMNS, "metric", "validation_score", "test_score"]
    found = (
        select(*(runs.c[name] for name in names))
        .join_from(sweep_runs, runs, _same(sweep_runs))
        .where(marked, sweep_runs.c.selected, ~sweep_runs.c.superseded)
        .order_by(runs.c.position + 0)  # found first, then sorted
    )
    if of.chosen is not None:
        found = found.where(of.chosen)
    answers = at.connection.execute(found).all()
    rows = _as_rows(at, of, [row[: len(RUN_COLUMNS)] for row in answers])
    return [(row, *answer[len(RUN_COLUMNS) :]) for row, answer in zip(rows, answers, strict=True)]


def hours(at: Transaction, of: Scope) -> list[HoursRow]:
    """Device hours of attempts by kind and model, with those that gave nothing."""
    seconds = func.coalesce(
        attempts.c.device_seconds, attempts.c.seconds, attempts.c.seen - attempts.c.started
    )
    lost = attempts.c.outcome.in_(WASTED)
    found = of_scope(
        at,
        of,
        select(runs.c.kind, runs.c.model, func.sum(seconds), func.sum(case((lost, seconds), else_=0.0))),
        attempts,
    ).group_by(runs.c.kind, runs.c.model)
    return [
        HoursRow(kind=Kind(kind), model=model, used=(used or 0.0) / 3600, wasted=(wasted or 0.0) / 3600)
        for kind, model, used, wasted in at.connection.execute(found)
    ]


def tries(at: Transaction, run_ids: Iterable[str], *, newest: bool = False) -> list[TryRow]:
    """Attempts at these runs, or the last one at each, in order."""
    job = (
        (jobs.c.workspace_id == attempts.c.workspace_id)
        & (jobs.c.tag == attempts.c.tag)
        & (jobs.c.element == attempts.c.element)
    )
    names = [name for name in TryRow.__struct_fields__ if name != "external_id"]
    found = (
        select(*(attempts.c[name] for name in names), jobs.c.external_id)
        .join_from(attempts, jobs, job, isouter=True)
        .where(attempts.c.workspace_id == at.workspace)
        .order_by(attempts.c.run_id, attempts.c.attempt)
    )
    rows = [
        TryRow(**row._asdict())
        for chunk in chunks(run_ids)
        for row in at.connection.execute(found.where(attempts.c.run_id.in_(chunk)))
    ]
    return list({row.run_id: row for row in rows}.values()) if newest else rows


def losses(at: Transaction, run_ids: Iterable[str]) -> dict[str, list[float]]:
    """Run -> its validation losses, in order."""
    found = (
        select(scores.c.run_id, scores.c.value)
        .where(scores.c.workspace_id == at.workspace, ~scores.c.final, scores.c.name == "validation_loss")
        .order_by(scores.c.run_id, scores.c.epoch, scores.c.step)
    )
    curves: dict[str, list[float]] = defaultdict(list)
    for chunk in chunks(run_ids):
        for run_id, value in at.connection.execute(found.where(scores.c.run_id.in_(chunk))):
            curves[run_id].append(value)
    return dict(curves)


def changed_since(at: Transaction, of: Scope, since: float, most: int) -> list[RunRow]:
    """Runs that came into a final state after this moment, oldest first."""
    found = of_scope(at, of, select(*(runs.c[name] for name in RUN_COLUMNS))).where(
        runs.c.state.in_(ENDED), runs.c.changed > since
    )
    return _rows(at, of, found.order_by(runs.c.changed, runs.c.position).limit(most))


def one(at: Transaction, of: Scope, run_id: str) -> RunRow | None:
    """The first run whose id starts so; whatever the filter is."""
    whole = Scope(of.sweep_id, of.alone)
    found = of_scope(at, whole, select(*(runs.c[name] for name in RUN_COLUMNS)))
    rows = _rows(at, whole, found.where(runs.c.run_id.startswith(run_id, autoescape=True)).limit(1))
    return rows[0] if rows else None


def some(at: Transaction, of: Scope, run_ids: Iterable[str]) -> list[RunRow]:
    """Those of these runs that the scope has, in order of arrival."""
    found = of_scope(at, of, select(*(runs.c[name] for name in RUN_COLUMNS)))
    return [
        row
        for chunk in chunks(sorted(run_ids))
        for row in _rows(at, of, found.where(runs.c.run_id.in_(chunk)).order_by(runs.c.position))
    ]


def of_scope(at: Transaction, of: Scope, found: Select[Any], beside: Any = None) -> Select[Any]:
    """The question for this scope's runs alone; `beside` is a table that has rows about runs."""
    source: Any = runs if beside is None else beside.join(runs, _same(beside))
    if not of.alone:
        source = source.join(sweep_runs, _same(sweep_runs))
        found = found.where(sweep_runs.c.sweep_id == of.sweep_id)
    found = found.select_from(source).where(runs.c.workspace_id == at.workspace)
    return found if of.chosen is None else found.where(of.chosen)


def _same(table: Any) -> ColumnElement[bool]:
    same: ColumnElement[bool] = (table.c.workspace_id == runs.c.workspace_id) & (
        table.c.run_id == runs.c.run_id
    )
    return same


def _rows(at: Transaction, of: Scope, found: Select[Any]) -> list[RunRow]:
    return _as_rows(at, of, at.connection.execute(found).all())


def _as_rows(at: Transaction, of: Scope, answers: Sequence[Sequence[Any]]) -> list[RunRow]:
    """Rows as values, with their needs and marks."""
    ids = [answer[0] for answer in answers]
    needed: dict[str, list[str]] = defaultdict(list)
    marks: dict[str, tuple[bool, bool]] = {}
    for chunk in chunks(ids):
        asked = select(needs.c.run_id, needs.c.needed_id).where(
            needs.c.workspace_id == at.workspace, needs.c.run_id.in_(chunk)
        )
        for run_id, needed_id in at.connection.execute(asked):
            needed[run_id].append(needed_id)
        marked = select(sweep_runs.c.run_id, sweep_runs.c.selected, sweep_runs.c.superseded).where(
            sweep_runs.c.workspace_id == at.workspace,
            sweep_runs.c.sweep_id == of.sweep_id,
            sweep_runs.c.run_id.in_(chunk),
        )
        for run_id, chosen, superseded in at.connection.execute(marked):
            marks[run_id] = (chosen, superseded)
    tagged = labels.tags_of_runs(at, ids) if ids else {}
    rows = []
    for answer in answers:
        columns = as_values(dict(zip(RUN_COLUMNS, answer, strict=True)))
        run_id = answer[0]
        chosen, superseded = marks.get(run_id, (False, False))
        rows.append(
            RunRow(**columns, needs=tuple(needed[run_id]), selected=chosen, superseded=superseded,
                   tags=tagged.get(run_id, ()))
        )  # fmt: skip
    return rows
