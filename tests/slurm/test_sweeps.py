"""Sweeps on a real Slurm cluster: what is sent, what its limits do, what a look at it costs."""

from __future__ import annotations

import getpass
from itertools import chain
from pathlib import Path

import msgspec
import pytest
from job_folders import noop
from slurm_sweeps import ARRAY_LIMIT, FEW, DevCluster, Start

from sgonz.cluster.profile import Resource
from sgonz.errors import UserError
from sgonz.plan.runs import Outcome, State


def test_an_array_is_sent_with_one_request_and_done_on_both_nodes(start: Start, dev: DevCluster) -> None:
    sweep = start(8)
    sweep.shut()
    sweep.turn()
    (tag,) = {job.tag for job in sweep.at.store.live_jobs()}
    assert not list(
        (sweep.at.workdir.root / "runs").iterdir()
    )  # a submission is a few files; workers make the rest
    sweep.until(lambda: len(dev.queue("--name", tag, "--states=R")) == 8)
    nodes = dev.ask("squeue", "-h", "-r", "--name", tag, "-o", "%N").split()
    assert set(nodes) == {"n1", "n2"}
    sweep.open()
    sweep.finish()
    sweep.assert_nothing_lost_or_done_twice(8)
    assert sweep.at.cluster.requests.notes.counts["sbatch"] == 1


def test_distinct_gpus_are_given_to_the_jobs_of_a_node(start: Start, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    say = f'echo "$SLURMD_NODENAME $CUDA_VISIBLE_DEVICES" >> {seen}'
    together = f"until [ $(wc -l < {seen}) -ge 4 ]; do sleep 0.1; done"
    sweep = start(4, resource=Resource(gres="gpu:a100:2", max_minutes=10), setup=(say, together))
    sweep.finish()
    assert sorted(seen.read_text().splitlines()) == ["n1 0,1", "n1 2,3", "n2 0,1", "n2 2,3"]


@pytest.mark.parametrize("over", [-2, -1, 0, 1, 2 * ARRAY_LIMIT + 1])
def test_submissions_are_split_at_the_array_limit(start: Start, dev: DevCluster, over: int) -> None:
    runs = ARRAY_LIMIT + over
    sweep = start(runs)
    sweep.shut()
    sweep.turn()
    live = sweep.at.store.live_jobs()
    sent = [dev.queue("--name", tag) for tag in dict.fromkeys(job.tag for job in live)]
    assert len(live) == runs
    assert len(sent) == -(-runs // ARRAY_LIMIT) == sweep.at.cluster.requests.notes.counts["sbatch"]
    assert sorted(chain(*sent)) == sorted(sweep.external_ids)
    assert not sweep.problems


def test_a_quota_is_met_by_waves_and_never_run_against(start: Start, dev: DevCluster) -> None:
    sweep = start(3 * FEW, resource=Resource(qos="few", max_minutes=10))
    sweep.turn()
    assert sweep.turns[-1].sent == FEW
    assert "held by quota" in sweep.turns[-1].decision.waiting.values()
    sweep.finish()
    sweep.assert_nothing_lost_or_done_twice(3 * FEW)
    assert not sweep.problems


def test_a_limit_on_a_group_is_read_like_one_on_a_user(start: Start, dev: DevCluster) -> None:
    change = ("sacctmgr", "-i", "modify", "qos", "few", "set")
    dev.ask(*change, f"GrpSubmitJobs={FEW - 1}")
    try:
        sweep = start(FEW, resource=Resource(qos="few", max_minutes=10))
        assert sweep.at.cluster.free_slots([]) == FEW - 1
    finally:
        dev.ask(*change, "GrpSubmitJobs=-1")


def test_a_limit_on_an_account_holds_for_its_users_and_one_on_jobs_that_run_is_waited_for(
    start: Start, dev: DevCluster
) -> None:
    account = ("sacctmgr", "-i", "modify", "account", "dev", "set")
    user = ("sacctmgr", "-i", "modify", "user", getpass.getuser(), "set")
    dev.ask(*account, "GrpSubmitJobs=3")  # sbatch refuses a fourth job of the account
    dev.ask(*user, "MaxJobs=1")  # the others are taken, and wait
    try:
        sweep = start(5)
        sweep.turn()
        assert sweep.turns[-1].sent == 3
        sweep.finish()
        sweep.assert_nothing_lost_or_done_twice(5)
        assert not sweep.problems
    finally:
        dev.ask(*account, "GrpSubmitJobs=-1")
        dev.ask(*user, "MaxJobs=-1")


def test_a_job_of_another_cluster_with_the_same_number_is_left_alone(start: Start, dev: DevCluster) -> None:
    sweep = start(1, resource=Resource(sbatch=("--hold",), max_minutes=10))
    sweep.turn()
    (ours,) = sweep.at.store.live_jobs()
    assert ours.external_id is not None
    number, _, cluster = ours.external_id.partition("@")
    assert (number, cluster) == (dev.queue()[0], "dev")
    theirs = msgspec.structs.replace(ours, tag="sgonz-0000-000009", external_id=f"{number}@elsewhere")
    older = msgspec.structs.replace(ours, tag="sgonz-0000-000008", external_id=number)
    at = sweep.at.cluster
    assert {tag for tag, _ in at.poll([ours, theirs, older])} == {ours.tag, older.tag}
    assert "1 job is in cluster elsewhere; turns with its profile follow what is there" in at.remarks()
    assert at.explain(theirs) is None
    assert at.used([f"{number}@elsewhere"]) == {}
    at.cancel([theirs])
    assert dev.queue() == [number]
    at.cancel([ours])
    sweep.until(lambda: not sweep.at.store.live_jobs())


def test_other_jobs_of_the_user_count_against_the_quota(start: Start, dev: DevCluster) -> None:
    other = dev.ask(
        "sbatch", "--parsable", "--qos=few", "--hold", "--output=/dev/null", "--array=0-2", "--wrap=true"
    )
    try:
        sweep = start(4, resource=Resource(qos="few", max_minutes=10))
        sweep.turn()
        assert sweep.turns[-1].sent == FEW - 3
    finally:
        dev.ask("scancel", other.strip())
    sweep.finish()
    sweep.assert_nothing_lost_or_done_twice(4)
    assert not sweep.problems


def test_a_refusal_for_quota_is_a_state_and_loses_nothing(start: Start, dev: DevCluster) -> None:
    sweep = start(FEW, resource=Resource(qos="few", max_minutes=10), requests_per_minute=4)
    assert sweep.at.cluster.free_slots([]) == FEW  # before the budget is used up, and somebody else is faster
    other = dev.ask(
        "sbatch", "--parsable", "--qos=few", "--hold", "--output=/dev/null", "--array=0-2", "--wrap=true"
    )
    try:
        sweep.turn()
        assert sweep.turns[-1].sent == 0
        assert "held by quota: sbatch: error: QOSMaxSubmitJobPerUserLimit" in sweep.problems
        assert sweep.count(State.PENDING) == FEW
        assert not sweep.at.store.live_jobs()
        assert not list(sweep.at.workdir.jobs.iterdir())
    finally:
        dev.ask("scancel", other.strip())
    sweep.finish()
    sweep.assert_nothing_lost_or_done_twice(FEW)


def test_what_slurm_will_never_take_is_an_error_that_says_so(start: Start) -> None:
    sweep = start(2, resource=Resource(partition="nowhere", max_minutes=10))
    with pytest.raises(UserError, match="invalid partition specified: nowhere"):
        sweep.turn()
    assert sweep.count(State.PENDING) == 2
    assert not sweep.at.store.unsent()


def test_resource_classes_are_sent_apart(start: Start, dev: DevCluster) -> None:
    resources = {"small": Resource(max_minutes=10), "large": Resource(gres="gpu:a100:2", max_minutes=20)}
    sweep = start(2, resources=resources, assign={"default": "small", "none": "large"})
    sweep.shut()
    sweep.turn()
    (tag,) = {job.tag for job in sweep.at.store.live_jobs()}
    # Slurm 22.05 writes gres:gpu, later ones gres/gpu.
    listed = dev.ask("squeue", "-h", "-r", "--name", tag, "-o", "%l %b").replace("gres/", "gres:")
    assert set(listed.splitlines()) == {"20:00 gres:gpu:a100:2"}


def test_nothing_from_a_sweep_reaches_a_shell(start: Start, tmp_path: Path) -> None:
    stolen = tmp_path / "stolen"
    evil = f"a \"b\" 'c' $(touch {stolen}) `touch {stolen}` ; touch {stolen}\ntouch {stolen} %j %a"
    plain = [noop("aa01"), noop("bb02")]
    runs = [
        msgspec.structs.replace(
            run,
            model=msgspec.structs.replace(run.model, name=evil),
            dataset=msgspec.structs.replace(run.dataset, name=evil),
        )
        for run in plain
    ]
    sweep = start(runs, folder="a \"b\" 'c' $(touch stolen) `touch stolen`;\ntouch stolen %j %a")
    sweep.finish()
    sweep.assert_nothing_lost_or_done_twice(2)
    (script,) = sweep.at.workdir.jobs.glob("*/submission.sh")
    assert {path.name for path in script.parent.glob("*.out")} == {"0.out", "1.out"}
    assert {path.name for path in tmp_path.iterdir()} == {sweep.at.workdir.root.name}
    assert not list(Path().glob("*stolen*"))


def test_a_failing_setup_line_ends_the_job_and_counts_against_its_runs(start: Start) -> None:
    sweep = start(1, setup=("echo before # a comment", "module-that-is-not-there", "echo after"))
    sweep.until(lambda: sweep.rows[0].failures == 1)
    (attempt,) = sweep.rows
    assert attempt.last_outcome is Outcome.FAILED
    (output,) = sweep.at.workdir.jobs.glob("*/0.out")
    assert "before" in output.read_text()
    assert "after" not in output.read_text()


def test_a_look_costs_one_squeue_and_at_most_one_sacct(start: Start) -> None:
    sweep = start(20)
    sweep.finish()
    sweep.until(lambda: not sweep.at.store.live_jobs())
    counts = sweep.at.cluster.requests.notes.counts
    looks = len(sweep.turns)
    assert counts["squeue"] <= looks
    assert counts.get("sacct", 0) <= looks
    assert counts["scontrol"] <= 2
    assert counts["sacctmgr"] <= 4  # once: user, accounts, default, QOS


def test_looks_stay_within_the_request_budget(start: Start) -> None:
    sweep = start(4, requests_per_minute=1)  # used up for minutes: nothing is looked at before all is done
    sweep.turn()
    requests = sweep.at.cluster.requests
    assert requests.per_minute() == sum(requests.notes.counts.values())
    sweep.finish()  # events alone say so
    assert requests.notes.counts.get("squeue", 0) == 0
