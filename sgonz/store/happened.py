"""What came about in a sweep since a moment: counted and grouped by the database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import case, func, literal, select

from sgonz.plan.runs import TRAINED, Kind, Outcome, State
from sgonz.store.rows import BestRow, CauseRow
from sgonz.store.tables import attempts, runs
from sgonz.store.transaction import Transaction
from sgonz.store.watched import ENDED, WASTED, Scope, of_scope

MOST = 50  # causes that are told


def ended(at: Transaction, of: Scope, since: float) -> dict[tuple[Kind, str, State], int]:
    """Runs that came into a final state, by kind, data set and state."""
    grouped = (runs.c.kind, runs.c.dataset, runs.c.state)
    found = of_scope(at, of, select(*grouped, func.count())).where(
        runs.c.state.in_(ENDED), runs.c.changed > since
    )
    rows = at.connection.execute(found.group_by(*grouped).order_by(*grouped))
    return {(Kind(kind), dataset, State(state)): size for kind, dataset, state, size in rows}


def causes(at: Transaction, of: Scope, since: float) -> list[CauseRow]:
    """Why runs failed, the most frequent cause first, each with one run to look at."""
    why = func.coalesce(runs.c.signature, runs.c.reason, "no reason is known")
    grouped = (runs.c.kind, runs.c.dataset, runs.c.model, why)
    size = func.count()
    found = of_scope(at, of, select(*grouped, size, func.min(runs.c.run_id), func.max(runs.c.changed))).where(
        runs.c.state == State.FAILED, runs.c.changed > since
    )
    ordered = found.group_by(*grouped).order_by(size.desc(), *grouped).limit(MOST)
    return [
        CauseRow(kind=Kind(kind), dataset=dataset, model=model, cause=cause, runs=count, run_id=run_id, time=time)
        for kind, dataset, model, cause, count, run_id, time in at.connection.execute(ordered)
    ]  # fmt: skip


def bests(at: Transaction, of: Scope, since: float) -> list[BestRow]:
    """Runs that are the best of their kind and data set now, and were not there before, with the best until then."""
    found = []
    for kind in TRAINED:
        mine = (runs.c.kind == kind, runs.c.state == State.COMPLETED, runs.c.criterion_value.is_not(None))
        place = func.row_number().over(
            partition_by=runs.c.dataset, order_by=(runs.c.criterion_value, runs.c.run_id)
        )
        names = ("run_id", "dataset", "model", "metric", "validation_score", "validation_loss", "changed")
        ranked = of_scope(at, of, select(*(runs.c[name] for name in names), place.label("place"))).where(
            *mine
        )
        now = _first(at, ranked)
        before = _first(at, ranked.where(runs.c.changed <= since))
        for dataset, row in sorted(now.items()):
            if row.changed is None or row.changed <= since:
                continue
            old = before.get(dataset)
            found.append(
                BestRow(kind=kind, dataset=dataset, model=row.model, metric=row.metric, score=row.validation_score,
                        loss=row.validation_loss, run_id=row.run_id, time=row.changed,
                        score_before=old.validation_score if old else None,
                        loss_before=old.validation_loss if old else None)
            )  # fmt: skip
    return found


def _first(at: Transaction, ranked: Any) -> dict[str, Any]:
    inner = ranked.subquery()
    return {row.dataset: row for row in at.connection.execute(select(inner).where(inner.c.place == 1))}


def hours(at: Transaction, of: Scope, since: float) -> tuple[float, float, dict[str, int]]:
    """Device hours after the moment, those of them that gave nothing, and how attempts ended that gave nothing."""
    end = func.coalesce(attempts.c.ended, attempts.c.seen)
    begin = case((attempts.c.started > since, attempts.c.started), else_=literal(since))
    whole = func.coalesce(attempts.c.device_seconds, end - attempts.c.started)
    seconds = whole * (end - begin) / func.nullif(end - attempts.c.started, 0.0)  # the part after the moment
    found = of_scope(at, of, select(attempts.c.outcome, func.count(), func.sum(seconds)), attempts).where(
        end > since
    )
    used = wasted = 0.0
    lost: dict[str, int] = {}
    for outcome, size, total in at.connection.execute(found.group_by(attempts.c.outcome)):
        used += (total or 0.0) / 3600
        if outcome in WASTED:
            wasted += (total or 0.0) / 3600
        if outcome not in (None, Outcome.COMPLETED):
            lost[outcome] = size
    return used, wasted, lost
