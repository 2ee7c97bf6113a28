"""Runs that are to be done again from the start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, case, delete, select, update

from sgonz.plan.runs import State
from sgonz.store.rows import GenerationRow
from sgonz.store.tables import artifacts, runs, scores, sweep_runs
from sgonz.store.transaction import Transaction, chunks

RESULT = ("last_outcome", "signature", "ended", "seconds", "best_epoch", "epochs_done", "validation_loss",
          "validation_score", "test_score", "criterion_value", "validation", "test", "flags", "notes", "tag",
          "element")  # fmt: skip


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
            delete(artifacts).where(artifacts.c.workspace_id == at.workspace, artifacts.c.run_id.in_(chunk))
        )
        at.connection.execute(
            update(sweep_runs)
            .where(sweep_runs.c.workspace_id == at.workspace, sweep_runs.c.run_id.in_(chunk))
            .values(selected=False)
        )
