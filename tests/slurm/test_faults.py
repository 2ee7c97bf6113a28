"""What goes wrong on a cluster, made to go wrong: nothing is lost, done twice, or concluded from silence."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from job_folders import eventually
from slurm_sweeps import ARRAY_LIMIT, DevCluster, Start, Sweeping, restart_soon

from sgonz.cluster.base import JobStatus
from sgonz.cluster.profile import Resource
from sgonz.control.runs import retry
from sgonz.plan.runs import Outcome, State
from sgonz.plan.state import JobRow

TESTS = Path(__file__).resolve().parents[1]


def outcomes(sweep: Sweeping, tag: str) -> list[tuple[str, str]]:
    """How jobs ended, and from what that is known."""
    _, rows = sweep.at.store.query(
        f"SELECT outcome, evidence FROM jobs WHERE tag = '{tag}' AND ended IS NOT NULL ORDER BY element"
    )
    return [(str(outcome), str(evidence)) for outcome, evidence in rows]


def test_a_job_cancelled_by_somebody_is_held_until_retry(start: Start, dev: DevCluster) -> None:
    sweep = start(6)
    sweep.shut()
    sweep.turn()
    array = sweep.external_ids[0].split("_")[0]
    sweep.until(lambda: len(dev.queue("--states=R")) == 6)
    dev.ask("scancel", f"{array}_[0-2]")
    eventually(lambda: len(dev.queue("--job", array)) == 3)  # sooner, some might slip through the gate
    sweep.open()
    sweep.until(lambda: sweep.count(State.COMPLETED) == 3 and sweep.count(State.CANCELLED) == 3)
    sweep.until(lambda: not sweep.at.store.live_jobs())
    assert sweep.turn().decision.finished  # held: nothing is sent by itself
    held = [row for row in sweep.rows if row.state is State.CANCELLED]
    assert all("cancelled in the cluster" in (row.reason or "") for row in held)

    assert retry(sweep.at, held) == 3
    sweep.finish()
    sweep.assert_nothing_lost_or_done_twice(6)


def test_a_queued_array_cancelled_as_a_whole_is_held_too(start: Start, dev: DevCluster) -> None:
    sweep = start(3, resource=Resource(sbatch=("--hold",), max_minutes=10))
    sweep.turn()
    dev.ask("scancel", sweep.external_ids[0].split("_")[0])
    sweep.until(lambda: sweep.count(State.CANCELLED) == 3)
    assert not sweep.at.store.live_jobs()


def test_jobs_cancelled_while_they_wait_of_which_slurm_keeps_no_record_are_held_too(
    start: Start, dev: DevCluster
) -> None:
    sweep = start(4, resource=Resource(sbatch=("--hold",), max_minutes=10), times={"vanished_seconds": 1.0})
    sweep.turn()
    array = sweep.external_ids[0].split("_")[0]
    dev.ask("scancel", f"{array}_[1-2]")
    sweep.until(lambda: sweep.count(State.CANCELLED) == 2)
    assert sweep.external_ids == [f"{array}_0", f"{array}_3"]
    assert sweep.turn().sent == 0


def test_a_preempted_job_is_started_again_by_slurm_and_sent_once(start: Start, dev: DevCluster) -> None:
    sweep = start(2, resource=Resource(partition="low", gres="gpu:a100:4", max_minutes=10))
    sweep.shut()
    sweep.turn()
    jobs = sweep.external_ids
    sweep.until(lambda: len(dev.queue("--states=R")) == 2)
    dev.take_both_nodes()
    sweep.until(lambda: not dev.queue("--name", "high"))
    sweep.open()
    restart_soon(dev, *jobs)
    sweep.finish()
    sweep.assert_nothing_lost_or_done_twice(2)
    assert sweep.at.cluster.requests.notes.counts["sbatch"] == 1
    events = sorted(path.name for path in sweep.at.workdir.jobs.glob("*/events/*.jsonl"))
    assert events == ["0.1.jsonl", "1.1.jsonl"]


@pytest.mark.slow
def test_a_time_limit_ends_a_job_and_its_runs_go_on_in_the_next(start: Start) -> None:
    sweep = start(1, resource=Resource(partition="short", max_minutes=1))
    sweep.shut()
    sweep.turn()
    (tag,) = {job.tag for job in sweep.at.store.live_jobs()}
    sweep.until(lambda: outcomes(sweep, tag))
    ((outcome, evidence),) = outcomes(sweep, tag)
    assert outcome == Outcome.TIMEOUT
    assert "TIMEOUT" in evidence
    assert sweep.rows[0].interruptions == 1
    assert sweep.rows[0].failures == 0
    sweep.open()
    sweep.finish()
    sweep.assert_nothing_lost_or_done_twice(1)


KILLED = """
import os, signal, sys
from pathlib import Path
from slurm_sweeps import TIMES, coordinator, profile
from dataclasses import replace
from job_folders import noop
from sgonz.cluster.slurm import SlurmCluster
from sgonz.control.runs import add_grid
from sgonz.coordinator.turn import turn
from sgonz.rundir import Workdir

conf, gate, folder, moment, runs = sys.argv[1:]

def die(*anything):
    os.kill(os.getpid(), signal.SIGKILL)

class Dying(SlurmCluster):
    def submit(self, workdir, jobs):
        if moment == "before":
            die()
        sent = super().submit(workdir, jobs)
        if moment == "after":
            die()
        return sent

    def sbatch(self, command):
        if moment == "in":
            wait = 'exec >/dev/null 2>&1; while ! [ -e "$0" ]; do sleep 0.1; done; exec "$@"'
            os.spawnvp(os.P_NOWAIT, "sh", ["sh", "-c", wait, gate + ".sbatch", *command])
            die()
        return super().sbatch(command)

used = profile(conf, Path(gate))
at = coordinator(Workdir(Path(folder)), used)
at = replace(at, cluster=Dying(used, **TIMES))
add_grid(at, [noop(f"{number:04x}aa") for number in range(int(runs))])
turn(at)
"""


@pytest.mark.parametrize(("moment", "sends"), [("before", 1), ("in", 0), ("after", 0)])
def test_a_coordinator_killed_while_submitting_sends_once(
    start: Start, dev: DevCluster, tmp_path: Path, moment: str, sends: int
) -> None:
    runs = ARRAY_LIMIT
    environment = {**dev.environment, "PYTHONPATH": f"{TESTS}:{TESTS / 'slurm'}"}
    folder, gate = tmp_path / "work", tmp_path / "gate"
    gate.touch()
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, dev.environment["SLURM_CONF"], gate, folder, moment, str(runs)],
        env=environment, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    sweep = start(runs, times={"settled_seconds": 600.0})
    (unsent,) = sweep.at.store.unsent()
    sweep.turn()
    if moment != "after":
        assert "may still be on its way" in sweep.problems  # nothing is concluded yet
        assert sweep.at.store.unsent() == [unsent]
    if moment == "before":  # it has had its time by now
        sweep = start(runs, times={"settled_seconds": 0.0})
    gate.with_name("gate.sbatch").touch()
    sweep.until(lambda: not sweep.at.store.unsent())
    tags = {job.tag for job in sweep.at.store.live_jobs()}
    assert len(dev.queue("--name", ",".join(tags))) == len(dev.queue()) == runs
    gate.unlink()
    sweep.finish()
    sweep.assert_nothing_lost_or_done_twice(runs)
    assert sweep.at.cluster.requests.notes.counts.get("sbatch", 0) - (moment == "after") == sends


@pytest.mark.slow
def test_nothing_is_concluded_while_the_controller_is_down(start: Start, dev: DevCluster) -> None:
    sweep = start(8)
    sweep.shut()
    sweep.turn()
    sweep.until(lambda: len(dev.queue("--states=R")) == 8)
    dev.script("stop", "slurmctld")
    try:
        sweep.until(lambda: "squeue does not answer" in sweep.problems)
        assert len(sweep.at.store.live_jobs()) == 8
        assert sweep.count(State.PENDING) == 0
        sweep.open()  # workers need no controller
        sweep.until(lambda: sweep.count(State.COMPLETED) == 8)
        assert len(sweep.at.store.live_jobs()) == 8
    finally:
        dev.script("start", "slurmctld")
    sweep.until(lambda: not sweep.at.store.live_jobs())
    sweep.assert_nothing_lost_or_done_twice(8)


def test_a_submission_waits_while_the_controller_is_down(start: Start, dev: DevCluster) -> None:
    sweep = start(2)
    assert sweep.at.cluster.array_limit() == ARRAY_LIMIT
    dev.script("stop", "slurmctld")
    try:
        sweep.turn()
        assert "does not answer" in sweep.problems or "had no answer" in sweep.problems
    finally:
        dev.script("start", "slurmctld")
    sweep.finish()
    sweep.assert_nothing_lost_or_done_twice(2)


def test_a_controller_that_was_never_reached_is_the_reason_to_wait_and_no_quota_is(
    start: Start, dev: DevCluster
) -> None:
    sweep = start(2)
    dev.script("stop", "slurmctld")
    try:
        waiting = sweep.turn().decision.waiting
        assert set(waiting.values()) == {"the cluster does not answer"}
        assert "scontrol does not answer" in sweep.problems
    finally:
        dev.script("start", "slurmctld")
    sweep.finish()
    sweep.assert_nothing_lost_or_done_twice(2)


def test_jobs_that_left_squeue_wait_for_an_accounting_that_is_down(start: Start, dev: DevCluster) -> None:
    sweep = start(2)
    sweep.shut()
    sweep.turn()
    (tag,) = {job.tag for job in sweep.at.store.live_jobs()}
    sweep.until(lambda: len(dev.queue("--states=R")) == 2)
    dev.script("stop", "slurmdbd")
    try:
        dev.ask("scancel", *sweep.external_ids)
        eventually(lambda: not dev.queue("--states=all", "--name", tag))
        sweep.until(lambda: "sacct does not answer" in sweep.problems)
        assert len(sweep.at.store.live_jobs()) == 2
    finally:
        dev.script("start", "slurmdbd")
    sweep.until(lambda: sweep.count(State.CANCELLED) == 2)


def test_a_job_that_the_controller_has_forgotten_is_done_again(start: Start, dev: DevCluster) -> None:
    sweep = start(1)
    sweep.shut()
    sweep.turn()
    (tag,) = {job.tag for job in sweep.at.store.live_jobs()}
    sweep.until(lambda: len(dev.queue("--states=R")) == 1)
    dev.script("stop", "slurmctld")
    for lost in (
        "job_state",
        "job_state.old",
        "clustername",
    ):  # with its name known, Slurm 26.05 would not start
        (dev.home / "state" / lost).unlink(missing_ok=True)
    with (dev.home / "slurm.conf").open("a") as conf:
        conf.write("FirstJobId=100000\n")  # nodes refuse a number that they have seen
    dev.script("start", "slurmctld")
    sweep.until(lambda: outcomes(sweep, tag))
    sweep.open()
    ((outcome, evidence),) = outcomes(sweep, tag)
    assert outcome == Outcome.UNKNOWN
    assert "sacct: CANCELLED, " in evidence  # the controller gave up all that it had forgotten
    sweep.finish()


def test_people_are_told_of_jobs_that_slurm_holds(start: Start) -> None:
    sweep = start(2, resource=Resource(sbatch=("--hold",), max_minutes=10))
    sweep.until(lambda: "2 jobs are held in Slurm (JobHeldUser)" in sweep.problems)


def test_a_job_that_nobody_has_ever_heard_of_is_given_up_after_a_while(start: Start) -> None:
    sweep = start(1, times={"vanished_seconds": 1.0})
    job = JobRow(tag="sgonz-0000-000001", element=0, sequence=1, external_id="66999999_0")
    assert sweep.at.cluster.poll([job]) == {}
    report = eventually(lambda: sweep.at.cluster.poll([job]))[(job.tag, 0)]
    assert report.status is JobStatus.GONE
    assert report.outcome is Outcome.UNKNOWN
    assert "neither squeue nor sacct" in report.evidence


@pytest.mark.slow
def test_a_lost_node_costs_no_run(start: Start, dev: DevCluster) -> None:
    sweep = start(2, resource=Resource(gres="gpu:a100:4", max_minutes=10))
    sweep.shut()
    sweep.turn()
    array = sweep.external_ids[0].split("_")[0]
    sweep.until(lambda: len(dev.queue("--states=R")) == 2)
    dev.script("kill", "n2")
    try:
        sweep.until(lambda: len(dev.queue("--job", array, "--states=PD")) == 1)
        lost = dev.queue("--job", array, "--states=PD")
    finally:
        dev.script("start", "n2")
    sweep.open()
    restart_soon(dev, *lost)
    sweep.finish(patience=200)
    assert sweep.count(State.COMPLETED) == 2
