"""A sweep as it can be watched: what the live screen asks about, from its stored plan and its cluster's profile."""

from __future__ import annotations

import msgspec

from sgonz.cluster.profile import SLOW_CORE, Profile, load_profile
from sgonz.errors import SpecError
from sgonz.looking.watching import Subject
from sgonz.rundir import Workdir
from sgonz.store.rows import SweepRow
from sgonz.store.store import Store
from sgonz.sweep.opening import Stored


def profile_at_hand(name: str) -> Profile | None:
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
        workloads=stored.loads, metrics={name: dataset.metric for name, dataset in stored.sources.datasets.items()}, ceiling=profile.requests_per_minute if profile and profile.scheduler == "slurm" else None,
        places=slots * at_once("default"), runs_at_once=at_once, macs_per_second=profile.speed if profile else SLOW_CORE,
    )  # fmt: skip
