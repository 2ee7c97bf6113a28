"""watch: the live screen on a terminal, lines everywhere else; it reads, and makes turns only where it is asked to."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import msgspec

from sgonz.cluster.profile import SLOW_CORE, Profile, load_profile
from sgonz.errors import SpecError
from sgonz.looking.watching import Subject, Watcher
from sgonz.plan.estimate import Workload
from sgonz.plan.where import read
from sgonz.rundir import Workdir
from sgonz.store.rows import SweepRow
from sgonz.store.store import Store
from sgonz.sweep.opening import Stored, named, open_existing
from sgonz.sweep.planned import workdir_of


def watch(
    workdir: str | None,
    sweep: str | None,
    where: str | None,
    *,
    every: float,
    advance: bool,
    cluster: str | None,
) -> int:
    if where:
        read(where)
    if advance:
        from sgonz.commands import running

        return running.watch(workdir, sweep, cluster, where=where or "", every=every)
    folder = workdir_of(workdir)
    with open_existing(folder, cluster, read_only=True) as store:
        row = named(store, sweep, folder)
        watcher = Watcher(subject(store, folder, row, _profile(cluster or row.cluster)))
        from sgonz.view.cells import is_terminal

        if is_terminal(sys.stdout):
            from sgonz.view.show import show

            show(lambda asked, patient: watcher.look(asked, patient=patient), where=where or "", every=every)
        else:
            from sgonz.view.telling import tell

            tell(
                watcher.look,
                watcher.ended,
                sys.stdout,
                metrics=watcher.of.metrics,
                where=where or "",
                every=every,
            )
    return 0


def _profile(name: str) -> Profile | None:
    """None where it is not at hand: whoever only looks needs it for no more than a ceiling."""
    try:
        return load_profile(name)
    except SpecError:
        return None


def subject(store: Store, folder: Workdir, row: SweepRow, profile: Profile | None) -> Subject:
    """A sweep as it can be watched."""
    stored = msgspec.json.decode(row.spec_json, type=Stored)
    slots, at_once = (profile.slots, profile.runs_at_once_of) if profile else (1, lambda model: 1)
    return Subject(
        store=store, workdir=folder, sweep_id=row.id, name=row.name, cluster=row.cluster,
        workloads=_keyed(stored.workloads), metrics={name: dataset.metric for name, dataset in stored.sources.datasets.items()}, ceiling=profile.requests_per_minute if profile and profile.scheduler == "slurm" else None,
        places=slots * at_once("default"), runs_at_once=at_once, macs_per_second=profile.speed if profile else SLOW_CORE,
    )  # fmt: skip


def _keyed(stored: Mapping[str, Workload]) -> dict[tuple[str, str], Workload]:
    pairs = ((key.split("\t", 1), load) for key, load in stored.items())
    return {(dataset, model): load for (dataset, model), load in pairs}
