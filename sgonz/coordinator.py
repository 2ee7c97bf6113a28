"""One turn: observe what happened, decide what follows, act on it. Safe to kill at any instruction."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from sgonz import answers, climbing, costs, lock, more_work, standing, tidying
from sgonz.benchmarks import keep_measured
from sgonz.cluster.base import Cluster, HeldByQuota, JobReport, JobStatus, NoAnswer, SubmissionRefused
from sgonz.cluster.profile import Profile
from sgonz.collection import collect, note_torn
from sgonz.journal import Journal
from sgonz.layout import lay_out, write_job
from sgonz.plan import decide as decisions
from sgonz.plan.decide import Decision, Snapshot, decide
from sgonz.plan.estimate import Workload, first_guess, predictor
from sgonz.plan.expand import Sources, distill_runs, evaluate_run, logits_run
from sgonz.plan.ladder import Place
from sgonz.plan.runs import Outcome, State
from sgonz.plan.spec import Sweep
from sgonz.plan.state import JobRow, RunRow
from sgonz.rundir import Element, JobList, Workdir
from sgonz.store.rows import EndedJob
from sgonz.store.store import Store

ROUNDS = 6  # a turn decides again after gates opened; grid -> gate -> jobs never takes more


@dataclass(frozen=True, kw_only=True)
class Coordinator:
    """Everything that a turn needs, held open: one sweep in one work folder on one cluster."""

    workdir: Workdir
    store: Store
    cluster: Cluster
    profile: Profile
    sweep_id: int
    sweep: Sweep
    sources: Sources
    workloads: Mapping[tuple[str, str], Workload] = field(default_factory=dict)

    @property
    def journal(self) -> Journal:
        return Journal(self.workdir.journal)


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What one turn saw and did."""

    decision: Decision
    rows: Sequence[RunRow]
    ended: Sequence[str]  # runs whose attempt ended since the last turn
    sent: int  # jobs
    problems: Sequence[str]
    answer: Mapping[str, Any]  # what `sgonz status` says
    changes: int  # of the store, when it was looked at


def turn(at: Coordinator, last: Turn | None = None, *, rows_wanted: bool = True) -> Turn:
    """Observe, decide, act, under the work folder's lock.

    Where nothing was written since the `last` turn of this process and nothing is due, that one stands; without
    `rows_wanted`, the last one of any process, which then has no rows.
    """
    with lock.hold(at.workdir, "a turn"):
        ended, problems = observe(at)
        if not ended and (quiet := _quiet(at, last, rows_wanted)):
            return replace(quiet, problems=problems)
        sent = 0
        for _ in range(ROUNDS):
            changes = at.store.changes()
            rows = at.store.snapshot(at.sweep_id)
            seen = _snapshot(at, rows)
            decision = decide(seen)
            sent += _act(at, decision, problems)
            if not any(not isinstance(action, decisions.Submit) for action in decision.actions):
                break
        keep_measured(at.store, at.workdir, rows)
        if ended:
            problems += tidying.tidy(at, rows, decision)
        answer = answers.status(
            at.sweep, rows, decision, climbing.steps(costs.read(at.workdir), at.profile, rows)
        )
        if not decision.actions:
            standing.keep(
                at.store, at.sweep_id, answer, changes, standing.due(at.sweep, rows), seen.free_jobs
            )
    return Turn(decision=decision, rows=rows, ended=ended, sent=sent, problems=problems, answer=answer,
                changes=changes)  # fmt: skip


def _quiet(at: Coordinator, last: Turn | None, rows_wanted: bool) -> Turn | None:
    """The turn that stands, where deciding again would give nothing."""
    kept = standing.found(at.store, at.sweep_id, time.time())
    if kept is None or kept.free_jobs != _free_jobs(at, at.store.live_jobs()):
        return None
    if last is not None and last.changes == kept.changes:
        return replace(last, ended=(), sent=0)
    if rows_wanted:
        return None
    answer = standing.answer(kept)
    nothing = Decision(actions=(), waiting={}, teachers={}, finished=answer["finished"])
    return Turn(decision=nothing, rows=(), ended=(), sent=0, problems=(), answer=answer, changes=kept.changes)


def look(at: Coordinator) -> tuple[Sequence[RunRow], Decision]:
    """What is known and what would follow, without changing anything."""
    rows = at.store.snapshot(at.sweep_id)
    return rows, decide(_snapshot(at, rows))


def observe(at: Coordinator) -> tuple[list[str], list[str]]:
    """Bring the store up to date with event files and with what the cluster says of live jobs.

    A job is over only on positive evidence; no answer from the cluster changes nothing.
    """
    ended: list[str] = []
    problems: list[str] = []
    _adopt(at, problems)
    live = at.store.live_jobs()
    ended += _collect(at, live, problems)
    gone = [(job, report) for job, report in _poll(at, live) if report.status is JobStatus.GONE]
    problems += at.cluster.remarks()
    if gone:
        ended += _collect(at, [job for job, _ in gone], problems)  # what they wrote between the two looks
        _hold(at, [job for job, report in gone if report.outcome is Outcome.CANCELLED])
        over = [
            EndedJob(tag=job.tag, element=job.element, outcome=report.outcome, evidence=report.evidence)
            for job, report in gone
        ]
        note_torn(at.store, at.workdir, [job for job, _ in gone])
        at.store.end_jobs(over, time.time())
    climbing.remember(at.workdir, at.store, at.profile, {*ended, *climbing.cut_off(gone)})
    return ended, problems


def _adopt(at: Coordinator, problems: list[str]) -> None:
    """Submissions that were written down but not confirmed: look for them, or take them back."""
    for submission in at.store.unsent():
        if submission.cluster != at.profile.name:
            problems.append(f"{submission.tag} was being sent to {submission.cluster}; a turn there finds it")
            continue
        try:
            found = at.cluster.find(at.workdir, submission.tag)
        except NoAnswer as silence:
            problems.append(silence.message)
            continue
        if found:
            at.store.mark_sent(submission.tag, found, time.time())
            at.journal.write("adopted", tag=submission.tag)
            continue
        _take_back(at, submission.tag, submission.elements, "never sent")


def _take_back(at: Coordinator, tag: str, elements: int, why: str) -> None:
    """Nothing of a submission was sent: its runs are pending again."""
    over = [EndedJob(tag=tag, element=element, outcome=Outcome.CANCELLED, evidence=why)
            for element in range(elements)]  # fmt: skip
    at.store.end_jobs(over, time.time())
    at.journal.write("never_sent", tag=tag, reason=why)
    shutil.rmtree(at.workdir.job(tag), ignore_errors=True)


def _hold(at: Coordinator, jobs: Sequence[JobRow]) -> None:
    """Runs of jobs that somebody cancelled in the cluster wait for a person, so that nobody is fought."""
    keys = {(job.tag, job.element) for job in jobs}
    carried = {run_id for job in jobs for run_id in job.run_ids}
    held = [
        row.run_id
        for row in (at.store.snapshot() if jobs else ())
        if (row.state.is_live and (row.tag, row.element) in keys)
        or (row.run_id in carried and row.state is State.PENDING and row.was_interrupted)
    ]
    if held:
        reason = "its job was cancelled in the cluster; run or retry goes on with it"
        at.store.set_state(held, State.CANCELLED, reason=reason, time=time.time())
        at.journal.write("held", runs=held, reason=reason)


def _poll(at: Coordinator, live: Sequence[JobRow]) -> list[tuple[JobRow, JobReport]]:
    reports = at.cluster.poll(live) if live else {}
    return [(job, reports[(job.tag, job.element)]) for job in live if (job.tag, job.element) in reports]


def _collect(at: Coordinator, jobs: Sequence[JobRow], problems: list[str]) -> list[str]:
    """Apply new event lines of these jobs; ids of runs whose attempt ended."""
    ended, wrong = collect(at.store, at.workdir, jobs)
    problems += wrong
    return ended


def _snapshot(at: Coordinator, rows: Sequence[RunRow]) -> Snapshot:
    live, history = at.store.live_jobs(), costs.read(at.workdir)
    return Snapshot(
        now=time.time(),
        sweep=at.sweep,
        runs=rows,
        metrics={name: dataset.metric for name, dataset in at.sources.datasets.items()},
        free_jobs=_free_jobs(at, live),
        full="held by quota" if at.profile.scheduler == "slurm" else "no free slot",
        in_jobs=frozenset(run_id for job in live for run_id in job.run_ids),
        target_seconds=at.profile.target_minutes * 60,
        runs_per_job=at.profile.runs_per_job,
        resource=lambda row: str(climbing.place_of(history, at.profile, row.kind, row.model, row.dataset)),
        climbed=lambda row: climbing.climbed_since(history, at.profile, row),
        seconds=predictor(rows, first_guess(at.workloads, at.profile.macs_per_second)),
        macs={model: load.macs for (_, model), load in at.workloads.items()},
    )


def _free_jobs(at: Coordinator, live: Sequence[JobRow]) -> int | None:
    try:
        return at.cluster.free_slots([job for job in live if not _waits(at, job)])
    except NoAnswer:
        return 0


def _act(at: Coordinator, decision: Decision, problems: list[str]) -> int:
    """Carry the actions out, in order; how many jobs were sent."""
    now = time.time()
    store, sent = at.store, 0
    for action in decision.actions:
        match action:
            case decisions.Fail(run_id=run_id, reason=reason):
                store.set_state([run_id], State.FAILED, reason=reason, time=now)
            case decisions.Skip(run_id=run_id, reason=reason):
                store.set_state([run_id], State.SKIPPED, reason=reason, time=now)
            case decisions.Revive(run_ids=run_ids):
                store.set_state(run_ids, State.PENDING, reason=None, time=now)
            case decisions.Cancel(run_ids=run_ids, reason=reason):
                store.set_state(run_ids, State.CANCELLED, reason=reason, time=now)
            case decisions.Select(selected=selected, superseded=superseded):
                store.mark_selected(selected, superseded, sweep_id=at.sweep_id)
            case decisions.OpenGate():
                _open_gate(at, action)
            case decisions.Evaluate(run_ids=run_ids):
                tidying.make_again(at.workdir, store, run_ids)
                store.add_runs(at.sweep_id, [evaluate_run(at.sweep, spec) for spec in store.specs(run_ids)])
            case decisions.Submit(jobs=jobs):
                sent += send(at, jobs, problems)
    return sent


def send(at: Coordinator, jobs: Sequence[Sequence[str]], problems: list[str]) -> int:
    """Give jobs to workers that wait for more, and submit the others; how many were sent.

    What a limit leaves no room for, and what got no answer, is left to a later turn.
    """
    rest = list(jobs)
    for job in at.store.live_jobs():
        if rest and _waits(at, job):
            _extend(at, job, rest.pop(0))
    sent = len(jobs) - len(rest)
    try:
        for place, part in _submissions(at, rest):
            submit(at, part, place)
            sent += len(part)
    except (HeldByQuota, NoAnswer) as no_room:
        problems.append(no_room.message)
    return sent


def _submissions(
    at: Coordinator, jobs: Sequence[Sequence[str]]
) -> Iterator[tuple[Place | None, Sequence[Sequence[str]]]]:
    """Jobs by what they ask for, in parts that the cluster takes as one submission each."""
    if not jobs:
        return
    by_class: dict[Place | None, list[Sequence[str]]] = {}
    history = costs.read(at.workdir)
    for job, first in zip(jobs, at.store.specs([job[0] for job in jobs]), strict=True):
        place = climbing.place_of(history, at.profile, first.kind, first.model.name, first.dataset.name)
        by_class.setdefault(place, []).append(job)
    most = at.cluster.array_limit()
    for place, alike in by_class.items():
        size = most or len(alike)
        for start in range(0, len(alike), size):
            yield place, alike[start : start + size]


def _waits(at: Coordinator, job: JobRow) -> bool:
    return at.profile.linger_seconds > 0 and job.idle and not job.ended and job.sweep_id == at.sweep_id


def _extend(at: Coordinator, job: JobRow, run_ids: Sequence[str]) -> None:
    """Hand more runs to a waiting worker.

    The intent is in the store first: a crash in between, or a worker that has just left, gives the runs back
    when the job is seen to be over.
    """
    lay_out(at.workdir, at.sweep.name, at.store.specs(run_ids))
    at.store.extend_job(job.tag, job.element, run_ids, time.time())
    more_work.offer(at.workdir.job(job.tag), job.element, run_ids)


def dismiss(at: Coordinator) -> None:
    """Send workers home that wait for more runs of a sweep that is done."""
    for job in at.store.live_jobs():
        if _waits(at, job):
            more_work.offer(at.workdir.job(job.tag), job.element, ())


def _open_gate(at: Coordinator, gate: decisions.OpenGate) -> None:
    tidying.make_again(at.workdir, at.store, [gate.teacher])
    logits = logits_run(at.sweep, at.store.spec(gate.teacher))
    students = distill_runs(at.sweep, at.sources, logits)
    at.store.add_runs(at.sweep_id, [logits, *students])
    at.journal.write(
        "gate", dataset=gate.dataset, teacher=gate.teacher, reason=gate.reason, students=len(students)
    )


def submit(at: Coordinator, jobs: Sequence[Sequence[str]], place: Place | None = None) -> None:
    """Send jobs as one submission.

    The intent is in the store, and everything that the jobs read is on disk, before anything is sent; a
    crash at any point leaves either nothing, or an intent that the next turn looks up by its tag.
    """
    sequence = at.store.next_sequence()
    tag = f"sgonz-{_short(at.workdir)}-{sequence:06d}"
    specs = {spec.run_id: spec for spec in at.store.specs([run_id for job in jobs for run_id in job])}
    lay_out(at.workdir, at.sweep.name, specs.values())
    elements = tuple(Element(run_ids=tuple(job)) for job in jobs)
    job_list = JobList(
        tag=tag, sequence=sequence, threads=at.sweep.threads, linger_seconds=at.profile.linger_seconds,
        resource=place.resource if place else None, memory_gb=place.memory_gb if place else None, elements=elements,
    )  # fmt: skip
    write_job(at.workdir, job_list)
    at.store.add_submission(
        tag=tag,
        sequence=sequence,
        sweep_id=at.sweep_id,
        cluster=at.profile.name,
        elements=jobs,
        time=time.time(),
    )
    try:
        external_ids = at.cluster.submit(at.workdir, job_list)
    except (HeldByQuota, SubmissionRefused) as refusal:
        _take_back(at, tag, len(jobs), refusal.message)
        raise
    at.store.mark_sent(tag, external_ids, time.time())


@contextmanager
def closing(at: Coordinator) -> Iterator[Coordinator]:
    try:
        yield at
    finally:
        at.store.close()


def _short(workdir: Workdir) -> str:
    """Four digits that tell work folders apart in a queue."""
    return hashlib.sha256(str(workdir.root.resolve()).encode()).hexdigest()[:4]
