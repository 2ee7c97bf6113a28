"""A sweep's `keep`, acted on: whose weights go after a turn, and what is made again when they are asked for after all."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sgonz import retention
from sgonz.plan.decide import Decision
from sgonz.plan.retention import Keep
from sgonz.plan.retention import removable as may_go
from sgonz.plan.runs import State
from sgonz.plan.selection import collapsed_runs
from sgonz.plan.state import RunRow
from sgonz.rundir import Workdir
from sgonz.store.store import Store

if TYPE_CHECKING:
    from sgonz.coordinator import Coordinator


def removable(at: Coordinator, rows: Sequence[RunRow], keep: Keep, *, finished: bool) -> set[str]:
    """Runs of the sweep whose weights may go; those that another sweep has a part in stay."""
    if keep == "all":
        return set()
    others = [
        row for other in at.store.sweeps() if other.id != at.sweep_id for row in at.store.snapshot(other.id)
    ]
    held = {row.run_id for row in others} | {need for row in others for need in row.needs}
    metrics = {name: dataset.metric for name, dataset in at.sources.datasets.items()}
    return may_go(
        rows, keep, criterion=at.sweep.criterion, collapsed_ids=collapsed_runs(rows, metrics), needed=held,
        macs={model: load.macs for (_, model), load in at.workloads.items()}, finished=finished,
    )  # fmt: skip


def tidy(at: Coordinator, rows: Sequence[RunRow], decision: Decision) -> list[str]:
    """Remove what the sweep does not keep; what is to be said of the disk."""
    going = removable(at, rows, at.sweep.keep, finished=decision.finished)
    retention.remove(at.workdir, retention.weights_of(at.workdir, going), f'keep = "{at.sweep.keep}"')
    warning = retention.disk_warning(at.workdir.root)
    return [warning] if warning else []


def make_again(workdir: Workdir, store: Store, run_ids: Iterable[str]) -> None:
    """Runs about to be read whose weights have been removed are done again, to the same end.

    The mark goes last, so that a crash in between leaves the same to be done.
    """
    gone = [run_id for run_id in run_ids if retention.are_removed(workdir.run(run_id))]
    for run_id in gone:
        workdir.run(run_id).result.unlink(missing_ok=True)
    if gone:
        store.set_state(gone, State.PENDING, reason="its weights are needed again", time=time.time())
    for run_id in gone:
        (workdir.run(run_id).output / retention.REMOVED).unlink()
