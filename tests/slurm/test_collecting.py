"""A coordinator killed at every stage of collecting what jobs on a real cluster did."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from job_folders import eventually
from slurm_sweeps import TIMES, DevCluster, Start, Sweeping

from sgonz.cluster.slurm import SlurmCluster
from sgonz.control.runs import retry
from sgonz.coordinator import climbing, collection, standing
from sgonz.coordinator import turn as coordinator
from sgonz.coordinator.turn import turn
from sgonz.plan.runs import State
from sgonz.rebuild import rebuild
from sgonz.store.store import Store, open_store
from sgonz.workdir import costs
from sgonz.workdir.journal import Journal

RUNS, CANCELLED = 6, 2


class Stage(NamedTuple):
    """Where a turn is killed: around this function, once it has something to do."""

    name: str
    owner: Any
    function: str
    after: bool = False
    given: Callable[..., object] = lambda *args, **more: True  # whether there is something to do
    told: Callable[[Any], object] = lambda answer: True  # where it is killed after it: whether there was


def tells(what: str) -> Callable[..., bool]:
    """The journal's line about one write of the store, which stands before its commit."""
    return lambda journal, kind, **facts: what in (kind, facts.get("do"))


STAGES = [  # in the order in which a turn goes through them
    Stage("before event files are read", collection, "_look"),
    Stage("after they are read", collection, "_look", after=True, told=lambda found: found[0]),
    Stage("what they say is applied, and not told", Journal, "write", given=tells("collect")),
    Stage("told, and not committed", Journal, "write", after=True, given=tells("collect")),
    Stage("committed, and squeue not asked", SlurmCluster, "_list"),
    Stage("between squeue and sacct", SlurmCluster, "_accounted", given=lambda self, keys: keys),
    Stage("sacct has answered", SlurmCluster, "_accounted", after=True, told=bool),
    Stage("runs of cancelled jobs are held, and not told", Journal, "write", given=tells("set_state")),
    Stage("held and told, and not committed", Journal, "write", after=True, given=tells("set_state")),
    Stage("held and committed", Store, "set_state", after=True),
    Stage("jobs are over, and not told", Journal, "write", given=tells("end_jobs")),
    Stage("over and told, and not committed", Journal, "write", after=True, given=tells("end_jobs")),
    Stage("over and committed", Store, "end_jobs", after=True),
    Stage("what jobs used is read", SlurmCluster, "used", after=True, told=bool),
    Stage("accounted and told, and not committed", Journal, "write", after=True, given=tells("account_jobs")),
    Stage("accounted and committed", Store, "account_jobs", after=True),
    Stage("before what is learned of runs is kept", climbing, "remember"),
    Stage("while it is kept", costs, "record", after=True),
    Stage("before it decides", coordinator, "decide"),
    Stage("before it notes what it found", standing, "keep"),
]


def killed(sweep: Sweeping, stage: Stage) -> bool:
    """Make turns in another process until one dies at this stage; False where none did."""
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    try:
        whole = getattr(stage.owner, stage.function)

        def dying(*args: Any, **more: Any) -> Any:
            now = stage.given(*args, **more)
            if now and not stage.after:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = whole(*args, **more)
            if now and stage.after and stage.told(answer):
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        setattr(stage.owner, stage.function, dying)
        workdir = sweep.at.workdir
        apart = replace(
            sweep.at,
            store=open_store(workdir.store, workspace=workdir.root),
            cluster=SlurmCluster(sweep.at.profile, **TIMES),  # type: ignore[arg-type]
        )
        eventually(lambda: turn(apart) and False)
    finally:
        os._exit(1)


def give_scores(sweep: Sweeping) -> None:
    """Runs that do nothing have no scores; events that nobody has read yet may say some."""
    for path in sweep.at.workdir.jobs.glob("*/events/*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            if line["type"] == "run_ended":
                score = int(line["run_id"][:4], 16) / RUNS
                line |= {"validation_loss": 1 - score, "validation": {"accuracy": score}}
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def until_collectable(sweep: Sweeping, dev: DevCluster) -> None:
    """A submission of which some jobs were cancelled and the others are done, and nobody has looked yet."""
    sweep.shut()
    sweep.turn()
    (tag,) = {job.tag for job in sweep.at.store.live_jobs()}
    eventually(lambda: len(dev.queue("--states=R", "--name", tag)) == RUNS)
    dev.ask("scancel", *sweep.external_ids[:CANCELLED])
    eventually(lambda: len(dev.queue("--name", tag)) == RUNS - CANCELLED)
    sweep.open()
    eventually(lambda: not dev.queue("--states=all", "--name", tag))  # sacct alone knows them now
    give_scores(sweep)


def seen(sweep: Sweeping) -> tuple[Any, ...]:
    """The leaderboard, and what stands behind it."""
    rows = [(row.run_id, row.state, row.validation_loss, row.validation, row.attempts, row.failures, row.interruptions)
            for row in sweep.rows]  # fmt: skip
    tried = [(each.run_id, each.attempt, each.outcome) for each in sweep.at.store.attempts()]
    return sorted(rows, key=lambda row: (row[2] is None, row[2] or 0.0, row[0])), sorted(tried)


def finish(sweep: Sweeping) -> None:
    sweep.until(lambda: not sweep.at.store.live_jobs())
    held = [row for row in sweep.rows if row.state is State.CANCELLED]
    assert retry(sweep.at, held) == CANCELLED
    sweep.finish()
    sweep.assert_nothing_lost_or_done_twice(RUNS)


def test_a_coordinator_killed_at_every_stage_of_collecting_changes_nothing(
    start: Start, dev: DevCluster
) -> None:
    calm, sweep = start(RUNS, folder="calm"), start(RUNS)
    for each in (calm, sweep):
        until_collectable(each, dev)
    finish(calm)
    for stage in STAGES:
        assert killed(sweep, stage), stage.name
    finish(sweep)
    assert seen(sweep) == seen(calm)
    asked = sweep.at.cluster.requests.notes.counts  # type: ignore[attr-defined]
    assert asked["sbatch"] == 2  # the first time, and for the retry
    before = seen(sweep)
    rebuild(sweep.at.store, sweep.at.workdir)  # the journal tells of nothing that was not committed
    assert seen(sweep) == before
