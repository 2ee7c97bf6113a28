"""One turn: observe what happened, decide what follows, act on it. Safe to kill at any instruction."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sgonz.cluster import mail
from sgonz.coordinator import climbing, disk, last_turn, notices, standing, tidying
from sgonz.coordinator.benchmarks import keep_measured
from sgonz.coordinator.coordinator import Coordinator
from sgonz.coordinator.observing import observe
from sgonz.coordinator.seeing import SILENT, room, snapshot
from sgonz.coordinator.sending import send
from sgonz.looking import answers, happened
from sgonz.plan import budget
from sgonz.plan import decide as decisions
from sgonz.plan.decide import Decision, decide
from sgonz.plan.expand import distill_runs, evaluate_run, logits_run
from sgonz.plan.happenings import happenings
from sgonz.plan.runs import State
from sgonz.plan.state import JobRow, RunRow
from sgonz.workdir import costs, lock, recall

BUDGET_SECONDS = 5.0  # a budget is used up by the clock, whether or not anybody writes anything
ROUNDS = 6  # a turn decides again after gates opened; grid -> gate -> jobs never takes more


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
    cpu_seconds: float = 0.0  # that it took


def turn(at: Coordinator, last: Turn | None = None, *, rows_wanted: bool = True) -> Turn:
    """Observe, decide, act, under the work folder's lock.

    Where nothing was written since the `last` turn of this process and nothing is due, that one stands; without
    `rows_wanted`, the last one of any process, which then has no rows.
    """
    made = _turn(at, last, rows_wanted=rows_wanted)
    by_mail = partial(mail.send, at.cluster, at.profile, at.workdir.root / "mail")
    troubles = notices.deliver(
        at.workdir, at.sweep.name, at.profile.notify, lambda: happened.whole(at), by_mail
    )
    return replace(made, problems=[*made.problems, *troubles]) if troubles else made


def _turn(at: Coordinator, last: Turn | None, *, rows_wanted: bool) -> Turn:
    began = time.thread_time()
    with lock.hold(at.workdir, "a turn"):
        ended, problems = observe(at)
        if not ended and (quiet := _quiet(at, last, rows_wanted)):
            last_turn.note(at.workdir, 0, problems)
            return replace(quiet, problems=problems, cpu_seconds=time.thread_time() - began)
        sent = 0
        for _ in range(ROUNDS):
            changes = at.store.changes()
            rows = at.store.snapshot(at.sweep_id)
            while tidying.make_readable(at, rows):  # what is made again may read what was removed too
                rows = at.store.snapshot(at.sweep_id)
            seen = snapshot(at, rows)
            decision = decide(seen)
            at.cluster.avoid(at.workdir, decision.excluded, at.store.live_jobs())
            sent += _act(at, decision, problems)
            tell_workers(at, decision)
            if not any(not isinstance(action, decisions.Submit) for action in decision.actions):
                break
        problems = list(dict.fromkeys([*problems, *at.cluster.remarks()]))
        problems += [said] if (said := budget.warning(decision.budget)) else []
        keep_measured(at.store, at.workdir, rows)
        if ended:
            tidying.tidy(at, rows, decision)
        to_come = disk.to_come(at.sweep, at.sources, rows, at.workloads)
        problems += [full] if (full := disk.warning(at.workdir.root, to_come)) else []
        answer = answers.status(
            at.sweep,
            rows,
            decision,
            climbing.steps(costs.read(at.workdir), at.profile, rows),
            to_come,
            climbing.splits(at.store.splits(at.sweep_id)),
        )
        kept_for = standing.ACTED if decision.actions or seen.full == SILENT else changes
        look_at = time.time() + BUDGET_SECONDS if decision.budget else None
        due = standing.due(at.sweep, rows, look_at=look_at)
        standing.keep(at.store, at.sweep_id, answer, kept_for, due, seen.free_jobs)
        last_turn.note(at.workdir, sent, problems)
        notices.note(at.workdir, at.sweep.name, lambda: happenings(rows, decision), at.profile.notify)
    return Turn(decision=decision, rows=rows, ended=ended, sent=sent, problems=problems, answer=answer,
                changes=changes, cpu_seconds=time.thread_time() - began)  # fmt: skip


def _quiet(at: Coordinator, last: Turn | None, rows_wanted: bool) -> Turn | None:
    """The turn that stands, where deciding again would give nothing."""
    kept = standing.found(at.store, at.sweep_id, time.time())
    if kept is None or kept.free_jobs != room(at, at.store.live_jobs())[0]:
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
    return rows, decide(snapshot(at, rows))


def tell_workers(at: Coordinator, decision: Decision) -> None:
    """Tell the workers of jobs that are out which runs they are not to begin."""
    live = [job for job in at.store.live_jobs() if job.sweep_id == at.sweep_id]
    for tag in {job.tag for job in live}:
        recall.take_back(at.workdir.job(tag), decision.taken_back.get(tag, ()))
    if decision.over_budget:
        _withdraw(at, decision, [job for job in live if not job.started])


def _withdraw(at: Coordinator, decision: Decision, waiting: Sequence[JobRow]) -> None:
    """Take submissions out of the queue that would only start to find nothing to do, where no GPU time is left."""
    needed = {job.tag for job in waiting if not decision.over_budget.issuperset(job.run_ids)}
    empty = [
        job
        for job in waiting
        if job.tag not in needed and not recall.was_withdrawn(at.workdir.job(job.tag), job.element)
    ]
    for job in empty:
        recall.note_withdrawn(at.workdir.job(job.tag), job.element)
    at.cluster.withdraw(empty)


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


def _open_gate(at: Coordinator, gate: decisions.OpenGate) -> None:
    tidying.make_again(at.workdir, at.store, [gate.teacher])
    logits = logits_run(at.sweep, at.store.spec(gate.teacher))
    students = distill_runs(at.sweep, at.sources, logits)
    at.store.add_runs(at.sweep_id, [logits, *students])
    at.journal.write(
        "gate", dataset=gate.dataset, teacher=gate.teacher, reason=gate.reason, students=len(students)
    )
