"""Sweeps of runs that do nothing, on a Slurm cluster with small limits."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from job_folders import PATIENCE, eventually
from plan.small_sweep import small_sources, small_sweep

from sgonz.cluster.profile import Profile, Resource
from sgonz.cluster.slurm import SlurmCluster
from sgonz.coordinator.coordinator import Coordinator
from sgonz.coordinator.turn import Turn, turn
from sgonz.plan.runs import State
from sgonz.plan.state import RunRow
from sgonz.rundir import Workdir
from sgonz.store.store import open_store

SCRIPT = Path(__file__).resolve().parents[2] / "slurm/dev/cluster"
ARRAY_LIMIT = 12  # jobs in one array
FEW = 4  # jobs that the QOS `few` takes
TIMES = {"held_seconds": 0.5, "vanished_seconds": 60.0, "settled_seconds": 6.0, "first_pause": 0.2}


@dataclass(frozen=True)
class DevCluster:
    """The running cluster."""

    home: Path
    environment: dict[str, str]

    def ask(self, *command: str) -> str:
        """What one of Slurm's commands, or the cluster's own script, prints."""
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=True
        ).stdout

    def script(self, *arguments: str) -> str:
        return self.ask(sys.executable, str(SCRIPT), *arguments)

    def queue(self, *options: str) -> list[str]:
        return self.ask("squeue", "-h", "-r", "-o", "%i", *options).split()

    def take_both_nodes(self) -> None:
        """Preempt what may be: one job, as two would find room on one node where that is free, one after the other."""
        whole = (
            "--partition=high",
            "--nodes=2",
            "--gres=gpu:a100:4",
            "--output=/dev/null",
            "--job-name=high",
        )
        self.ask("sbatch", *whole, "--wrap=true")


def restart_soon(dev: DevCluster, *jobs: str) -> None:
    """Slurm lets two minutes pass before a requeued job may start; an operator need not wait.

    What is left of it has to be gone from its node first, and the clock's second has to be another one: a node
    takes no order to start that is not younger, in whole seconds, than the order to end ("credential revoked").
    """
    for job in jobs:
        eventually(
            lambda job=job: dev.ask("squeue", "-h", "-r", "--job", job, "-o", "%T").split() == ["PENDING"]
        )
        dev.ask("scontrol", "update", f"JobId={job}", "StartTime=now+2")


def profile(slurm_conf: str, gate: Path, **changes: object) -> Profile:
    """Jobs of this profile wait at the gate, one run in each."""
    made = Profile(
        name="dev",
        scheduler="slurm",
        environment={"SLURM_CONF": slurm_conf},
        setup=(f"while [ -e '{gate}' ]; do sleep 0.1; done",),
        runs_per_job=1,
        requests_per_minute=100_000,
        resources={"small": Resource(max_minutes=10)},
    )
    return msgspec.structs.replace(made, **changes)


@dataclass
class Sweeping:
    """One sweep of runs that do nothing, and the turns made for it."""

    at: Coordinator
    dev: DevCluster
    gate: Path  # jobs wait before their worker starts for as long as it is there
    turns: list[Turn] = field(default_factory=list)

    def turn(self) -> Turn:
        self.turns.append(turn(self.at))
        return self.turns[-1]

    def until(self, reached: Callable[[], object], *, patience: float = PATIENCE) -> None:
        """Make turns until it is so."""
        eventually(lambda: self.turn() and reached(), patience=patience)

    def finish(self, *, patience: float = PATIENCE) -> None:
        self.until(lambda: self.turns[-1].decision.finished, patience=patience)

    @property
    def rows(self) -> list[RunRow]:
        return self.at.store.snapshot(self.at.sweep_id)

    def count(self, state: State) -> int:
        return sum(row.state is state for row in self.rows)

    @property
    def problems(self) -> str:
        return "\n".join(problem for made in self.turns for problem in made.problems)

    @property
    def external_ids(self) -> list[str]:
        """As Slurm's commands take them."""
        found = (job.external_id for job in self.at.store.live_jobs())
        return [each.partition("@")[0] for each in found if each]

    def shut(self) -> None:
        self.gate.touch()

    def open(self) -> None:
        self.gate.unlink()

    def assert_nothing_lost_or_done_twice(self, runs: int) -> None:
        assert self.count(State.COMPLETED) == runs
        completed = [tried for tried in self.at.store.attempts() if tried.outcome == "COMPLETED"]
        assert len(completed) == len({tried.run_id for tried in completed}) == runs


Start = Callable[..., Sweeping]


def coordinator(workdir: Workdir, profile: Profile, **times: float) -> Coordinator:
    workdir.create()
    store = open_store(workdir.store, workspace=workdir.root, create=True)
    sweep = small_sweep()
    sweep_id = store.add_sweep(
        name=sweep.name, text="", spec_json="{}", cluster=profile.name, time=time.time(), provenance={}
    )
    return Coordinator(
        workdir=workdir,
        store=store,
        cluster=SlurmCluster(profile, **{**TIMES, **times}),
        profile=profile,
        sweep_id=sweep_id,
        sweep=sweep,
        sources=small_sources(),
    )
