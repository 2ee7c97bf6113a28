"""From the store to a scene: what the live screen shows now, by a few questions about counts and pages of rows."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from sgonz.cluster.profile import SLOW_CORE
from sgonz.cluster.slurm_requests import RECENT_SECONDS, Notes
from sgonz.coordinator import last_turn
from sgonz.errors import SgonzError
from sgonz.looking.meanwhile import Meanwhile, Moved, counted
from sgonz.looking.progress import Listener, Standing
from sgonz.looking.scene import Doing, Opened, Part, Rank, Request, Rows, Scene, Spent, Tried
from sgonz.plan.estimate import Workload, first_guess
from sgonz.plan.outlook import Guess, Pace, finishes, seconds_left
from sgonz.plan.prediction import epoch_seconds
from sgonz.plan.runs import Kind, RunSpec, State
from sgonz.plan.state import RunRow
from sgonz.rundir import Workdir
from sgonz.store import labels, reading, standings, watched
from sgonz.store.rows import SplitAt, TryRow, decoded_splits
from sgonz.store.store import Store
from sgonz.store.transaction import Transaction
from sgonz.workdir import costs

FRESH_SECONDS = 10.0  # so long after a turn its answer is what there is to see
SLOW_SECONDS = 5.0  # between two looks at what takes all rows to know: hours, what is left, the leaderboard
SHARE = 0.05  # of the time that such looks may take
LOG_BYTES = 8192
Counts = Mapping[tuple[Kind, str], Mapping[State, int]]
MOST_TOLD = 200  # runs that ended between two looks


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The sweep that is watched, and how."""

    store: Store
    workdir: Workdir
    sweep_id: int
    name: str
    cluster: str
    ceiling: float | None = None  # requests a minute; None where there is no controller
    places: int = 1  # runs at a time where nothing runs yet
    runs_at_once: Callable[[str], int] = lambda model: 1  # of one job
    workloads: Mapping[tuple[str, str], Workload] = field(default_factory=dict)
    macs_per_second: float = SLOW_CORE
    metrics: Mapping[str, str] = field(default_factory=dict)  # by data set, in the order of the sweep file


@dataclass(frozen=True, kw_only=True)
class Whole:
    """What takes all rows to know."""

    where: str
    left: Mapping[tuple[Kind, str, str], float] = field(default_factory=dict)
    board: tuple[Rank, ...] = ()
    spent: tuple[Spent, ...] = ()


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What is taken from the answer that the last turn left."""

    finished: bool = False
    waiting: dict[str, int] = {}


_said_decoder = msgspec.json.Decoder(Said)


class Watcher:
    """Holds what was heard of running runs, and the last look at what takes long."""

    def __init__(self, of: Subject) -> None:
        self.of = of
        self.listener = Listener(of.workdir)
        self.meanwhile = Meanwhile(of.workdir)
        self.whole: Whole | None = None
        self.changes = -1
        self.counts: Counts = {}
        self.counted = ("", -1)  # for which filter and state of the store
        self.examples: dict[tuple[Kind, str, str], RunSpec] = {}  # a run of each kind, model and data set
        self.due = 0.0
        self.scene: Scene | None = None

    def look(self, asked: Request, *, patient: bool = True) -> Scene:
        """What is to be seen now; without patience, without what takes long and is not known yet."""
        try:
            with self.of.store.reading() as at:
                self.scene = self._look(at, asked, patient)
        except SgonzError as error:
            now, turn = time.time(), last_turn.read(self.of.workdir)
            known = self.scene or Scene(sweep=self.of.name, cluster=self.of.cluster, now=now)
            return msgspec.structs.replace(known, now=now, turn=turn, wrong=error.message)
        return self.scene

    def ended(self, since: float, where: str) -> list[RunRow]:
        """Runs that came into a final state after this moment; none while the store says nothing."""
        try:
            with self.of.store.reading() as at:
                return watched.changed_since(at, watched.scope(at, self.of.sweep_id, where), since, MOST_TOLD)
        except SgonzError:
            return []

    def _look(self, at: Transaction, asked: Request, patient: bool) -> Scene:
        of, now = self.of, time.time()
        scope = watched.scope(at, of.sweep_id, asked.where)
        changes = standings.changes(at)
        if (asked.where, changes) != self.counted:  # with a filter they take all rows to know
            self.counts = _in_order(watched.counts(at, scope), tuple(of.metrics))
            self.counted = (asked.where, changes)
        turn = last_turn.read(of.workdir)
        quiet = turn is None or not 0 <= now - turn.time < FRESH_SECONDS
        moved = self.meanwhile.moved(at, scope, changes) if quiet else []
        counts = counted(self.counts, moved) if moved else self.counts
        self._learn(at, scope, asked.where, patient, changes)
        whole = self.whole if self.whole and self.whole.where == asked.where else None
        running_total = _number(counts, State.RUNNING)
        first = asked.first if asked.page == "running" else 0
        running = _running(at, scope, moved, first, asked.rows) if running_total else []
        parts, finish = _parts(counts, whole, running_total or of.places, now)
        said = _said(at, of.sweep_id)
        still = _number(counts, *(state for state in State if not state.is_final))
        return Scene(
            sweep=of.name, cluster=of.cluster, now=now, tags=labels.tags(at).get(of.name, ()), turn=turn,
            requests=_requests(of.workdir, now) if of.ceiling else None, ceiling=of.ceiling,
            problems=turn.problems if turn else (), finished=said.finished and not still, parts=parts, finish=finish,
            waiting=said.waiting if still else {}, running=self._doing(at, running), running_first=first,
            running_total=running_total, failed=_failed(at, scope, counts, asked),
            board=whole.board if whole else None, spent=whole.spent if whole else None,
            listed=_listed(at, scope, counts, asked, moved), opened=self._opened(at, scope, asked.run, moved),
        )  # fmt: skip

    def _learn(self, at: Transaction, scope: watched.Scope, where: str, patient: bool, changes: int) -> None:
        """Look at what takes long again, when something changed and not much of the time goes into it."""
        now = time.monotonic()
        same = self.whole is not None and self.whole.where == where
        if not patient or (same and (changes == self.changes or now < self.due)):
            return
        left = seconds_left(watched.groups(at, scope), _guess(self.of), self._pace(at, scope))
        self.whole = Whole(
            where=where,
            left=left,
            board=_board(at, scope),
            spent=_spent(at, scope, left, self.of.runs_at_once),
        )
        self.changes = changes
        took = time.monotonic() - now
        self.due = now + max(SLOW_SECONDS, took / SHARE)

    def _pace(self, at: Transaction, scope: watched.Scope) -> Pace:
        """Seconds per epoch as turns and `plan` have them, by what runs of any sweep here took."""
        history = costs.read(self.of.workdir)
        known = {(cost.shape.kind, cost.shape.model, cost.shape.dataset) for cost in history.costs}
        if known - self.examples.keys():
            found = watched.examples(at, scope, known - self.examples.keys())
            self.examples |= {(spec.kind, spec.model.name, spec.dataset.name): spec for spec in found}
        seconds = epoch_seconds(history, list(self.examples.values()))
        return lambda kind, dataset, model: seconds(
            RunRow(run_id="", kind=kind, dataset=dataset, model=model)
        )

    def _doing(self, at: Transaction, rows: Sequence[RunRow]) -> tuple[Doing, ...]:
        ids = [row.run_id for row in rows]
        heard = self.listener.hear(rows)
        curves = watched.losses(at, ids)
        tried = {attempt.run_id: attempt for attempt in watched.tries(at, ids, newest=True)}
        return tuple(
            _one_doing(
                row, heard.get(row.run_id, Standing()), curves.get(row.run_id, []), tried.get(row.run_id)
            )
            for row in rows
        )

    def _opened(
        self, at: Transaction, scope: watched.Scope, run_id: str | None, moved: Sequence[Moved]
    ) -> Opened | None:
        row = watched.one(at, scope, run_id) if run_id else None
        if row is None:
            return None
        row = next((now for before, now in moved if before.run_id == row.run_id), row)
        folder = self.of.workdir.run(row.run_id)
        doing = self._doing(at, [row])[0] if row.state is State.RUNNING else None
        tried = tuple(
            Tried(attempt=one.attempt, host=one.host, device=one.device, job=one.external_id, started=one.started,
                  seconds=one.seconds, outcome=one.outcome, error=one.error, peak_memory_mb=one.peak_memory_mb,
                  splits=tuple(map(_split, decoded_splits(one.splits))))
            for one in watched.tries(at, [row.run_id])
        )  # fmt: skip
        return Opened(
            row=row, doing=doing, why=row.reason or row.signature, curve=tuple(reading.epochs(at, row.run_id)),
            tried=tried, log=_tail(folder.log), folder=str(folder.root),
        )  # fmt: skip


def _split(one: SplitAt) -> str:
    """Rows at a time; r where activations are recomputed, s where they are scored."""
    return f"{one.micro_batch}{'r' if one.recompute else ''}{'s' if one.reading else ''}"


def _said(at: Transaction, sweep_id: int) -> Said:
    text = standings.last_answer(at, sweep_id)
    return Said() if text is None else _said_decoder.decode(text)


def _one_doing(row: RunRow, heard: Standing, curve: Sequence[float], tried: TryRow | None) -> Doing:
    return Doing(
        row=row,
        host=tried.host if tried else None,
        device=tried.device if tried else None,
        job=tried.external_id if tried else None,
        began=tried.started if tried else None,
        epoch=heard.epoch or len(curve) or None,
        share=heard.share,
        loss=heard.loss,
        best=min(curve, default=None),
        patience_left=heard.patience_left,
        micro_batch=heard.micro_batch or (tried.micro_batch if tried else None),
        per_second=heard.per_second,
        seconds_left=heard.seconds_left(row),
        curve=tuple(curve),
    )


def _in_order(
    counts: Mapping[tuple[Kind, str], dict[State, int]], datasets: Sequence[str]
) -> dict[tuple[Kind, str], dict[State, int]]:
    """As stages follow each other, and as the sweep file names its data sets."""
    known = {name: number for number, name in enumerate(datasets)}
    kinds = list(Kind)
    ordered = sorted(counts, key=lambda key: (kinds.index(key[0]), known.get(key[1], len(known)), key[1]))
    return {key: counts[key] for key in ordered}


def _number(counts: Counts, *states: State) -> int:
    return sum(found.get(state, 0) for found in counts.values() for state in states)


def _parts(
    counts: Counts, whole: Whole | None, at_once: int, now: float
) -> tuple[tuple[Part, ...], float | None]:
    """Counts with what is left of each, and when everything that is planned may be done."""
    left: dict[tuple[Kind, str], float] = defaultdict(float)
    for (kind, dataset, _), seconds in (whole.left if whole else {}).items():
        left[kind, dataset] += seconds
    when = finishes({key: left[key] for key in counts if key in left}, at_once=at_once, now=now)
    parts = tuple(
        Part(kind=kind, dataset=dataset, states=states, seconds_left=left.get((kind, dataset)),
             finish=when.get((kind, dataset)))
        for (kind, dataset), states in counts.items()
    )  # fmt: skip
    return parts, max(when.values(), default=None)


def _failed(
    at: Transaction,
    scope: watched.Scope,
    counts: Counts,
    asked: Request,
) -> Rows:
    total = _number(counts, State.FAILED)
    if not total:
        return Rows()
    first = asked.first if asked.page == "failures" else 0
    found = watched.page(at, scope, [State.FAILED], first=first, most=asked.rows, newest=True)
    return Rows(rows=tuple(found), first=first, total=total)


def _running(
    at: Transaction, scope: watched.Scope, moved: Sequence[Moved], first: int, most: int
) -> list[RunRow]:
    """A page of the runs that are at work: those of the store that still are, then those that have begun since."""
    over = {before.run_id for before, _ in moved}
    there = watched.page(at, scope, [State.RUNNING], most=first + most + len(over))
    begun = [now for _, now in moved if now.state is State.RUNNING]
    return [*(row for row in there if row.run_id not in over), *begun][first : first + most]


def _listed(
    at: Transaction, scope: watched.Scope, counts: Counts, asked: Request, moved: Sequence[Moved]
) -> Rows:
    if asked.page != "runs":
        return Rows()
    stands = {now.run_id: now for _, now in moved}
    page = watched.page(at, scope, State, first=asked.first, most=asked.rows)
    found = (stands.get(row.run_id, row) for row in page)
    return Rows(rows=tuple(found), first=asked.first, total=_number(counts, *State))


def _board(at: Transaction, scope: watched.Scope) -> tuple[Rank, ...]:
    """Selected runs by data set, fine-tuned ones first, the lowest validation loss first."""
    found = [
        Rank(row=row, metric=metric, validation=validation, test=test)
        for row, metric, validation, test in watched.selected(at, scope)
    ]
    datasets = list(dict.fromkeys(rank.row.dataset for rank in found))

    def place(rank: Rank) -> tuple[int, bool, float]:
        loss = rank.row.validation_loss
        return (
            datasets.index(rank.row.dataset),
            rank.row.kind is not Kind.FINETUNE,
            loss if loss is not None else 1e9,
        )

    return tuple(sorted(found, key=place))


def _spent(
    at: Transaction,
    scope: watched.Scope,
    left: Mapping[tuple[Kind, str, str], float],
    runs_at_once: Callable[[str], int],
) -> tuple[Spent, ...]:
    """Hours of devices; runs that go on side by side share one."""
    to_come: dict[tuple[Kind, str], float] = defaultdict(float)
    for (kind, _, model), seconds in left.items():
        to_come[kind, model] += seconds / 3600 / runs_at_once(model)
    used = {(row.kind, row.model): row for row in watched.hours(at, scope)}
    return tuple(
        Spent(
            kind=kind, model=model, left=to_come.get((kind, model)),
            used=used[kind, model].used if (kind, model) in used else 0.0,
            wasted=used[kind, model].wasted if (kind, model) in used else 0.0,
        )
        for kind, model in sorted({*used, *to_come}, key=lambda key: (list(Kind).index(key[0]), key[1]))
    )  # fmt: skip


def _guess(of: Subject) -> Guess:
    guess = first_guess(of.workloads, of.macs_per_second)

    def seconds(kind: Kind, dataset: str, model: str, epochs: float) -> float:
        return guess(
            RunRow(run_id="", kind=kind, dataset=dataset, model=model, epochs_done=max(1, round(epochs)))
        )

    return seconds


def _requests(workdir: Workdir, now: float) -> int:
    """To the controller in the last minute, by whoever makes turns."""
    try:
        notes = msgspec.json.decode((workdir.root / "requests.json").read_bytes(), type=Notes)
    except (OSError, msgspec.DecodeError):
        return 0
    return sum(moment >= now - RECENT_SECONDS for moment in notes.recent)


def _tail(path: Path) -> tuple[str, ...]:
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - LOG_BYTES))
            return tuple(stream.read().decode(errors="replace").splitlines()[-40:])
    except OSError:
        return ()
