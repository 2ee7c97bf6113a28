"""Submissions and jobs: who carries which run, and what happens to runs when a job is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Text, bindparam, delete, func, insert, select, update

from sgonz.plan.nodes import JOB_ENDED, at_node
from sgonz.plan.runs import Outcome, State
from sgonz.plan.state import JobRow
from sgonz.store.rows import EndedJob, SubmissionRow
from sgonz.store.tables import attempts, jobs, runs, submissions
from sgonz.store.transaction import Transaction, as_text, chunks

LIVE = (State.SUBMITTED, State.RUNNING)
FAULTS = (Outcome.FAILED, Outcome.OUT_OF_MEMORY)  # outcomes that count as failures of the run
Key = tuple[str, int]  # tag and element of a job
_run_ids = msgspec.json.Decoder(tuple[str, ...])


def set_state(
    at: Transaction, run_ids: Iterable[str], state: State, *, reason: str | None, time: float
) -> None:
    """Move runs by decision; one that is not live any more is in nobody's hands."""
    changes: dict[str, Any] = {"state": state, "reason": reason, "changed": time}
    if state not in LIVE:
        changes |= {"tag": None, "element": None}
    _update_runs(at, run_ids, changes)


def reset_failures(at: Transaction, run_ids: Iterable[str]) -> None:
    """Forget what counted against runs; their attempts stay on record."""
    _update_runs(at, run_ids, {"failures": 0, "interruptions": 0, "signature": None, "signature_repeats": 0})


def next_sequence(at: Transaction) -> int:
    last = select(func.max(submissions.c.sequence)).where(submissions.c.workspace_id == at.workspace)
    return (at.connection.execute(last).scalar() or 0) + 1


def add_submission(
    at: Transaction,
    *,
    tag: str,
    sequence: int,
    sweep_id: int,
    cluster: str,
    elements: Sequence[Sequence[str]],
    time: float,
) -> None:
    """Write down what is about to be sent: from here on these runs are in its hands."""
    here = {"workspace_id": at.workspace, "tag": tag}
    at.connection.execute(
        insert(submissions).values(
            **here, sequence=sequence, sweep_id=sweep_id, cluster=cluster, planned=time
        )
    )
    at.connection.execute(
        insert(jobs),
        [{**here, "element": element, "run_ids": as_text(ids)} for element, ids in enumerate(elements)],
    )
    _carry(at, tag, {run_id: element for element, ids in enumerate(elements) for run_id in ids}, time)


def forget_submission(at: Transaction, tag: str) -> None:
    """Undo what was written down of a submission; its runs are pending."""
    at.connection.execute(
        update(runs)
        .where(runs.c.workspace_id == at.workspace, runs.c.tag == tag)
        .values(state=State.PENDING, tag=None, element=None)
    )
    for table in (jobs, submissions):
        at.connection.execute(delete(table).where(table.c.workspace_id == at.workspace, table.c.tag == tag))


def extend_job(at: Transaction, tag: str, element: int, run_ids: Sequence[str], time: float) -> None:
    """Write down that a job is about to be given more runs."""
    this = (jobs.c.workspace_id == at.workspace) & (jobs.c.tag == tag) & (jobs.c.element == element)
    known = _run_ids.decode(at.connection.execute(select(jobs.c.run_ids).where(this)).scalar_one())
    at.connection.execute(update(jobs).where(this).values(run_ids=as_text([*known, *run_ids])))
    _carry(at, tag, dict.fromkeys(run_ids, element), time)


def _carry(at: Transaction, tag: str, elements: Mapping[str, int], time: float) -> None:
    """Put pending runs, by id, into the hands of a submission's elements."""
    at.connection.execute(
        update(runs)
        .where(runs.c.workspace_id == at.workspace, runs.c.run_id == bindparam("this"))
        .where(runs.c.state == State.PENDING)
        .values(state=State.SUBMITTED, reason=None, changed=time, tag=tag, element=bindparam("in")),
        [{"this": run_id, "in": element} for run_id, element in elements.items()],
    )


def mark_sent(at: Transaction, tag: str, external_ids: Sequence[str], time: float) -> None:
    """The cluster has taken the submission; one external id per element."""
    at.connection.execute(
        update(submissions)
        .where(submissions.c.workspace_id == at.workspace, submissions.c.tag == tag)
        .values(sent=time)
    )
    at.connection.execute(
        update(jobs)
        .where(jobs.c.workspace_id == at.workspace, jobs.c.tag == tag, jobs.c.element == bindparam("this"))
        .values(external_id=bindparam("given")),
        [{"this": element, "given": given} for element, given in enumerate(external_ids)],
    )


def tags(at: Transaction) -> set[str]:
    found = select(submissions.c.tag).where(submissions.c.workspace_id == at.workspace)
    return set(at.connection.execute(found).scalars())


def unsent(at: Transaction) -> list[SubmissionRow]:
    """Submissions that were written down, not confirmed, and not given up."""
    same = (jobs.c.workspace_id == submissions.c.workspace_id) & (jobs.c.tag == submissions.c.tag)
    found = (
        select(submissions, func.count().label("elements"))
        .join_from(submissions, jobs, same)
        .where(submissions.c.workspace_id == at.workspace, submissions.c.sent.is_(None))
        .group_by(*submissions.c)
        .having(func.count(jobs.c.ended) < func.count())
        .order_by(submissions.c.sequence)
    )
    return [
        SubmissionRow(
            tag=row.tag,
            sequence=row.sequence,
            sweep_id=row.sweep_id,
            cluster=row.cluster,
            elements=row.elements,
            time=row.planned,
        )
        for row in at.connection.execute(found)
    ]


def live_jobs(at: Transaction) -> list[JobRow]:
    """Jobs that nobody has seen the end of, oldest first."""
    same = (jobs.c.workspace_id == submissions.c.workspace_id) & (jobs.c.tag == submissions.c.tag)
    carried = (
        select(runs.c.tag, runs.c.element)
        .where(runs.c.workspace_id == at.workspace, runs.c.tag.is_not(None))
        .distinct()
    )
    busy = {(tag, element) for tag, element in at.connection.execute(carried)}
    found = (
        select(jobs, submissions.c.sequence, submissions.c.sweep_id)
        .join_from(jobs, submissions, same)
        .where(jobs.c.workspace_id == at.workspace, jobs.c.ended.is_(None))
        .order_by(submissions.c.sequence, jobs.c.element)
    )
    return [
        JobRow(
            tag=row.tag,
            element=row.element,
            sequence=row.sequence,
            external_id=row.external_id,
            run_ids=_run_ids.decode(row.run_ids),
            started=row.started is not None,
            ended=row.left is not None,
            idle=row.started is not None and (row.tag, row.element) not in busy,
            sweep_id=row.sweep_id,
        )
        for row in at.connection.execute(found)
    ]


def end_jobs(at: Transaction, ended: Iterable[EndedJob], time: float) -> None:
    """Close jobs; the runs that they still carry are pending again, and those to blame are counted.

    To blame is the run whose attempt was open. When the job was lost before any of its runs had started,
    all of them are: otherwise a job that dies at once would be sent again for ever.
    """
    live = select(jobs.c.tag, jobs.c.element).where(
        jobs.c.workspace_id == at.workspace, jobs.c.ended.is_(None)
    )
    still_open = {(tag, element) for tag, element in at.connection.execute(live)}
    closing = {(job.tag, job.element): job for job in ended if (job.tag, job.element) in still_open}
    if not closing:
        return
    close_job = (
        update(jobs)
        .where(jobs.c.workspace_id == at.workspace)
        .where(jobs.c.tag == bindparam("its_tag"), jobs.c.element == bindparam("its_element"))
        .values(ended=time, outcome=bindparam("how"), evidence=bindparam("why"))
        .values(host=func.coalesce(bindparam("its_node", type_=Text), jobs.c.host))
    )
    at.connection.execute(
        close_job,
        [
            {"its_tag": job.tag, "its_element": job.element, "how": job.outcome, "why": job.evidence,
             "its_node": job.node or None}
            for job in closing.values()
        ],
    )  # fmt: skip
    _give_back(at, closing, _close_attempts(at, closing, time), time)


def _close_attempts(at: Transaction, closing: Mapping[Key, EndedJob], time: float) -> dict[Key, set[str]]:
    """End the attempts that are open; by job that ever started a run, the runs that it was at."""
    interrupted: dict[Key, set[str]] = {}
    changes: list[dict[str, Any]] = []
    for tags in chunks(tag for tag, _ in closing):
        columns = [attempts.c[name] for name in ("tag", "element", "run_id", "attempt", "outcome")]
        tried = select(*columns).where(attempts.c.workspace_id == at.workspace, attempts.c.tag.in_(tags))
        for tag, element, run_id, attempt, outcome in at.connection.execute(tried):
            job = closing.get((tag, element))
            if job is None:
                continue
            at_work = interrupted.setdefault((tag, element), set())
            if outcome is None:
                at_work.add(run_id)
                changes.append({"this": run_id, "number": attempt, "how": job.outcome, "why": job.evidence})
    if changes:
        at.connection.execute(
            update(attempts)
            .where(attempts.c.workspace_id == at.workspace)
            .where(attempts.c.run_id == bindparam("this"), attempts.c.attempt == bindparam("number"))
            .values(ended=time, outcome=bindparam("how"), evidence=bindparam("why"))
            .values(seconds=attempts.c.seen - attempts.c.started),
            changes,
        )
    return interrupted


def _give_back(
    at: Transaction, closing: Mapping[Key, EndedJob], interrupted: Mapping[Key, set[str]], time: float
) -> None:
    """Make the runs that these jobs carry pending."""
    names = ("last_outcome", "ended", "failures", "interruptions", "signature", "signature_repeats")
    columns = [runs.c[name] for name in names]
    changes: list[dict[str, Any]] = []
    for tags in chunks(tag for tag, _ in closing):
        carried = select(runs.c.tag, runs.c.element, runs.c.run_id, *columns).where(
            runs.c.workspace_id == at.workspace, runs.c.tag.in_(tags), runs.c.state.in_(LIVE)
        )
        for tag, element, run_id, *values in at.connection.execute(carried):
            job = closing.get((tag, element))
            if job is None:
                continue
            counted = dict(zip(names, values, strict=True))
            if run_id in interrupted.get((tag, element), {run_id}):
                counted |= {"last_outcome": job.outcome, "ended": time, **_blame(job, counted)}
            named = {f"new_{name}": value for name, value in counted.items()}
            changes.append({"this": run_id, "why": job.evidence, **named})
    if changes:
        at.connection.execute(
            update(runs)
            .where(runs.c.workspace_id == at.workspace, runs.c.run_id == bindparam("this"))
            .values(state=State.PENDING, reason=bindparam("why"), changed=time, tag=None, element=None)
            .values({name: bindparam(f"new_{name}") for name in names}),
            changes,
        )


def _blame(job: EndedJob, counted: Mapping[str, Any]) -> dict[str, Any]:
    """What counts against a run because of how its job ended."""
    if job.outcome.is_interruption:
        return {"interruptions": counted["interruptions"] + 1}
    if job.outcome not in FAULTS:
        return {}
    what = f"{JOB_ENDED}{job.outcome}"
    node = job.node if job.outcome is Outcome.FAILED else ""
    signature = what + at_node(node) if node else what
    before, repeats = counted["signature"] or "", counted["signature_repeats"]
    if not before.startswith(what):
        repeats = 1
    elif not node or before != signature:  # the same node again may be the node's own fault
        repeats += 1
    return {"failures": counted["failures"] + 1, "signature": signature, "signature_repeats": repeats}


def _update_runs(at: Transaction, run_ids: Iterable[str], changes: dict[str, Any]) -> None:
    ids = [{"this": run_id} for run_id in dict.fromkeys(run_ids)]
    if ids:
        at.connection.execute(
            update(runs)
            .where(runs.c.workspace_id == at.workspace, runs.c.run_id == bindparam("this"))
            .values(**changes),
            ids,
        )
