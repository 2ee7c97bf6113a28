"""What a person has said about a sweep, what its jobs have used, and runs that are to be done again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import bindparam, case, delete, func, select, update

from sgonz.plan.orders import Orders
from sgonz.plan.runs import State
from sgonz.store.rows import GenerationRow, JobUse
from sgonz.store.tables import attempts, jobs, runs, scores, submissions, sweep_runs, sweeps
from sgonz.store.transaction import Transaction, as_text, chunks

_orders = msgspec.json.Decoder(Orders)
_run_ids = msgspec.json.Decoder(tuple[str, ...])
RESULT = ("last_outcome", "signature", "ended", "seconds", "best_epoch", "epochs_done", "validation_loss",
          "validation_score", "test_score", "criterion_value", "validation", "test", "flags", "notes", "tag",
          "element")  # fmt: skip


def set_orders(at: Transaction, sweep_id: int, orders: Orders) -> None:
    at.connection.execute(
        update(sweeps)
        .where(sweeps.c.workspace_id == at.workspace, sweeps.c.id == sweep_id)
        .values(orders=as_text(orders))
    )


def orders_of(at: Transaction, sweep_id: int) -> Orders:
    found = select(sweeps.c.orders).where(sweeps.c.workspace_id == at.workspace, sweeps.c.id == sweep_id)
    text = at.connection.execute(found).scalar()
    return _orders.decode(text) if text else Orders()


def use_of(at: Transaction, sweep_id: int) -> list[JobUse]:
    """How long every job of a sweep has worked, up to its worker's last word."""
    same_job = (attempts.c.workspace_id == jobs.c.workspace_id) & (attempts.c.tag == jobs.c.tag)
    last_seen = func.coalesce(func.max(attempts.c.seen), jobs.c.started)
    left = func.coalesce(jobs.c.left, last_seen)
    found = (
        select(jobs.c.run_ids, jobs.c.started, case((left > last_seen, left), else_=last_seen).label("last"))
        .join_from(
            jobs,
            submissions,
            (submissions.c.workspace_id == jobs.c.workspace_id) & (submissions.c.tag == jobs.c.tag),
        )
        .join(attempts, same_job & (attempts.c.element == jobs.c.element), isouter=True)
        .where(jobs.c.workspace_id == at.workspace, submissions.c.sweep_id == sweep_id)
        .where(jobs.c.started.is_not(None))
        .group_by(jobs.c.tag, jobs.c.element, jobs.c.run_ids, jobs.c.started, jobs.c.left)
    )
    return [
        JobUse(run_ids=_run_ids.decode(row.run_ids), seconds=max(0.0, row.last - row.started))
        for row in at.connection.execute(found)
    ]


def generations(at: Transaction) -> list[GenerationRow]:
    """Runs that were ever begun again."""
    found = select(runs.c.run_id, runs.c.generation, runs.c.fence).where(
        runs.c.workspace_id == at.workspace, runs.c.generation > 1
    )
    return [GenerationRow(**row._asdict()) for row in at.connection.execute(found)]


def renew(at: Transaction, fences: Mapping[str, int], reason: str, at_work: str, time: float) -> None:
    """Begin another generation of runs: what is known of their results is forgotten here, not on disk.

    What attempts up to a run's fence still have to say does not count for the run any more. `at_work` is the
    reason of those that a job has in its hands.
    """
    live = (runs.c.state == State.SUBMITTED) | (runs.c.state == State.RUNNING)
    changes: dict[str, Any] = dict.fromkeys(RESULT)
    changes |= {
        "failures": 0,
        "interruptions": 0,
        "signature_repeats": 0,
        "state": State.PENDING,
        "changed": time,
    }
    at.connection.execute(
        update(runs)
        .where(runs.c.workspace_id == at.workspace, runs.c.run_id == bindparam("this"))
        .values(**changes, reason=case((live, at_work), else_=reason), generation=runs.c.generation + 1)
        .values(fence=bindparam("at_most"), attempts=bindparam("at_most")),
        [{"this": run_id, "at_most": fence} for run_id, fence in fences.items()],
    )
    for chunk in chunks(fences):
        at.connection.execute(
            delete(scores).where(scores.c.workspace_id == at.workspace, scores.c.run_id.in_(chunk))
        )
        at.connection.execute(
            update(sweep_runs)
            .where(sweep_runs.c.workspace_id == at.workspace, sweep_runs.c.run_id.in_(chunk))
            .values(selected=False)
        )
