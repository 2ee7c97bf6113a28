"""Finished results that were not made here: runs with a state and scores, and no job behind them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import structs
from sqlalchemy import bindparam, update

from sgonz import catalog
from sgonz.plan.runs import Dataset, Kind, Model, Outcome, RunSpec, Settings, State
from sgonz.store.rows import Row
from sgonz.store.sweeps import add_runs
from sgonz.store.tables import attempts, runs
from sgonz.store.transaction import Transaction, as_text


class Imported(Row, frozen=True, kw_only=True):
    """One result of an earlier study."""

    source: str  # file and line that it was read from
    dataset: str
    task: str
    student: str
    teacher: str | None
    learning_rate: float
    batch_size: int
    epochs_done: int
    metric: str
    validation_loss: float | None  # None where the file gave none that can be compared
    validation_score: float | None
    seconds: float | None
    seed: int
    why_unusable: str | None = None
    test_score: float | None = None
    exact_match: float | None = None  # on test, of question answering

    @property
    def described(self) -> Dataset:
        """Its data set, as far as a table of results tells; a published one where it has its name."""
        published = self.dataset if self.dataset in catalog.datasets() else None
        told = {
            "name": self.dataset,
            "task": self.task,
            "format": "jsonl",
            "metric": self.metric,
            "catalog": published,
        }
        return msgspec.convert(told, Dataset)

    @property
    def kind(self) -> Kind:
        return Kind.DISTILL if self.teacher else Kind.FINETUNE

    @property
    def run_id(self) -> str:
        """Of all that the row says, so that a file imported twice adds nothing; never the id of a run of ours."""
        newer = {name for name in ("test_score", "exact_match") if getattr(self, name) is None}
        said = {name: value for name, value in structs.asdict(self).items() if name not in {"source", *newer}}
        return hashlib.sha256(msgspec.json.encode(["imported", said], order="sorted")).hexdigest()[:16]


def add_imported(at: Transaction, sweep_id: int, rows: Sequence[Imported], time: float) -> int:
    """Add results to a sweep and bring known ones up to date; how many were new."""
    added = add_runs(at, sweep_id, [_spec(row) for row in rows])
    changed = [_columns(row, time) for row in rows]
    names = [name.removeprefix("new_") for name in changed[0] if name != "this"] if changed else []
    if changed:
        at.connection.execute(
            update(runs)
            .where(runs.c.workspace_id == at.workspace, runs.c.run_id == bindparam("this"))
            .values({name: bindparam(f"new_{name}") for name in names}),
            changed,
        )
    tried = [_attempt(row, time) for row in rows]
    at.upsert(attempts, tried, update=("ended", "seconds", "outcome", "error", "evidence"))
    return added


def _spec(row: Imported) -> RunSpec:
    return RunSpec(
        run_id=row.run_id,
        kind=row.kind,
        dataset=row.described,
        model=Model(name=row.student),
        teacher=Model(name=row.teacher) if row.teacher else None,
        settings=Settings(
            learning_rate=row.learning_rate, batch_size=row.batch_size, epochs=max(1, row.epochs_done)
        ),
        seed=row.seed,
    )


def _columns(row: Imported, time: float) -> dict[str, Any]:
    scores = {} if row.validation_score is None else {row.metric: row.validation_score}
    tested = {row.metric: row.test_score, "exact_match": row.exact_match}
    tests = {name: value for name, value in tested.items() if value is not None}
    return {
        "this": row.run_id,
        "new_state": State.FAILED if row.why_unusable else State.COMPLETED,
        "new_reason": row.why_unusable,
        "new_changed": time,
        "new_ended": time,
        "new_attempts": 1,
        "new_last_outcome": Outcome.FAILED if row.why_unusable else Outcome.COMPLETED,
        "new_seconds": row.seconds,
        "new_epochs_done": row.epochs_done,
        "new_validation_loss": row.validation_loss,
        "new_criterion_value": row.validation_loss,
        "new_validation_score": row.validation_score,
        "new_validation": as_text(scores),
        "new_test": as_text(tests),
        "new_test_score": row.test_score,
        "new_notes": as_text({"imported": row.source}),
    }


def _attempt(row: Imported, time: float) -> dict[str, Any]:
    seconds = row.seconds or 0.0
    return {
        "run_id": row.run_id,
        "attempt": 1,
        "tag": "imported",
        "element": 0,
        "started": time - seconds,
        "seen": time,
        "ended": time,
        "seconds": row.seconds,
        "outcome": Outcome.FAILED if row.why_unusable else Outcome.COMPLETED,
        "error": row.why_unusable,
        "evidence": row.source,
    }
