"""A sweep's `keep`, acted on: whose weights go after a turn, and what is made again when they are asked for after all."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence

from sgonz.coordinator import retention
from sgonz.coordinator.coordinator import Coordinator
from sgonz.plan.decide import Decision
from sgonz.plan.retention import Keep
from sgonz.plan.retention import removable as may_go
from sgonz.plan.runs import State
from sgonz.plan.selection import collapsed_runs
from sgonz.plan.state import RunRow
from sgonz.rundir import Workdir
from sgonz.store.store import Store

AGAIN = "its weights are needed again"
DOUBTFUL = 2  # times that a run was interrupted, after which what it reads is looked for


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


def renewed(rows: Iterable[RunRow], keep: Keep) -> list[str]:
    """Runs that were invalidated and are done again. What there was nobody reads, but a person may want to look at it:
    only `sgonz clean` removes it, which asks.
    """
    return [
        row.run_id for row in rows if row.generation > 1 and row.state is State.COMPLETED and keep != "all"
    ]


def tidy(at: Coordinator, rows: Sequence[RunRow], decision: Decision) -> None:
    """Remove what the sweep does not keep."""
    going = removable(at, rows, at.sweep.keep, finished=decision.finished)
    remove(at, retention.weights_of(at.workdir, going), f'keep = "{at.sweep.keep}"')


def remove(at: Coordinator, weights: Collection[retention.Weights], reason: str) -> int:
    """Remove weights, and what the store says of them; how many bytes came free.

    The store goes first: a crash in between leaves weights that are found and removed again.
    """
    if gone := [each.run_id for each in weights if not each.earlier]:
        at.store.forget_artifacts(gone)
    return retention.remove(at.workdir, weights, reason)


def make_readable(at: Coordinator, rows: Sequence[RunRow]) -> bool:
    """Have whatever runs to come will read, and is not there, made again; whether there was any.

    What was removed has a mark. Whether what has none is there as well, is looked at where jobs left a run out.
    """
    done = {row.run_id for row in rows if row.state is State.COMPLETED}
    coming = [row for row in rows if row.state is State.PENDING and not row.superseded]
    doubtful = [row for row in coming if row.interruptions >= DOUBTFUL or row.reason == AGAIN]
    removed = {need for need in _needs(coming) & done if at.workdir.run(need).removed.exists()}
    missed = {need for need in _needs(doubtful) & done if not at.workdir.run(need).result.exists()}
    return _do_again(at.workdir, at.store, sorted(removed | missed))


def _needs(rows: Sequence[RunRow]) -> set[str]:
    return {need for row in rows for need in row.needs}


def make_again(workdir: Workdir, store: Store, run_ids: Iterable[str]) -> bool:
    """Runs about to be read whose weights have been removed are done again, to the same end; whether there were any."""
    return _do_again(workdir, store, [run_id for run_id in run_ids if workdir.run(run_id).removed.exists()])


def _do_again(workdir: Workdir, store: Store, run_ids: Sequence[str]) -> bool:
    """The marks go last, so that a crash in between leaves the same to be done."""
    for run_id in run_ids:
        workdir.run(run_id).result.unlink(missing_ok=True)
    if run_ids:
        store.set_state(run_ids, State.PENDING, reason=AGAIN, time=time.time())
    for run_id in run_ids:
        workdir.run(run_id).removed.unlink(missing_ok=True)
    return bool(run_ids)
