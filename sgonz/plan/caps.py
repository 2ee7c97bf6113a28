"""How many more jobs may be sent under the caps that a person has set; what runs already is never stopped by one."""

from __future__ import annotations

from collections.abc import Sequence

from sgonz.plan.snapshot import Snapshot
from sgonz.plan.wording import number_of

Jobs = list[tuple[str, ...]]


def free_jobs(snapshot: Snapshot) -> tuple[int | None, str]:
    """How many jobs may be sent, None for as many as there are, and what to say of those that wait."""
    most = snapshot.orders.max_jobs
    if most is None:
        return snapshot.free_jobs, snapshot.full
    room = max(0, most - len(snapshot.busy))
    if snapshot.free_jobs is not None and snapshot.free_jobs <= room:
        return snapshot.free_jobs, snapshot.full
    return (
        room,
        f"cap: max_jobs = {most}, and {number_of(len(snapshot.busy), 'job is', 'jobs are')} out; `sgonz set` changes it",
    )


def within_gpus(snapshot: Snapshot, jobs: Sequence[tuple[str, ...]]) -> tuple[Jobs, str | None]:
    """The first jobs that fit under max_gpus, and what to say of the others."""
    most = snapshot.orders.max_gpus
    if most is None:
        return list(jobs), None
    by_id = {row.run_id: row for row in snapshot.runs}
    asks = [snapshot.gpus(by_id[job[0]]) for job in jobs]
    taken = sum(
        snapshot.gpus(by_id[job.run_ids[0]])
        for job in snapshot.busy
        if job.run_ids and job.run_ids[0] in by_id
    )
    fitting: Jobs = []
    for job, asked in zip(jobs, asks, strict=True):
        if not asked or taken + asked <= most:
            taken += asked
            fitting.append(job)
    return fitting, f"cap: max_gpus = {most}, and {taken} are in use; `sgonz set` changes it"
