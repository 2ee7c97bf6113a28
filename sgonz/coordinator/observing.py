"""The first half of a turn: what event files and the cluster say comes into the store."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sgonz.cluster.base import JobReport, JobStatus, NoAnswer
from sgonz.coordinator import climbing
from sgonz.coordinator.accounting import settle
from sgonz.coordinator.collection import collect, note_torn
from sgonz.coordinator.coordinator import Coordinator
from sgonz.coordinator.sending import take_back
from sgonz.plan.runs import Outcome, State
from sgonz.plan.state import JobRow
from sgonz.store.rows import EndedJob
from sgonz.workdir import recall
from sgonz.workdir.output import last_words, output_of


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
        cancelled = [job for job, report in gone if report.outcome is Outcome.CANCELLED]
        _hold(at, [job for job in cancelled if not _withdrawn(at, job)])
        left = {(job.tag, job.element) for job in at.store.live_jobs() if job.ended}
        over = [_ended(at, job, report, left=(job.tag, job.element) in left) for job, report in gone]
        note_torn(at.store, at.workdir, [job for job, _ in gone])
        at.store.end_jobs(over, time.time())
    problems += settle(at)
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
        take_back(at, submission.tag, submission.elements, "never sent")


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


def _ended(at: Coordinator, job: JobRow, report: JobReport, *, left: bool) -> EndedJob:
    """How a job ended; one that left, or was taken out of the queue, because its runs were taken back is no
    interruption of theirs.
    """
    recalled = report.outcome is Outcome.UNKNOWN and left and recall.read(at.workdir.job(job.tag))
    back = recalled or (report.outcome is Outcome.CANCELLED and _withdrawn(at, job))
    outcome, evidence = (
        (Outcome.CANCELLED, "its runs were taken back") if back else (report.outcome, report.evidence)
    )
    if outcome is Outcome.FAILED:
        output = output_of(at.workdir.job(job.tag), job.element)
        evidence += f"; the end of {output}: {said}" if (said := last_words(output)) else ""
    return EndedJob(tag=job.tag, element=job.element, outcome=outcome, evidence=evidence, node=report.node)


def _withdrawn(at: Coordinator, job: JobRow) -> bool:
    """Whether a cancelled job is one that we took out of the queue; it may have begun in that very moment."""
    return recall.was_withdrawn(at.workdir.job(job.tag), job.element)


def _poll(at: Coordinator, live: Sequence[JobRow]) -> list[tuple[JobRow, JobReport]]:
    reports = at.cluster.poll(live) if live else {}
    return [(job, reports[(job.tag, job.element)]) for job in live if (job.tag, job.element) in reports]


def _collect(at: Coordinator, jobs: Sequence[JobRow], problems: list[str]) -> list[str]:
    """Apply new event lines of these jobs; ids of runs whose attempt ended."""
    ended, wrong = collect(at.store, at.workdir, jobs)
    problems += wrong
    return ended
