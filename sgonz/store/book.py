"""Events while they are applied: the rows that they are about, read before and written after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import select, update

from sgonz.events import AnyEvent, JobEnded, JobStarted
from sgonz.plan.runs import Kind, Outcome, State
from sgonz.store.rows import Stretch
from sgonz.store.tables import artifacts, attempts, event_offsets, jobs, needs, runs, scores
from sgonz.store.transaction import Transaction, chunks


@dataclass
class Standing:
    """The columns of a run that events change."""

    run_id: str
    state: State
    changed: float | None
    reason: str | None
    tag: str | None
    element: int | None
    attempts: int
    failures: int
    interruptions: int
    last_outcome: Outcome | None
    signature: str | None
    signature_repeats: int
    ended: float | None
    seconds: float | None
    best_epoch: int | None
    epochs_done: int | None
    validation_loss: float | None
    validation_score: float | None
    test_score: float | None
    criterion_value: float | None
    validation: str | None
    test: str | None
    flags: str | None
    notes: str | None
    fence: int  # attempts up to this one say nothing about the run any more


@dataclass
class Try:
    """One row of attempts."""

    run_id: str
    attempt: int
    tag: str
    element: int
    started: float
    seen: float  # when its last event was written
    host: str | None = None
    device: str | None = None
    precision: str | None = None
    micro_batch: int | None = None
    splits: str | None = None
    steps: int | None = None
    parameters: int | None = None
    peak_memory_mb: float | None = None
    ready: float | None = None
    ended: float | None = None
    seconds: float | None = None
    outcome: Outcome | None = None
    error: str | None = None
    signature: str | None = None
    evidence: str | None = None

    def close(self, outcome: Outcome, time: float, *, evidence: str | None = None) -> None:
        self.outcome, self.ended, self.evidence = outcome, time, evidence
        self.seconds = max(0.0, self.seen - self.started)


_SAID_OF_JOB = ("host", "pid", "restart", "device", "versions", "started", "left")
_JOB = (*_SAID_OF_JOB, "outcome")
_STANDING = tuple(column.name for column in fields(Standing))
_TRY = tuple(column.name for column in fields(Try))


@dataclass
class Book:
    """What one file's events are about, as the store has it and then as it will have it."""

    tag: str
    element: int
    job: dict[str, Any]  # its row; nothing but None where it is not known
    alive: bool  # whether anybody will see the end of the job
    meanings: dict[str, tuple[Kind, str, str]]  # run -> kind, criterion, headline metric
    standings: dict[str, Standing]
    tries: dict[str, dict[int, Try]]  # run -> attempt number -> row
    score_rows: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    artifact_rows: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    completed: list[str] = field(default_factory=list)
    epochs: int = 0
    unknown: int = 0

    def is_mine(self, run: Standing) -> bool:
        """Whether no other job carries the run."""
        return not run.state.is_live or (run.tag, run.element) == (self.tag, self.element)

    def attempt(self, run: Standing, number: int, started: float) -> Try:
        """The row of this attempt; a new one, begun then, where its first line was not read."""
        row = Try(
            run_id=run.run_id,
            attempt=number,
            tag=self.tag,
            element=self.element,
            host=self.job["host"],
            device=self.job["device"],
            started=started,
            seen=started,
        )
        return self.tries[run.run_id].setdefault(number, row)


@dataclass(kw_only=True)
class Shelf:
    """What the events of several files are about: read once before all of them, written once after."""

    jobs: dict[tuple[str, int], dict[str, Any]]
    positions: dict[str, int]  # how far every file was read
    meanings: dict[str, tuple[Kind, str, str]]
    standings: dict[str, Standing]
    tries: dict[str, dict[int, Try]]
    read: list[Book] = field(default_factory=list)

    def book(self, events: Iterable[AnyEvent], tag: str, element: int) -> Book:
        """What one file's events are about; a run that other files speak of too is the same one."""
        ids = _runs_of(events) & self.standings.keys()
        row = self.jobs.get((tag, element))
        return Book(
            tag=tag,
            element=element,
            job=dict.fromkeys(_JOB) if row is None else row,
            alive=row is not None and row["ended"] is None,
            meanings=self.meanings,
            standings={run_id: self.standings[run_id] for run_id in sorted(ids)},
            tries=self.tries,
        )


def open_shelf(at: Transaction, stretches: Sequence[Stretch]) -> Shelf:
    """Everything that these stretches of event files are about, read in a few questions whatever their number."""
    shelf = Shelf(jobs={}, positions={}, meanings={}, standings={}, tries={})
    own = [runs.c[name] for name in _STANDING]
    for chunk in chunks(sorted(_runs_of(event for one in stretches for event in one.events))):
        found = select(runs.c.kind, runs.c.criterion, runs.c.metric, *own).where(
            runs.c.workspace_id == at.workspace, runs.c.run_id.in_(chunk)
        )
        for kind, criterion, metric, *columns in at.connection.execute(found):
            standing = Standing(*columns)
            standing.state = State(standing.state)
            shelf.meanings[standing.run_id] = (Kind(kind), criterion, metric)
            shelf.standings[standing.run_id] = standing
            shelf.tries[standing.run_id] = {}
        tried = select(*(attempts.c[name] for name in _TRY)).where(
            attempts.c.workspace_id == at.workspace, attempts.c.run_id.in_(chunk)
        )
        for values in at.connection.execute(tried):
            row = Try(*values)
            shelf.tries[row.run_id][row.attempt] = row
    for chunk in chunks(one.file for one in stretches):
        files = select(event_offsets.c.file, event_offsets.c.position).where(
            event_offsets.c.workspace_id == at.workspace, event_offsets.c.file.in_(chunk)
        )
        shelf.positions |= {file: int(position) for file, position in at.connection.execute(files)}
    elements: dict[str, list[str]] = {}
    for one in stretches:
        elements.setdefault(one.tag, []).append(str(one.element))
    for tag, of_tag in elements.items():
        for chunk in chunks(of_tag):
            carrying = select(jobs).where(
                jobs.c.workspace_id == at.workspace, jobs.c.tag == tag, jobs.c.element.in_(map(int, chunk))
            )
            shelf.jobs |= {(tag, job.element): job._asdict() for job in at.connection.execute(carrying)}
    return shelf


def write_shelf(at: Transaction, shelf: Shelf) -> None:
    """What the books that were read have changed; how far files were read goes into the same transaction."""
    changed = {run_id: standing for book in shelf.read for run_id, standing in book.standings.items()}
    at.revise(runs, [dict(vars(standing)) for standing in changed.values()], ["run_id"])
    at.upsert(
        attempts,
        [dict(vars(row)) for run_id in changed for row in shelf.tries[run_id].values()],
        update=_TRY[2:],
    )
    noted = {key: row for book in shelf.read for key, row in book.score_rows.items()}
    at.upsert(scores, list(noted.values()), update=["value"])
    left = {key: row for book in shelf.read for key, row in book.artifact_rows.items()}
    at.upsert(artifacts, list(left.values()), update=["path", "size", "created"])
    said = {(book.tag, book.element): book.job for book in shelf.read}
    at.revise(
        jobs,
        [
            {**{name: job[name] for name in _SAID_OF_JOB}, "tag": tag, "element": element}
            for (tag, element), job in said.items()
        ],
        ["tag", "element"],
    )
    at.upsert(
        event_offsets,
        [{"file": file, "position": position} for file, position in shelf.positions.items()],
        update=["position"],
    )
    for run_id in (run for book in shelf.read for run in book.completed):
        if shelf.meanings[run_id][0] is Kind.EVALUATE:
            _pass_on_test_scores(at, shelf.standings[run_id])


def _runs_of(events: Iterable[AnyEvent]) -> set[str]:
    return {event.run_id for event in events if not isinstance(event, JobStarted | JobEnded)}


def _pass_on_test_scores(at: Transaction, evaluation: Standing) -> None:
    """A run that was scored on test by another shows these scores as its own."""
    scored = select(needs.c.needed_id).where(
        needs.c.workspace_id == at.workspace, needs.c.run_id == evaluation.run_id, needs.c.role == "model"
    )
    at.connection.execute(
        update(runs)
        .where(runs.c.workspace_id == at.workspace, runs.c.run_id.in_(scored))
        .values(test=evaluation.test, test_score=evaluation.test_score)
    )
