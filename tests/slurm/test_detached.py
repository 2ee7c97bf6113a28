"""Sweeps that nobody watches: jobs make the turns, one after the other, and none is left when all is done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from job_folders import eventually
from slurm_sweeps import FEW, DevCluster, Start, Sweeping

from sgonz.cluster.profile import AdvanceTable, Resource
from sgonz.commands.advancing import turns
from sgonz.coordinator import detached
from sgonz.plan.runs import State
from sgonz.sample import make

HELD = AdvanceTable(sbatch=("--hold",))  # an advance job that stays where it can be looked at
TINY = """
name = "tiny"
datasets = ["pos"]
evaluate = false
[sample]
size = 40
[finetune]
models = ["sample-bert", "sample-albert"]
max_length = 32
grid.epochs = 1
grid.batch_size = 16
grid.learning_rate = [1e-3]
[models.student]
cut_from = "sample-albert"
layers = 2
[distill]
students = ["student"]
max_length = 32
epochs = 1
patience = 1
grid.batch_size = 16
grid.learning_rate = [1e-3]
"""
PROFILE = """
scheduler = "slurm"
requests_per_minute = 10000
environment = {{ SLURM_CONF = "{conf}" }}
setup = ["export OMP_NUM_THREADS=1"]
[resources.a100]
max_minutes = 30
[advance]
every_seconds = 1
"""


def settle(sweep: Sweeping, *, finished: bool = False, detach: bool = True) -> None:
    name = sweep.at.sweep.name
    detached.settle(sweep.at, {name: finished}, detach={name: "dev"} if detach else {})


def advance_jobs(sweep: Sweeping) -> list[str]:
    """Ids of this work folder's advance jobs that wait or run."""
    listing = sweep.dev.ask("squeue", "-h", "-o", "%i %j").splitlines()
    return [
        line.split()[0] for line in listing if line.split()[1].startswith(detached.stem(sweep.at.workdir))
    ]


@pytest.mark.slow
def test_a_detached_sweep_goes_through_both_stages_with_nobody_there(dev: DevCluster, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY)
    (tmp_path / "mine.toml").write_text(PROFILE.format(conf=dev.environment["SLURM_CONF"]))
    work = tmp_path / "the work"
    make(work / "sample" / "1-40", seed=1, size=40)
    sgonz = [sys.executable, "-m", "sgonz"]
    inside = {"cwd": tmp_path, "env": {**os.environ, "SGONZ_WORKDIR": str(work)}, "text": True}
    told = subprocess.run([*sgonz, "submit", "tiny.toml", "--cluster", "mine.toml", "--detach", "--format", "json"],
                          capture_output=True, check=True, **inside)  # fmt: skip
    assert json.loads(told.stdout)["detached"]["job"].isdecimal()
    eventually(lambda: json.loads((work / "advance.json").read_bytes())["sweeps"] == {}, patience=600)
    eventually(lambda: not dev.queue())
    status = json.loads(subprocess.check_output([*sgonz, "status", "--format", "json"], **inside))
    assert status["finished"]
    assert status["detached"] is None
    assert status["runs"] == {"COMPLETED": status["attempts"]}
    assert set(status["kinds"]) == {"finetune", "logits", "distill"}
    eventually(
        lambda: not any(str(work).encode() in read(path) for path in Path("/proc").glob("[0-9]*/cmdline"))
    )


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_one_job_waits_for_the_first_end_and_another_is_queued_only_after_it(start: Start) -> None:
    sweep = start(2, advance=HELD)
    sweep.shut()
    sweep.turn()
    settle(sweep)
    (first,) = advance_jobs(sweep)
    awaited = sweep.dev.ask("squeue", "-h", "-j", first, "-o", "%E").split("?")
    assert [each.split("(")[0] for each in awaited] == [f"afterany:{job}" for job in sweep.external_ids]
    settle(sweep, detach=False)
    assert advance_jobs(sweep) == [first]
    sweep.dev.ask("scancel", first)  # however it ended: the next turn, made by anybody, queues another one
    eventually(lambda: not advance_jobs(sweep))
    settle(sweep, detach=False)
    (second,) = advance_jobs(sweep)
    assert detached.told(sweep.at.workdir, sweep.at.sweep.name)["job"] == second != first
    settle(sweep, finished=True, detach=False)
    eventually(lambda: not advance_jobs(sweep))
    assert detached.told(sweep.at.workdir, sweep.at.sweep.name) is None


def test_an_advance_job_that_is_not_the_current_one_leaves(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = start(1, advance=HELD)
    settle(sweep)
    names = [detached.tag(sweep.at.workdir, number) for number in (0, 1)]
    left_behind = []
    for name in names:
        monkeypatch.setenv("SLURM_JOB_NAME", name)
        left_behind.append(detached.is_left_behind(sweep.at.workdir))
    assert left_behind == [True, False]
    settle(sweep, detach=False)  # from inside the current one: its successor
    assert len(advance_jobs(sweep)) == 2
    assert detached.is_left_behind(sweep.at.workdir)
    monkeypatch.delenv("SLURM_JOB_NAME")
    sweep.dev.ask("scancel", *advance_jobs(sweep))


def test_a_site_that_takes_no_such_job_is_told_of_other_ways(start: Start) -> None:
    sweep = start(1, advance=AdvanceTable(partition="nowhere"))
    with pytest.raises(detached.NotQueued, match="invalid partition specified: nowhere") as refusal:
        settle(sweep)
    assert "sgonz watch --advance" in refusal.value.hint
    facts = detached.told(sweep.at.workdir, sweep.at.sweep.name)
    assert facts["job"] is None
    assert "nowhere" in facts["problem"]


def test_a_quota_leaves_room_for_the_advance_job(start: Start) -> None:
    advance = AdvanceTable(qos="few", sbatch=("--hold",))
    sweep = start(FEW + 1, resource=Resource(qos="few", max_minutes=10), advance=advance)
    sweep.shut()
    detached.prepare(sweep.at)
    assert sweep.turn().sent == FEW - 1
    settle(sweep)
    assert len(advance_jobs(sweep)) == 1
    settle(sweep, finished=True)
    sweep.open()


def test_turns_are_made_again_and_again_until_the_sweep_is_done(start: Start) -> None:
    sweep = start(2)
    assert [last.decision.finished for last in turns(sweep.at, 0.2)].count(True) == 1
    assert sweep.count(State.COMPLETED) == 2


def test_what_a_sweep_waits_for_by_the_clock_is_not_left_to_a_job(start: Start) -> None:
    sweep = start(2, setup=("false",), advance=HELD)
    sweep.until(lambda: any(row.failures for row in sweep.rows) and not sweep.at.store.live_jobs())
    sweep.turn()
    settle(sweep)
    (job,) = advance_jobs(sweep)
    assert sweep.dev.ask("squeue", "-h", "-j", job, "-o", "%E").strip() == "(null)"
    settle(sweep, finished=True)
