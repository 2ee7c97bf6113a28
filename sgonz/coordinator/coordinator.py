"""What turns and commands hold open: one sweep in one work folder on one cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from sgonz.cluster.base import Cluster
from sgonz.cluster.profile import Profile
from sgonz.plan.estimate import Workload
from sgonz.plan.expand import Sources
from sgonz.plan.spec import Sweep
from sgonz.rundir import Workdir
from sgonz.store.store import Store
from sgonz.workdir.journal import Journal


@dataclass(frozen=True, kw_only=True)
class Coordinator:
    """Everything that a turn needs, held open: one sweep in one work folder on one cluster."""

    workdir: Workdir
    store: Store
    cluster: Cluster
    profile: Profile
    sweep_id: int
    sweep: Sweep
    sources: Sources
    workloads: Mapping[tuple[str, str], Workload] = field(default_factory=dict)
    code: str | None = None  # which copy of sgonz its jobs run; None: the installed version

    @property
    def journal(self) -> Journal:
        return Journal(self.workdir.journal)


@contextmanager
def closing(at: Coordinator) -> Iterator[Coordinator]:
    try:
        yield at
    finally:
        at.store.close()
