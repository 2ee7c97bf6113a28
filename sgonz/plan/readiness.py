"""Which runs a job can carry now, and why the others wait."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sgonz.plan.canary import Hold
from sgonz.plan.runs import COMPLETED, PENDING
from sgonz.plan.snapshot import Snapshot
from sgonz.plan.state import INVALIDATED_AT_WORK, RunRow


def find_ready(
    snapshot: Snapshot,
    by_id: Mapping[str, RunRow],
    settled: Collection[str],
    held: Mapping[str, Hold],
    waiting: dict[str, str],
) -> list[RunRow]:
    """Runs that a job can carry now: nothing missing, or only what goes before them in the same job."""
    ready: dict[str, RunRow] = {}
    for row in snapshot.runs:
        if row.state is not PENDING or row.run_id in settled:
            continue
        waits = row.failures and not snapshot.climbed(row)  # more memory helps at once, time does not
        pause = snapshot.sweep.retry.delay_seconds * 2 ** (row.failures - 1) if waits else 0.0
        left = (row.ended or 0.0) + pause - snapshot.now
        missing = [
            need for need in row.needs if by_id[need].state is not COMPLETED and need not in ready
        ] if row.needs else ()  # fmt: skip
        if missing:
            waiting[row.run_id] = f"needs {missing[0]}, which is {by_id[missing[0]].state}"
        elif row.was_interrupted and row.run_id in snapshot.in_jobs:
            # Slurm may start the same job again, or say that somebody cancelled it.
            waiting[row.run_id] = "interrupted; its job has not left yet"
        elif (row.reason or "").startswith(INVALIDATED_AT_WORK) and row.run_id in snapshot.in_jobs:
            waiting[row.run_id] = "invalidated while a job had it; that job has not left yet"
        elif row.run_id in held:
            waiting[row.run_id] = held[row.run_id].reason
        elif pause and left > 0:
            waiting[row.run_id] = f"failed before; tried again in {left:.0f} s"
        else:
            ready[row.run_id] = row
    return list(ready.values())
