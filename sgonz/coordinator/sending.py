"""Jobs on their way: given to workers that wait, or sent as submissions, exactly once."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial

import msgspec

from sgonz.cluster import deepspeed
from sgonz.cluster.base import HeldByQuota, NoAnswer, SubmissionRefused
from sgonz.cluster.profile import Resource
from sgonz.coordinator import climbing, generations
from sgonz.coordinator.coordinator import Coordinator
from sgonz.plan.ladder import Place
from sgonz.plan.runs import Outcome, RunSpec
from sgonz.plan.state import JobRow
from sgonz.rundir import Element, JobList
from sgonz.store.rows import EndedJob
from sgonz.sweep.choosing import shorter_limit
from sgonz.workdir import costs, more_work
from sgonz.workdir.layout import add_specs, short_name, write_job


def send(at: Coordinator, jobs: Sequence[Sequence[str]], problems: list[str]) -> int:
    """Give jobs to workers that wait for more, and submit the others; how many were sent.

    What a limit leaves no room for, and what got no answer, is left to a later turn.
    """
    rest = [tuple(run_ids) for run_ids in jobs]
    specs = {spec.run_id: spec for spec in at.store.specs(run_id for job in rest for run_id in job)}
    waiting = [job for job in at.store.live_jobs() if waits(at, job)] if rest else []
    wanted = dict(zip(rest, _places(at, rest, specs), strict=True)) if waiting else {}
    for job in waiting:
        begun = _as_begun(at, job)
        fitting = [run_ids for run_ids in rest if _is_of(begun, wanted[run_ids])]
        # One that was begun before an edit is not given what was sent after it.
        if fitting and begun.code == at.code:
            rest.remove(fitting[0])
            _extend(at, job, fitting[0])
    sent = len(jobs) - len(rest)
    try:
        for place, part in submissions(at, rest, specs):
            submit(at, part, place, specs)
            sent += len(part)
    except (HeldByQuota, NoAnswer) as no_room:
        problems.append(no_room.message)
    return sent


def submissions(
    at: Coordinator, jobs: Sequence[Sequence[str]], specs: Mapping[str, RunSpec]
) -> Iterator[tuple[Place | None, Sequence[Sequence[str]]]]:
    """Jobs by what they ask for, in parts that the cluster takes as one submission each."""
    if not jobs:
        return
    by_class: dict[Place | None, list[Sequence[str]]] = {}
    for job, place in zip(jobs, _places(at, jobs, specs), strict=True):
        by_class.setdefault(place, []).append(job)
    most = at.cluster.array_limit()
    for place, alike in by_class.items():
        size = most or len(alike)
        for start in range(0, len(alike), size):
            yield place, alike[start : start + size]


def waits(at: Coordinator, job: JobRow) -> bool:
    return at.profile.linger_seconds > 0 and job.idle and not job.ended and job.sweep_id == at.sweep_id


def _places(
    at: Coordinator, jobs: Sequence[Sequence[str]], specs: Mapping[str, RunSpec]
) -> list[Place | None]:
    """What each of these jobs is to ask for."""
    places = cache(partial(climbing.place_of, costs.read(at.workdir), at.profile))
    firsts = [specs[job[0]] for job in jobs]
    return [places(first.kind, first.model.name, first.dataset.name) for first in firsts]


def _as_begun(at: Coordinator, job: JobRow) -> JobList:
    return msgspec.json.decode((at.workdir.job(job.tag) / "job.json").read_bytes(), type=JobList)


def _is_of(begun: JobList, place: Place | None) -> bool:
    """Whether a job that was begun has what runs of this place ask for."""
    return (begun.resource, begun.memory_gb) == ((place.resource, place.memory_gb) if place else (None, None))


def _extend(at: Coordinator, job: JobRow, run_ids: Sequence[str]) -> None:
    """Hand more runs to a waiting worker.

    The intent is in the store first: a crash in between, or a worker that has just left, gives the runs back
    when the job is seen to be over.
    """
    generations.settle_all(at, run_ids)
    folder, specs = at.workdir.job(job.tag), at.store.specs(run_ids)
    more = Element(run_ids=tuple(run_ids))
    [placed] = add_specs(folder, [more], {spec.run_id: spec for spec in specs})
    at.store.extend_job(job.tag, job.element, run_ids, time.time())
    more_work.offer(folder, job.element, placed)


def dismiss(at: Coordinator) -> None:
    """Send workers home that wait for more runs of a sweep that is done."""
    for job in at.store.live_jobs():
        if waits(at, job):
            more_work.offer(at.workdir.job(job.tag), job.element, more_work.HOME)


def submit(
    at: Coordinator, jobs: Sequence[Sequence[str]], place: Place | None, specs: Mapping[str, RunSpec]
) -> None:
    """Send jobs as one submission.

    The intent is in the store, and everything that the jobs read is on disk, before anything is sent; a
    crash at any point leaves either nothing, or an intent that the next turn looks up by its tag.
    """
    generations.settle_all(at, (run_id for job in jobs for run_id in job))
    job_list = write_job(at.workdir, job_list_of(at, jobs, place, at.store.next_sequence(), specs), specs)
    tag = job_list.tag
    at.store.add_submission(
        tag=tag,
        sequence=job_list.sequence,
        sweep_id=at.sweep_id,
        cluster=at.profile.name,
        elements=jobs,
        time=time.time(),
    )
    try:
        external_ids = at.cluster.submit(at.workdir, job_list)
    except (HeldByQuota, SubmissionRefused) as refusal:
        take_back(at, tag, len(jobs), refusal.message)
        raise
    at.store.mark_sent(tag, external_ids, time.time())


def job_list_of(
    at: Coordinator,
    jobs: Sequence[Sequence[str]],
    place: Place | None,
    sequence: int,
    specs: Mapping[str, RunSpec],
) -> JobList:
    """What a submission will be."""
    resource = place.resource if place else None
    asked = at.profile.resources[resource] if resource else Resource()
    # Slurm is asked for the default class where none is named.
    gres = (asked if resource else at.profile.resource_for("default")[1]).gres
    of_runs = [[specs[run_id] for run_id in job] for job in jobs]
    minutes = shorter_limit(at.profile, asked, costs.read(at.workdir), of_runs)
    return JobList(
        processes=asked.crew, deepspeed=deepspeed.read(asked.deepspeed, at.profile.path) if asked.deepspeed else None,
        on_gpu=at.profile.real_gpus and deepspeed.gpus_in(gres) > 0,
        tag=f"sgonz-{short_name(at.workdir)}-{sequence:06d}", sweep=at.sweep.name, sequence=sequence, threads=at.sweep.threads,
        linger_seconds=at.profile.linger_seconds, runs_at_once=at.profile.runs_at_once(resource), resource=resource,
        memory_gb=place.memory_gb if place else None, minutes=minutes, code=at.code, elements=tuple(Element(run_ids=tuple(job)) for job in jobs),
    )  # fmt: skip


def take_back(at: Coordinator, tag: str, elements: int, why: str) -> None:
    """Nothing of a submission was sent: its runs are pending again."""
    over = [EndedJob(tag=tag, element=element, outcome=Outcome.CANCELLED, evidence=why)
            for element in range(elements)]  # fmt: skip
    at.store.end_jobs(over, time.time())
    at.journal.write("never_sent", tag=tag, reason=why)
    shutil.rmtree(at.workdir.job(tag), ignore_errors=True)
