"""What to do next: a pure function from what is known to a list of actions, each with its reason.

The coordinator carries the actions out on a cluster, on this machine or in a simulation; it adds nothing of
its own. Deciding twice on the same snapshot gives the same actions, and carrying out an action makes the
next decision not ask for it again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence

from msgspec import Struct

from sgonz.plan.packing import pack
from sgonz.plan.runs import Kind, State
from sgonz.plan.selection import best, collapsed_runs, usable
from sgonz.plan.spec import Quorum, Sweep
from sgonz.plan.state import RunRow

SUPERSEDED = "superseded: another teacher is better now"
NEVER_AGAIN = ("RunError", "DataError", "ModelError", "SpecError")  # failures that a second try cannot change


class Value(Struct, frozen=True, kw_only=True):
    """Base of actions."""


class Fail(Value, frozen=True, kw_only=True):
    """A run is given up."""

    run_id: str
    reason: str


class Skip(Value, frozen=True, kw_only=True):
    """A run cannot happen because something it needs failed for good."""

    run_id: str
    reason: str


class Revive(Value, frozen=True, kw_only=True):
    """A run that was skipped or superseded can happen after all."""

    run_ids: tuple[str, ...]


class Cancel(Value, frozen=True, kw_only=True):
    """Runs are no longer wanted."""

    run_ids: tuple[str, ...]
    reason: str


class OpenGate(Value, frozen=True, kw_only=True):
    """A data set has its teacher: store its logits and teach the students."""

    dataset: str
    teacher: str
    reason: str


class Evaluate(Value, frozen=True, kw_only=True):
    """Selected runs are to be scored on test."""

    run_ids: tuple[str, ...]


class Select(Value, frozen=True, kw_only=True):
    """Which runs stand for their group now, and which belong to a teacher that is no longer the best."""

    selected: frozenset[str]
    superseded: frozenset[str]


class Submit(Value, frozen=True, kw_only=True):
    """Send jobs, each an ordered list of runs."""

    jobs: tuple[tuple[str, ...], ...]


Action = Fail | Skip | Revive | Cancel | OpenGate | Evaluate | Select | Submit


class Snapshot(Struct, frozen=True, kw_only=True):
    """All that a decision may depend on."""

    now: float
    sweep: Sweep
    runs: Sequence[RunRow]
    metrics: Mapping[str, str]  # data set -> headline score
    free_jobs: int | None  # how many jobs can be sent now; None for as many as there are
    full: str = "no free slot"  # why there are no more
    in_jobs: frozenset[str] = frozenset()  # runs in the list of a job that nobody has seen the end of
    target_seconds: float
    runs_per_job: int | None = None
    resource: Callable[[RunRow], str] = lambda row: ""  # class of machine; runs of two never share a job
    climbed: Callable[[RunRow], bool] = lambda row: False  # memory ended it, and it will be given more
    seconds: Callable[[RunRow], float]  # predicted length of a run
    macs: Mapping[str, float] = {}  # of a token by model, where known; decides between equals


class Decision(Struct, frozen=True, kw_only=True):
    actions: tuple[Action, ...]
    waiting: Mapping[str, str]  # run id -> why it is not sent
    teachers: Mapping[str, str | None]  # data set -> the run chosen, None while its gate is shut
    teachers_by_loss: Mapping[str, str | None] = {}  # what lowest validation loss would have chosen
    teachers_by_metric: Mapping[
        str, str | None
    ] = {}  # what the headline score on validation would have chosen
    finished: bool


def decide(snapshot: Snapshot) -> Decision:
    """One turn's actions. Gates and evaluations are opened before jobs are filled."""
    sweep = snapshot.sweep
    by_id = {row.run_id: row for row in snapshot.runs}
    collapsed_ids = collapsed_runs(snapshot.runs, snapshot.metrics)
    actions: list[Action] = []
    waiting: dict[str, str] = {}

    grids = _finished_grids(sweep, snapshot.runs)
    teachers = _chosen(snapshot, grids, sweep.criterion, collapsed_ids)
    superseded = _superseded(snapshot.runs, teachers)
    actions += _settle(snapshot, by_id, superseded)
    actions += _gates(sweep, snapshot.runs, teachers)
    selected = _winners(snapshot, superseded, collapsed_ids)
    if selected != {row.run_id for row in snapshot.runs if row.selected} or superseded != {
        row.run_id for row in snapshot.runs if row.superseded
    }:
        actions.append(Select(selected=frozenset(selected), superseded=frozenset(superseded)))
    actions += _evaluations(sweep, snapshot.runs, selected)

    settled = {run_id for action in actions for run_id in _ended_by(action)}
    ready = _ready(snapshot, by_id, settled, waiting)
    jobs = [] if snapshot.free_jobs == 0 else _packed(snapshot, ready)
    if jobs:
        actions.append(Submit(jobs=tuple(jobs)))
    sent = {run_id for job in jobs for run_id in job}
    waiting |= {row.run_id: snapshot.full for row in ready if row.run_id not in sent}
    finished = not actions and all(row.state.is_final for row in snapshot.runs)
    metrics = snapshot.metrics
    return Decision(
        actions=tuple(actions), waiting=waiting, teachers=teachers, finished=finished,
        teachers_by_loss=_chosen(snapshot, grids, lambda dataset: "validation_loss", collapsed_ids),
        teachers_by_metric=_chosen(snapshot, grids, lambda dataset: f"validation_{metrics.get(dataset)}", collapsed_ids),
    )  # fmt: skip


def _finished_grids(sweep: Sweep, runs: Sequence[RunRow]) -> dict[str, list[RunRow]]:
    """The fine-tuned runs of every data set whose grid is done, as far as failures allow."""
    grids: dict[str, list[RunRow]] = defaultdict(list)
    for row in runs:
        if row.kind is Kind.FINETUNE:
            grids[row.dataset].append(row)
    return {
        dataset: rows
        for dataset, rows in grids.items()
        if _is_over(rows) and _may_go_on(sweep, rows, sweep.criterion(dataset))
    }


def _is_over(rows: Sequence[RunRow]) -> bool:
    """Whether every run of a group has ended for good; one that a person stopped is held, not over."""
    return all(row.state.is_final and row.state is not State.CANCELLED for row in rows)


def _chosen(
    snapshot: Snapshot,
    grids: Mapping[str, list[RunRow]],
    criterion: Callable[[str], str],
    collapsed_ids: set[str],
) -> dict[str, str | None]:
    """The best fine-tuned run of every data set by a criterion; None while its grid is not done."""
    found: dict[str, str | None] = dict.fromkeys(snapshot.sweep.dataset_names)
    for dataset, rows in grids.items():
        chosen = best(rows, criterion(dataset), collapsed_ids, snapshot.macs)
        found[dataset] = chosen.run_id if chosen else None
    return found


def _may_go_on(sweep: Sweep, rows: Sequence[RunRow], criterion: str) -> bool:
    good = sum(usable(row, criterion) for row in rows)
    if isinstance(sweep.on_failure, Quorum):
        return good >= max(1, sweep.on_failure.quorum * len(rows))
    return good == len(rows) if sweep.on_failure == "stop" else good > 0


def _superseded(runs: Sequence[RunRow], teachers: Mapping[str, str | None]) -> set[str]:
    """Runs that descend from a teacher that is not (or no longer) the best of its data set."""
    stale: set[str] = set()
    for kind in (Kind.LOGITS, Kind.DISTILL, Kind.EVALUATE):  # parents before children
        for row in runs:
            if row.kind is kind:
                # While the grid is open again nothing is stale: the old teacher may win once more.
                chosen = teachers.get(row.dataset)
                lost = kind is Kind.LOGITS and chosen is not None and chosen not in row.needs
                if lost or any(need in stale for need in row.needs):
                    stale.add(row.run_id)
    return stale


def _settle(snapshot: Snapshot, by_id: Mapping[str, RunRow], superseded: Collection[str]) -> list[Action]:
    """Give up, skip, revive and cancel what no job is to be made for."""
    actions: list[Action] = []
    lost: set[str] = {row.run_id for row in snapshot.runs if row.state in (State.FAILED, State.SKIPPED)}
    back: set[str] = set()
    for row in snapshot.runs:  # needs come before what needs them: they were added first
        if row.run_id in superseded:
            continue
        dead = [need for need in row.needs if need in lost and need not in back]
        if row.state is State.PENDING and dead:
            lost.add(row.run_id)
            actions.append(
                Skip(run_id=row.run_id, reason=f"needs {dead[0]}, which is {by_id[dead[0]].state}")
            )
        elif (
            row.state is State.PENDING
            and not snapshot.climbed(row)
            and (why := _given_up(row, snapshot.sweep))
        ):
            lost.add(row.run_id)
            actions.append(Fail(run_id=row.run_id, reason=why))
        elif (row.state is State.SKIPPED and not dead) or (
            row.state is State.CANCELLED and row.reason == SUPERSEDED
        ):
            back.add(row.run_id)
    if back:
        actions.append(Revive(run_ids=tuple(sorted(back))))
    unwanted = [
        row.run_id for row in snapshot.runs if row.run_id in superseded and row.state is State.PENDING
    ]
    if unwanted:
        actions.append(Cancel(run_ids=tuple(unwanted), reason=SUPERSEDED))
    return actions


def _given_up(row: RunRow, sweep: Sweep) -> str | None:
    """Why a run that did not end well is not tried again; None while it is."""
    retry = sweep.retry
    if row.failures and row.signature and row.signature.startswith(NEVER_AGAIN):
        return "a second try would end the same way"
    if row.signature_repeats >= retry.same_failure:
        return f"the same failure {row.signature_repeats} times in a row"
    if row.failures >= retry.max_failures:
        return f"failed {row.failures} times"
    if row.interruptions >= retry.max_interruptions:
        return f"interrupted {row.interruptions} times"
    return None


def _gates(sweep: Sweep, runs: Sequence[RunRow], teachers: Mapping[str, str | None]) -> list[OpenGate]:
    if sweep.distill is None:
        return []
    opened = {need for row in runs if row.kind is Kind.LOGITS for need in row.needs}
    return [
        OpenGate(dataset=dataset, teacher=teacher, reason=f"best by {sweep.criterion(dataset)}")
        for dataset, teacher in teachers.items()
        if teacher is not None and teacher not in opened
    ]


def _winners(snapshot: Snapshot, superseded: Collection[str], collapsed_ids: set[str]) -> set[str]:
    """The best run of every (kind, data set, model, teacher, seed) whose points are all final."""
    groups: dict[tuple[object, ...], list[RunRow]] = defaultdict(list)
    for row in snapshot.runs:
        if row.kind in (Kind.FINETUNE, Kind.DISTILL) and row.run_id not in superseded:
            groups[(row.kind, row.dataset, row.model, row.needs, row.seed)].append(row)
    winners = (
        best(rows, snapshot.sweep.criterion(rows[0].dataset), collapsed_ids, snapshot.macs)
        for rows in groups.values()
        if _is_over(rows)
    )
    return {row.run_id for row in winners if row is not None}


def _evaluations(sweep: Sweep, runs: Sequence[RunRow], selected: Collection[str]) -> list[Evaluate]:
    if not sweep.evaluate:
        return []
    planned = {need for row in runs if row.kind is Kind.EVALUATE for need in row.needs}
    missing = tuple(row.run_id for row in runs if row.run_id in selected and row.run_id not in planned)
    return [Evaluate(run_ids=missing)] if missing else []


def _ended_by(action: Action) -> tuple[str, ...]:
    if isinstance(action, Fail | Skip):
        return (action.run_id,)
    return action.run_ids if isinstance(action, Cancel) else ()


def _ready(
    snapshot: Snapshot, by_id: Mapping[str, RunRow], settled: Collection[str], waiting: dict[str, str]
) -> list[RunRow]:
    """Runs that a job can carry now: nothing missing, or only what goes before them in the same job."""
    ready: dict[str, RunRow] = {}
    for row in snapshot.runs:
        if row.state is not State.PENDING or row.run_id in settled:
            continue
        pause = snapshot.sweep.retry.delay_seconds * 2 ** (row.failures - 1) if row.failures else 0.0
        left = (row.ended or 0.0) + pause - snapshot.now
        missing = [
            need for need in row.needs if by_id[need].state is not State.COMPLETED and need not in ready
        ]
        if missing:
            waiting[row.run_id] = f"needs {missing[0]}, which is {by_id[missing[0]].state}"
        elif row.was_interrupted and row.run_id in snapshot.in_jobs:
            # Slurm may start the same job again, or say that somebody cancelled it.
            waiting[row.run_id] = "interrupted; its job has not left yet"
        elif pause and left > 0:
            waiting[row.run_id] = f"failed before; tried again in {left:.0f} s"
        else:
            ready[row.run_id] = row
    return list(ready.values())


def _packed(snapshot: Snapshot, ready: Sequence[RunRow]) -> list[tuple[str, ...]]:
    return pack(
        ready,
        seconds=snapshot.seconds,
        resource=snapshot.resource,
        target_seconds=snapshot.target_seconds,
        runs_per_job=snapshot.runs_per_job,
        jobs=snapshot.free_jobs,
    )
