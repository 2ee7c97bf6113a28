"""Open a work folder and a sweep in it: what every command that needs the store does first."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from sgonz.cluster.base import Cluster
from sgonz.cluster.profile import Profile, lasting_name, load_profile
from sgonz.coordinator.coordinator import Coordinator
from sgonz.errors import SpecError, UserError
from sgonz.plan.estimate import Workload, first_guess, predictor
from sgonz.plan.expand import Sources
from sgonz.plan.prediction import epoch_seconds, recall
from sgonz.plan.runs import Kind
from sgonz.plan.spec import decode
from sgonz.plan.state import RunRow
from sgonz.rundir import Workdir
from sgonz.store.rows import SweepRow
from sgonz.store.store import Store, open_store
from sgonz.sweep.choosing import choices, resolved
from sgonz.sweep.foreseen import chosen_classes
from sgonz.sweep.planned import Planned
from sgonz.sweep.provenance import provenance
from sgonz.sweep.sweepfile import dump
from sgonz.sweep.workloads import workloads_of
from sgonz.workdir import codebase, costs
from sgonz.workdir.journal import Journal

DEFAULT_CLUSTER = "local"


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A sweep as the store keeps it: decoded and resolved, so that no file is needed to go on with it."""

    sweep: dict[str, Any]
    sources: Sources
    workloads: dict[str, Workload]  # "dataset\tmodel"

    @property
    def loads(self) -> dict[tuple[str, str], Workload]:
        """Workloads by data set and model."""
        pairs = ((key.split("\t", 1), load) for key, load in self.workloads.items())
        return {(dataset, model): load for (dataset, model), load in pairs}


def start(planned: Planned, profile: Profile, workdir: Workdir) -> Coordinator:
    """Write the sweep into the store (once) and open it."""
    location = database(profile, workdir)
    refuse_where_lost(location, workdir)
    store = open_store(location, workspace=workdir.root, create=True)
    at = begin(store, planned, profile, workdir, codebase.keep(workdir))
    codebase.tidy(workdir, {str(sweep.provenance.get("code")) for sweep in store.sweeps()})
    return at


def begin(
    store: Store, planned: Planned, profile: Profile, workdir: Workdir, code: str | None
) -> Coordinator:
    """Write the sweep into an open store."""
    profile = resolved(profile, chosen_classes(planned, profile, costs.read(workdir)))
    loads = workloads_of(planned.resolution.sources)
    stored = Stored(
        sweep=planned.table, sources=planned.resolution.sources,
        workloads={"\t".join(key): load for key, load in loads.items()},
    )  # fmt: skip
    sweep_id = store.add_sweep(
        name=planned.sweep.name, text=dump(planned.table), spec_json=msgspec.json.encode(stored, order="sorted").decode(),
        cluster=lasting_name(profile), time=time.time(), provenance={**provenance(), "code": code},
    )  # fmt: skip
    return Coordinator(
        workdir=workdir, store=store, cluster=cluster_of(profile, workdir), profile=profile, sweep_id=sweep_id,
        sweep=planned.sweep, sources=planned.resolution.sources, workloads=loads, code=code,
    )  # fmt: skip


def reopen(workdir: Workdir, name: str | None, *, cluster: str | None = None) -> Coordinator:
    """Open the sweep of this name in a work folder, or the newest one."""
    store = open_existing(workdir, cluster)
    chosen = named(store, name, workdir)
    stored = msgspec.json.decode(chosen.spec_json, type=Stored)
    workloads = stored.loads
    profile = _with_classes(load_profile(cluster or chosen.cluster), workdir, store, chosen.id, workloads)
    code = chosen.provenance.get("code")
    return Coordinator(
        workdir=workdir, store=store, cluster=cluster_of(profile, workdir), profile=profile, sweep_id=chosen.id,
        sweep=decode(stored.sweep, chosen.name), sources=stored.sources, workloads=workloads,
        code=code if isinstance(code, str) else None,
    )  # fmt: skip


def _with_classes(
    profile: Profile,
    workdir: Workdir,
    store: Store,
    sweep_id: int,
    workloads: Mapping[tuple[str, str], Workload],
) -> Profile:
    """The profile with one class for every model, by the sweep's longest and largest runs."""
    if not profile.chooses:
        return profile
    rows = store.snapshot(sweep_id)
    longest: dict[tuple[str, str, int | None], RunRow] = {}
    for row in rows:
        if row.kind in (Kind.FINETUNE, Kind.DISTILL):
            key = (row.model, row.dataset, row.batch_size)
            longest[key] = max(row, longest.get(key, row), key=lambda each: each.epochs or 0)
    by_id = {row.run_id: row for row in longest.values()}
    specs, history = store.specs(by_id), costs.read(workdir)
    seconds = predictor(rows, first_guess(workloads, profile.speed), epoch_seconds(history, specs))
    return resolved(
        profile, choices(profile, specs, recall(history), lambda spec: seconds(by_id[spec.run_id]))
    )


def named(store: Store, name: str | None, workdir: Workdir) -> SweepRow:
    """The newest sweep of this name, else the newest with this tag, else (without a name) the newest of all."""
    sweeps = store.sweeps()
    chosen = next((sweep for sweep in sweeps if name in (None, sweep.name)), None)
    if chosen is None:
        tags = store.sweep_tags()
        chosen = next((sweep for sweep in sweeps if name in tags.get(sweep.name, ())), None)
    if chosen is None:
        names = ", ".join(dict.fromkeys(sweep.name for sweep in sweeps)) or "none yet"
        raise SpecError(
            f"{workdir.root} holds no sweep {name or ''}".rstrip(), hint=f"Sweeps there: {names}."
        )
    return chosen


def open_existing(workdir: Workdir, cluster: str | None = None, *, read_only: bool = False) -> Store:
    """The store of a work folder that has one."""
    profile = load_profile(cluster) if cluster else None
    location = database(profile, workdir)
    if isinstance(location, Path) and not location.exists():
        refuse_where_lost(location, workdir)
        raise UserError(
            f"{workdir.root} holds no sweep yet",
            hint="Start one with: sgonz run SWEEP, or name the folder with --workdir.",
        )
    return open_store(location, workspace=workdir.root, read_only=read_only)


def refuse_where_lost(location: str | Path, workdir: Workdir) -> None:
    """A new database beside an old journal would know nothing of what ran, and the journal tell of two."""
    if isinstance(location, Path) and not location.exists() and Journal(workdir.journal).tells_of_writes():
        raise UserError(
            f"{workdir.root} has had sweeps, but its database {location} is gone",
            hint="sgonz db rebuild makes it again from the work folder. If results stand in another database, name it with "
            "SGONZ_DATABASE or the profile's `database`.",
        )


def database(profile: Profile | None, workdir: Workdir) -> str | Path:
    """Where the store is: SGONZ_DATABASE, the profile's URL, or a file in the work folder."""
    return os.environ.get("SGONZ_DATABASE") or (profile.database if profile else None) or workdir.store


def cluster_of(profile: Profile, workdir: Workdir) -> Cluster:
    if profile.scheduler == "slurm":
        from sgonz.cluster.slurm import SlurmCluster

        cluster = SlurmCluster(profile)
        cluster.requests.keep_in(workdir.root)  # what earlier turns asked, and what they missed
        return cluster
    from sgonz.cluster.local import LocalCluster

    return LocalCluster(profile)
