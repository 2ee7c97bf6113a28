"""A person steers a sweep on a real cluster: every word is written down, and holds until she takes it back."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
from job_folders import eventually, noop
from slurm_sweeps import FEW, DevCluster, Start, Sweeping

from sgonz.cluster.profile import Resource
from sgonz.commands.explaining import of_run
from sgonz.control import steering
from sgonz.control.failing import failures, retry_with_memory, with_signature
from sgonz.control.invalidating import invalidate
from sgonz.coordinator.turn import look
from sgonz.plan.runs import State
from sgonz.workdir import codebase


def said(sweep: Sweeping) -> list[str]:
    """What people asked for, as the journal tells it."""
    lines = [msgspec.json.decode(line) for line in sweep.at.workdir.journal.read_bytes().splitlines()]
    words = ("pause", "drain", "resume", "set", "invalidate", "retry")
    return [line["type"] for line in lines if line["type"] in words]


def reasons(sweep: Sweeping) -> dict[str, str | None]:
    rows, decision = look(sweep.at)
    return {row.run_id: of_run(sweep.at, row, rows, decision)["reason"] for row in rows}


def test_a_sweep_is_paused_drained_capped_and_resumed(start: Start, dev: DevCluster) -> None:
    sweep = start(8, runs_per_job=2)
    sweep.shut()
    steering.change(sweep.at, {"max_jobs": 2})
    sweep.turn()
    assert len(dev.queue()) == 2
    assert "cap: max_jobs = 2, and 2 jobs are out; `sgonz set` changes it" in reasons(sweep).values()

    steering.say(sweep.at, "pause", reason="maintenance")
    steering.change(sweep.at, {"max_jobs": 3})
    sweep.turn()
    assert len(dev.queue()) == 2
    held = "paused by hand (maintenance); `sgonz resume` goes on"
    assert list(reasons(sweep).values()).count(held) == 4

    steering.say(sweep.at, "drain")
    sweep.open()
    sweep.until(lambda: not sweep.at.store.live_jobs())  # they began nothing that was in their lists
    assert sweep.count(State.PENDING) == 8
    assert all(row.interruptions == 0 for row in sweep.rows)
    assert not sweep.turn().decision.finished

    steering.say(sweep.at, "resume")
    steering.change(sweep.at, {"max_jobs": None})
    sweep.finish()
    sweep.assert_nothing_lost_or_done_twice(8)
    assert said(sweep) == ["set", "pause", "set", "drain", "resume", "set"]


def test_a_cap_on_gpus_is_lowered_and_raised(start: Start, dev: DevCluster) -> None:
    sweep = start(4, resource=Resource(gres="gpu:a100:2", max_minutes=10))
    sweep.shut()
    steering.change(sweep.at, {"max_gpus": 5})
    sweep.turn()
    assert len(dev.queue()) == 2
    assert "cap: max_gpus = 5, and 4 are in use; `sgonz set` changes it" in reasons(sweep).values()
    steering.change(sweep.at, {"max_gpus": 1})  # stops nothing
    sweep.turn()
    assert len(dev.queue()) == 2
    steering.change(sweep.at, {"max_gpus": 8})
    sweep.turn()
    assert len(dev.queue()) == 4
    sweep.open()
    sweep.finish()
    sweep.assert_nothing_lost_or_done_twice(4)


def test_an_invalidated_teacher_takes_its_students_with_it_and_nothing_else(start: Start) -> None:
    family = [noop("aaaa1111"), noop("bbbb2222"), noop("cccc3333", "aaaa1111"), noop("dddd4444", "cccc3333")]
    sweep = start([*family, noop("eeee5555", "bbbb2222")], runs_per_job=None)
    sweep.finish()
    sweep.until(lambda: not sweep.at.store.live_jobs())
    before = {row.run_id: row for row in sweep.rows}
    teacher = [row for row in sweep.rows if row.run_id == "aaaa1111"]
    sweep.shut()
    again = invalidate(sweep.at, teacher, "wrong labels")
    assert [row.run_id for row in again] == ["aaaa1111", "cccc3333", "dddd4444"]
    assert {row.run_id: row.state for row in sweep.rows if row.run_id in ("bbbb2222", "eeee5555")} == {
        "bbbb2222": "COMPLETED", "eeee5555": "COMPLETED"
    }  # fmt: skip
    assert {row.reason for row in sweep.rows if row.state is State.PENDING} == {"invalidated: wrong labels"}
    kept = sweep.at.workdir.run("cccc3333").root / "generations/1/output/scores.json"
    assert kept.exists()
    sweep.open()
    sweep.finish()
    for row in sweep.rows:
        assert row.state is State.COMPLETED
        assert row.generation == (2 if row.run_id in {each.run_id for each in again} else 1)
        assert (row.attempts > before[row.run_id].attempts) == (row.generation == 2)
    assert said(sweep) == ["invalidate"]


def test_a_run_that_is_invalidated_at_work_is_left_by_its_worker_and_done_again(
    start: Start, dev: DevCluster
) -> None:
    sweep = start(2)
    sweep.shut()
    sweep.turn()
    sweep.until(lambda: len(dev.queue("--states=R")) == 2)
    (one, other) = sweep.rows
    invalidate(sweep.at, [one], "a doubt")
    sweep.turn()
    assert "invalidated while a job had it" in str(reasons(sweep)[one.run_id])
    sweep.open()
    sweep.finish()
    assert {row.run_id: row.generation for row in sweep.rows} == {one.run_id: 2, other.run_id: 1}
    assert sweep.count(State.COMPLETED) == 2


def test_a_failed_group_is_held_and_tried_again_with_more_memory(start: Start, dev: DevCluster) -> None:
    """Set-up fails in jobs that have less memory than it wants."""
    sweep = start(
        4,
        resource=Resource(memory_gb=1, max_minutes=10),
        setup=('test "$SLURM_MEM_PER_NODE" -ge 2000 || { echo "too little for us" >&2; false; }',),
    )
    sweep.until(lambda: not sweep.at.store.live_jobs() and sweep.turns[-1].decision.stuck)
    (group,) = failures(sweep.at, sweep.rows)
    assert (group.signature, group.runs, group.unsolved) == ("job ended FAILED", 4, 4)
    assert group.error.endswith(".out: too little for us")  # the job said why, and no run did
    assert "3 runs like it in a row" in str(reasons(sweep)) or "4 runs like it in a row" in str(
        reasons(sweep)
    )
    sent = sweep.at.cluster.requests.notes.counts["sbatch"]
    sweep.turn()
    assert sweep.at.cluster.requests.notes.counts["sbatch"] == sent  # waits for a person

    chosen = with_signature(sweep.at, sweep.rows, "job ended*")
    assert retry_with_memory(sweep.at, chosen, 2.0) == 4
    sweep.shut()
    sweep.turn()
    assert set(dev.ask("squeue", "-h", "-r", "-o", "%m").split()) == {"2G"}
    sweep.open()
    sweep.finish()
    sweep.assert_nothing_lost_or_done_twice(4)
    assert said(sweep) == ["retry"]


def test_slurms_own_reason_is_told_when_asked_for(start: Start) -> None:
    sweep = start(1, resource=Resource(sbatch=("--begin=now+1hour",), max_minutes=10))
    sweep.turn()
    sweep.until(lambda: "BeginTime" in str(reasons(sweep)))
    (why,) = reasons(sweep).values()
    assert str(why).startswith("in Slurm's queue: BeginTime (its begin time has not come")
    assert "expected to start 20" in str(why)


def test_a_wait_for_quota_and_one_for_a_node_are_told_apart(start: Start, dev: DevCluster) -> None:
    sweep = start(6, resource=Resource(qos="few", gres="gpu:a100:4", max_minutes=10))
    sweep.shut()
    sweep.turn()
    sweep.until(lambda: len(dev.queue("--states=R")) == 2)

    def waiting() -> list[str]:
        return [str(why) for why in reasons(sweep).values() if str(why).startswith("in Slurm's queue: ")]

    eventually(
        lambda: all("Resources" in why or "Priority" in why for why in waiting())
    )  # it has looked at them
    assert len(waiting()) == FEW - 2
    assert list(reasons(sweep).values()).count("held by quota") == 6 - FEW


def test_code_edited_while_a_job_waits_changes_nothing_in_it(
    start: Start, dev: DevCluster, tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout" / "sgonz"
    shutil.copytree(codebase.PACKAGE, checkout, ignore=shutil.ignore_patterns("__pycache__"))
    worker = checkout / "train" / "worker.py"
    text = worker.read_text()
    worker.write_text(text.replace("import os\n", 'import os\nprint("as it was sent")\n', 1))
    sweep = start(1)
    sweep.at = replace(sweep.at, code=codebase.keep(sweep.at.workdir, checkout))
    sweep.shut()
    sweep.turn()
    sweep.until(lambda: len(dev.queue("--states=R")) == 1)
    worker.write_text('raise SystemExit("edited")\n')
    assert codebase.keep(sweep.at.workdir, checkout) != sweep.at.code
    sweep.open()
    sweep.finish()
    (output,) = sweep.at.workdir.jobs.glob("*/0.out")
    assert "as it was sent" in output.read_text()
