"""Take in what workers wrote: the events of one file, once, together with how far the file was read."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import structs
from sqlalchemy import select

from sgonz.bare import run_folder
from sgonz.events import (
    AnyEvent,
    EpochEnded,
    JobEnded,
    JobStarted,
    MemoryShort,
    Progress,
    RunEnded,
    RunReady,
    RunStarted,
)
from sgonz.plan.runs import Outcome, State
from sgonz.store import problems
from sgonz.store.book import Book, Shelf, Standing, open_shelf, write_shelf
from sgonz.store.jobs import FAULTS
from sgonz.store.rows import Applied, Problem, SplitAt, Stretch, decoded_splits
from sgonz.store.sweeps import criterion_value
from sgonz.store.tables import event_offsets
from sgonz.store.transaction import Transaction, as_text, finite

UNKNOWN_RUN = "events about runs that are not in the database"
OPEN_STATES = (State.PENDING, State.SUBMITTED, State.RUNNING)


def offsets(at: Transaction, tags: Collection[str] | None = None) -> dict[str, int]:
    """How many bytes of every event file have been applied; `tags` are the submissions asked for, or all."""
    files = select(event_offsets.c.file, event_offsets.c.position).where(
        event_offsets.c.workspace_id == at.workspace
    )
    if tags is None:
        return {file: int(position) for file, position in at.connection.execute(files)}
    found: dict[str, int] = {}
    for tag in sorted(tags):
        within = files.where(event_offsets.c.file.startswith(f"jobs/{tag}/", autoescape=True))
        found |= {file: int(position) for file, position in at.connection.execute(within)}
    return found


def position(at: Transaction, file: str) -> int:
    """How many bytes of one event file have been applied."""
    done = select(event_offsets.c.position).where(
        event_offsets.c.workspace_id == at.workspace, event_offsets.c.file == file
    )
    return int(at.connection.execute(done).scalar() or 0)


def apply_stretches(at: Transaction, stretches: Sequence[Stretch], time: float) -> list[Applied]:
    """Apply stretches in order, and remember what was wrong with them; `time` is now.

    Nothing of a stretch whose file was read that far before. Every event changes nothing the second time, so that
    two readers of one stretch do no harm either.
    """
    shelf = open_shelf(at, stretches)
    done = [_apply(shelf, one) for one in stretches]
    write_shelf(at, shelf)
    found: list[Problem] = []
    for one, applied in zip(stretches, done, strict=True):
        found += [structs.replace(problem, first=time, last=time) for problem in one.problems if applied.read]
        if applied.unknown:
            found.append(
                Problem(file=one.file, rule=UNKNOWN_RUN, count=applied.unknown, detail="left out",
                        first=time, last=time)
            )  # fmt: skip
    if found:
        problems.note(at, found)
    return done


def _apply(shelf: Shelf, stretch: Stretch) -> Applied:
    if shelf.positions.get(stretch.file, 0) >= stretch.offset:
        return Applied()
    book = shelf.book(stretch.events, stretch.tag, stretch.element)
    for event in stretch.events:
        _enter(book, event)
    if not book.alive:
        _close_left_open(book)
    shelf.positions[stretch.file] = stretch.offset
    shelf.read.append(book)
    return Applied(
        read=True,
        started=tuple(dict.fromkeys(book.started)),
        ended=tuple(dict.fromkeys(book.ended)),
        completed=tuple(dict.fromkeys(book.completed)),
        epochs=book.epochs,
        unknown=book.unknown,
    )


def _enter(book: Book, event: AnyEvent) -> None:
    """One event; those about the job itself first."""
    if book.job["started"] is None:
        book.job["started"] = event.time
    if isinstance(event, JobStarted):
        book.job |= {"host": event.host, "pid": event.pid, "restart": event.restart, "device": event.device}
        book.job |= {"versions": as_text(event.versions), "left": None}
        return
    if isinstance(event, JobEnded):
        book.job["left"] = event.time
        return
    run = book.standings.get(event.run_id)
    if run is None:
        book.unknown += 1
        return
    match event:
        case RunStarted():
            _run_started(book, run, event)
        case RunReady():
            _run_ready(book, run, event)
        case Progress():
            for row in book.tries[run.run_id].values():
                if row.outcome is None and (row.tag, row.element) == (book.tag, book.element):
                    row.seen = event.time
        case MemoryShort():
            _memory_short(book, run, event)
        case EpochEnded():
            _epoch_ended(book, run, event)
        case RunEnded():
            _run_ended(book, run, event)


def _run_started(book: Book, run: Standing, event: RunStarted) -> None:
    tries = book.tries[run.run_id]
    if event.attempt in tries:
        return
    book.attempt(run, event.attempt, event.time)
    book.started.append(run.run_id)
    if event.attempt < run.attempts or event.attempt <= run.fence:
        return
    for earlier in tries.values():
        if earlier.attempt < event.attempt and earlier.outcome is None:
            earlier.close(Outcome.UNKNOWN, event.time, evidence=f"attempt {event.attempt} started")
            run.interruptions += 1
    run.attempts = event.attempt
    if book.alive and book.is_mine(run) and run.state in OPEN_STATES:
        run.state, run.changed, run.reason = State.RUNNING, event.time, None
        run.tag, run.element = book.tag, book.element


def _run_ready(book: Book, run: Standing, event: RunReady) -> None:
    row = book.attempt(run, event.attempt, event.time)
    row.ready = event.time
    row.device, row.precision, row.micro_batch = event.device, event.precision, event.micro_batch
    row.steps, row.parameters = event.steps, event.parameters
    if row.outcome is None:
        row.seen = event.time


def _memory_short(book: Book, run: Standing, event: MemoryShort) -> None:
    row = book.attempt(run, event.attempt, event.time)
    known = decoded_splits(row.splits)
    one = SplitAt(event.step, event.micro_batch, event.recompute, event.reading)
    if one not in known:
        row.splits = as_text((*known, one))
    if not event.reading:
        row.micro_batch = event.micro_batch
    if row.outcome is None:
        row.seen = event.time


def _epoch_ended(book: Book, run: Standing, event: EpochEnded) -> None:
    row = book.attempt(run, event.attempt, event.time)
    row.micro_batch = event.micro_batch or row.micro_batch
    if event.peak_memory_mb is not None:
        row.peak_memory_mb = max(row.peak_memory_mb or 0.0, event.peak_memory_mb)
    if row.outcome is None:
        row.seen = event.time
    if event.attempt < run.attempts or event.attempt <= run.fence:
        return  # a later attempt has gone over this epoch, or will
    book.epochs += 1
    losses = {"validation_loss": event.validation_loss}
    _note_scores(book, run, "train", {"train_loss": event.train_loss}, event.epoch, event.step)
    _note_scores(book, run, "validation", {**event.validation, **losses}, event.epoch, event.step)


def _run_ended(book: Book, run: Standing, event: RunEnded) -> None:
    row = book.attempt(run, event.attempt, event.time - event.seconds)
    completed = event.outcome is Outcome.COMPLETED
    if row.outcome is Outcome.COMPLETED or (row.outcome is not None and not completed):
        return  # known already; only a result on disk says more than the first word on an attempt's end
    row.outcome, row.ended, row.seen, row.seconds = event.outcome, event.time, event.time, event.seconds
    row.error, row.signature, row.evidence = event.error, event.signature, None
    if event.attempt <= run.fence:
        return  # of a generation that is not wanted any more
    book.ended.append(run.run_id)
    newest = event.attempt >= run.attempts
    run.attempts = max(run.attempts, event.attempt)
    if run.state is State.COMPLETED:
        return
    if completed and (newest or event.adopted):
        _complete(book, run, event)
    elif newest and not completed and run.state in OPEN_STATES and book.is_mine(run):
        _count_against(run, event)


def _complete(book: Book, run: Standing, event: RunEnded) -> None:
    """The result is on disk: whatever was thought of the run before, it is done."""
    for row in book.tries[run.run_id].values():
        if row.outcome is None:
            row.close(Outcome.CANCELLED, event.time, evidence="the result was there already")
    _, criterion, metric = book.meanings[run.run_id]
    validation, test = finite(event.validation), finite(event.test)
    loss = finite({"loss": event.validation_loss} if event.validation_loss is not None else {}).get("loss")
    run.state, run.changed, run.reason, run.tag, run.element = State.COMPLETED, event.time, None, None, None
    run.last_outcome, run.ended, run.seconds = Outcome.COMPLETED, event.time, event.seconds
    run.best_epoch, run.epochs_done, run.validation_loss = event.best_epoch, event.epochs_done, loss
    run.validation, run.test = as_text(validation), as_text(test)
    run.validation_score, run.test_score = validation.get(metric), test.get(metric)
    run.criterion_value = criterion_value(criterion, loss, validation)
    run.flags, run.notes = as_text(event.flags), as_text(event.notes)
    epoch = event.best_epoch or 0
    _note_scores(book, run, "validation", {**validation, "validation_loss": loss}, epoch, 0, final=True)
    _note_scores(book, run, "test", test, epoch, 0, final=True)
    for kind, size in event.left.items():
        place = f"{run_folder('', run.run_id).lstrip('/')}/output/{kind}"
        book.artifact_rows[run.run_id, kind] = {
            "run_id": run.run_id, "kind": kind, "path": place, "size": size, "created": event.time,
        }  # fmt: skip
    book.completed.append(run.run_id)


def _count_against(run: Standing, event: RunEnded) -> None:
    """An attempt without a result: what it says about the run, and where the run stands now."""
    run.last_outcome, run.ended, run.changed = event.outcome, event.time, event.time
    run.state, run.tag, run.element, run.reason = State.PENDING, None, None, event.error
    if event.outcome.is_interruption:
        run.interruptions += 1
    elif event.outcome in FAULTS:
        same = event.signature is not None and event.signature == run.signature
        run.failures += 1
        run.signature_repeats = run.signature_repeats + 1 if same else int(event.signature is not None)
        run.signature = event.signature
    elif event.outcome is Outcome.CANCELLED:
        run.state, run.reason = State.CANCELLED, event.error or "cancelled while it ran"
    else:
        run.state, run.reason = State.FAILED, event.error or "pruned"


def _note_scores(
    book: Book,
    run: Standing,
    split: str,
    values: dict[str, float] | dict[str, float | None],
    epoch: int,
    step: int,
    *,
    final: bool = False,
) -> None:
    there = {name: value for name, value in values.items() if value is not None}
    for name, value in finite(there).items():
        row = {
            "run_id": run.run_id,
            "final": final,
            "epoch": epoch,
            "step": step,
            "split": split,
            "name": name,
        }
        book.score_rows[tuple(row.values())] = {**row, "value": value}


def _close_left_open(book: Book) -> None:
    """Attempts that became known only after their job was over."""
    outcome = Outcome(book.job["outcome"] or Outcome.UNKNOWN)
    for run in book.standings.values():
        for row in book.tries[run.run_id].values():
            if row.outcome is None and (row.tag, row.element) == (book.tag, book.element):
                row.close(outcome, row.seen, evidence="the job is over")
                run.interruptions += outcome.is_interruption and row.attempt > run.fence
