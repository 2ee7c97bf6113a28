"""A sweep of so many runs that do nothing, on the Slurm cluster of the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from sgonz.cluster.profile import Profile, Resource
from sgonz.cluster.slurm import SlurmCluster
from sgonz.control.runs import add_grid
from sgonz.coordinator.coordinator import Coordinator
from sgonz.plan.expand import Sources
from sgonz.plan.runs import Dataset, Kind, Model, RunSpec, Settings
from sgonz.plan.spec import decode
from sgonz.rundir import Workdir
from sgonz.store.store import open_store

TABLE = {"name": "nothing", "datasets": ["none"], "finetune": {"models": ["none"]}, "evaluate": False}
PROFILE = Profile(name="dev", scheduler="slurm", requests_per_minute=240)


def nothing(number: int) -> RunSpec:
    dataset = Dataset(
        name="none", task="classification", format="jsonl", files={"train": "/none"}, metric="accuracy"
    )
    # Ids spread over folders as content hashes are.
    return RunSpec(run_id=f"{number * 2654435761 % 2**32:08x}", kind=Kind.NOOP, dataset=dataset,
                   model=Model(name="none", path="/none"), settings=Settings())  # fmt: skip


def sweep_of_nothing(folder: Path, runs: int, *, hold: bool = False, **changes: Any) -> Coordinator:
    """The runs are in the store, and nothing is sent; `hold` keeps jobs from starting."""
    asked = Resource(max_minutes=60, sbatch=("--hold",) if hold else ())
    profile = msgspec.structs.replace(
        PROFILE, environment={"SLURM_CONF": os.environ["SLURM_CONF"]}, resources={"one": asked}, **changes
    )
    workdir = Workdir(folder)
    workdir.create()
    store = open_store(workdir.store, workspace=workdir.root, create=True)
    sweep = decode(TABLE, "benchmark")
    sweep_id = store.add_sweep(
        name=sweep.name, text="", spec_json="{}", cluster="dev", time=1.0, provenance={}
    )
    at = Coordinator(
        workdir=workdir, store=store, cluster=SlurmCluster(profile), profile=profile, sweep_id=sweep_id, sweep=sweep,
        sources=Sources(datasets={}, models={}),
    )  # fmt: skip
    add_grid(at, [nothing(number) for number in range(runs)])
    return at
