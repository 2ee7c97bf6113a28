"""What a person asks of a sweep: begin it, stop runs, try them again. Each holds the lock while it acts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from sgonz.coordinator.coordinator import Coordinator
from sgonz.coordinator.observing import observe
from sgonz.plan.runs import RunSpec, State
from sgonz.plan.state import RunRow
from sgonz.workdir import lock


def cancel(at: Coordinator, rows: Sequence[RunRow]) -> int:
    """Stop runs that are not final: unsent ones at once, sent ones when their worker sees the mark."""
    with lock.hold(at.workdir, "cancel"):
        ids = [row.run_id for row in rows if not row.state.is_final]
        at.journal.write("cancel", runs=ids)
        for run_id in ids:
            mark = at.workdir.run(run_id).cancel
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
        at.store.set_state(ids, State.CANCELLED, reason="cancelled by hand", time=time.time())
        busy = {(row.tag, row.element) for row in at.store.snapshot() if row.state.is_live}
        at.cluster.cancel([job for job in at.store.live_jobs() if (job.tag, job.element) not in busy])
    return len(ids)


def stop_local_jobs(at: Coordinator) -> int:
    """End this machine's live jobs, as a terminal does with what it started; their runs go on next time."""
    with lock.hold(at.workdir, "stopping jobs"):
        live = at.store.live_jobs()
        at.cluster.cancel(live)
        observe(at)
    return len(live)


def add_grid(at: Coordinator, runs: Sequence[RunSpec]) -> int:
    """Write a sweep's grid into the store, and take back what a person had stopped; how many runs are new."""
    with lock.hold(at.workdir, "adding runs"):
        new = at.store.add_runs(at.sweep_id, runs)
        held = [
            row
            for row in at.store.snapshot(at.sweep_id)
            if row.state is State.CANCELLED and not row.superseded
        ]
        release(at, held)
        at.journal.write("sweep", name=at.sweep.name, runs=len(runs), new=new, released=len(held))
    return new


def retry(at: Coordinator, rows: Sequence[RunRow]) -> int:
    """Put failed, skipped and cancelled runs back to PENDING, with their failures forgotten."""
    with lock.hold(at.workdir, "retry"):
        return release_failed(at, rows)


def release_failed(at: Coordinator, rows: Sequence[RunRow], **facts: object) -> int:
    """What `retry` does, for whoever holds the lock; runs that wait after a failure go on at once."""
    again = [row for row in rows if may_be_retried(row)]
    at.journal.write("retry", runs=[row.run_id for row in again], **facts)
    release(at, again)
    return len(again)


def may_be_retried(row: RunRow) -> bool:
    """Whether a person can ask for another try."""
    ended = row.state in (State.FAILED, State.SKIPPED, State.CANCELLED)
    return (ended and not row.superseded) or (row.state is State.PENDING and row.failures > 0)


def release(at: Coordinator, rows: Iterable[RunRow]) -> None:
    ids = [row.run_id for row in rows]
    for run_id in ids:
        at.workdir.run(run_id).cancel.unlink(missing_ok=True)
    at.store.reset_failures(ids)
    at.store.set_state(ids, State.PENDING, reason=None, time=time.time())
