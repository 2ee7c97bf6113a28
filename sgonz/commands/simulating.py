"""simulate: the decisions of a whole sweep in seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sgonz.cli import options
from sgonz.cli.working import working
from sgonz.cluster.profile import Profile, load_profile
from sgonz.coordinator.seeing import gpus_of
from sgonz.plan.estimate import Seconds
from sgonz.plan.expand import count_runs
from sgonz.plan.runs import State
from sgonz.simulate.world import Faults, World
from sgonz.sweep.choosing import resolved
from sgonz.sweep.foreseen import chosen_classes, predicted
from sgonz.sweep.opening import DEFAULT_CLUSTER
from sgonz.sweep.planned import Planned, plan_sweep, workdir_of
from sgonz.workdir import costs

COLUMNS = ("jobs_at_a_time", "hours", "gpu_hours", "runs", "completed", "attempts", "jobs", "held")
SLOTS = 8


def simulate(
    name: str, workdir: str | None, cluster: str | None, changes: Sequence[str], *, slots: Sequence[int],
    failed: float, lost: float, preempted: float, seed: int, output: str,
) -> None:  # fmt: skip
    """One row for every number of jobs at a time."""
    folder = workdir_of(workdir)
    planned = plan_sweep(name, changes, folder)
    profile = load_profile(cluster or planned.sweep.cluster or DEFAULT_CLUSTER)
    history = costs.read(folder)
    seconds = predicted(planned, profile, history)
    settled = resolved(profile, chosen_classes(planned, profile, history))
    faults = Faults(failed=failed, lost=lost, preempted=preempted)
    usual = profile.slots if profile.scheduler == "local" else SLOTS
    counts = list(slots or (usual,))
    size = sum(count_runs(planned.sweep, planned.runs).values())
    with working("simulating") as shown:

        def share(lives: int) -> Callable[[int], None]:
            return lambda done: shown.at(lives * size + done, len(counts) * size)

        rows = [
            lived(planned, settled, seconds, count, faults, seed, share(lives))
            for lives, count in enumerate(counts)
        ]
    if output == "table":
        from sgonz.view.tables import show_rows

        show_rows(COLUMNS, rows)
    else:
        options.print_rows(rows, output, COLUMNS)


def lived(
    planned: Planned,
    profile: Profile,
    seconds: Seconds,
    slots: int,
    faults: Faults,
    seed: int,
    told: Callable[[int], None],
) -> dict[str, Any]:
    """A sweep on so many places, from its first job to its last; `held` counts runs that wait for a person."""
    _, asked = profile.resource_for("default")
    gpus = gpus_of(asked)
    world = World(
        sweep=planned.sweep, sources=planned.resolution.sources, runs=planned.runs,
        seconds=seconds, runs_at_once=lambda row: profile.runs_at_once_of(row.model),
        slots=slots, target_seconds=profile.target_minutes * 60, gpus_per_job=gpus, faults=faults, seed=seed,
    )  # fmt: skip
    decision = world.live_forever(told)
    rows = world.rows.values()
    return {
        "jobs_at_a_time": slots,
        "hours": round(world.now / 3600, 2),
        "gpu_hours": round(world.gpu_seconds / 3600, 2),
        "runs": len(rows),
        "completed": sum(row.state is State.COMPLETED for row in rows),
        "attempts": sum(row.attempts for row in rows),
        "jobs": world.sent,
        "held": len(decision.for_person),
    }
