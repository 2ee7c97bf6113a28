"""Steering on this machine, with real workers and, where it matters, with runs that really fail."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from idle_sweep import idle_sweep
from job_folders import eventually

from sgonz.cluster.local import LocalCluster
from sgonz.commands.explaining import of_gate
from sgonz.control import steering
from sgonz.control.invalidating import invalidate
from sgonz.control.runs import add_grid, cancel, retry
from sgonz.coordinator import generations
from sgonz.coordinator.coordinator import Coordinator
from sgonz.coordinator.turn import look, turn
from sgonz.plan.expand import finetune_runs
from sgonz.plan.runs import State
from sgonz.rebuild import rebuild
from sgonz.rundir import Workdir, last_claim
from sgonz.store.store import Store
from sgonz.workdir import codebase, recall

SWEEP = """
name = "wrong"
datasets = ["pos"]
[sample]
size = 60
[models.broken]
path = "broken"
[finetune]
models = ["broken"]
max_length = 64
grid.batch_size = [16, 32]
grid.learning_rate = { from = 1e-4, to = 1e-3, num = 100 }
grid.epochs = 1
[retry]
delay_seconds = 0.1
"""


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Coordinator]:
    with idle_sweep(tmp_path) as made:
        yield made


def gate(at: Coordinator) -> Path:
    return at.workdir.root.parent / "gate"


def finish(at: Coordinator) -> None:
    eventually(lambda: turn(at).decision.finished)


def states(at: Coordinator) -> dict[str, State]:
    return {row.run_id: row.state for row in at.store.snapshot(at.sweep_id)}


def test_what_is_drained_is_not_begun_and_counts_against_nobody(at: Coordinator) -> None:
    gate(at).touch()
    turn(at)
    assert set(states(at).values()) == {State.SUBMITTED}
    steering.say(at, "drain")
    steering.say(at, "drain")  # said again, it changes nothing
    assert len(at.store.orders(at.sweep_id).said) == 1
    gate(at).unlink()
    eventually(lambda: turn(at) and not at.store.live_jobs())
    assert set(states(at).values()) == {State.PENDING}
    assert all((row.attempts, row.interruptions) == (0, 0) for row in at.store.snapshot())
    steering.say(at, "resume")
    finish(at)


def test_a_drain_that_is_taken_back_in_time_costs_nothing(at: Coordinator) -> None:
    gate(at).touch()
    turn(at)
    steering.say(at, "drain")
    (folder,) = at.workdir.jobs.iterdir()
    assert len(recall.read(folder)) == 4
    steering.say(at, "resume")
    assert not recall.read(folder)
    gate(at).unlink()
    finish(at)
    assert len(at.store.tags()) == 1


def test_a_worker_that_waits_for_more_takes_no_more_after_a_drain(at: Coordinator) -> None:
    lingering = msgspec.structs.replace(at.profile, linger_seconds=3600.0)
    at = replace(at, profile=lingering, cluster=LocalCluster(lingering))
    eventually(lambda: turn(at) and set(states(at).values()) == {State.COMPLETED})
    assert at.store.live_jobs()
    steering.say(at, "drain")
    eventually(lambda: turn(at) and not at.store.live_jobs())


def test_nothing_is_sent_over_the_budget_until_somebody_gives_more(at: Coordinator) -> None:
    steering.change(at, {"gpu_hours": 0.0001})
    last = turn(at)
    assert last.decision.stuck
    assert last.answer["budget"]["used"] == 0
    assert all("budget: 0 of 0.0001 GPU-hours are used" in why for why in last.answer["waiting"])
    steering.change(at, {"gpu_hours": 1.0})
    finish(at)
    assert 0 < turn(at).answer["budget"]["used"] < 1


def test_a_gate_is_explained_by_what_it_waits_for(at: Coordinator) -> None:
    grid = finetune_runs(at.sweep, at.sources)
    add_grid(at, grid)
    steering.say(at, "pause", where="model = beto")
    steering.say(at, "drain", where="model = albeto")
    rows, decision = look(at)
    told = of_gate("pos", rows, decision)
    assert (told["gate"], told["teacher"], told["runs"], told["not_done"]) == (
        "shut: its grid is not done",
        None,
        4,
        4,
    )
    assert {why.split()[0]: count for why, count in told["waiting"].items()} == {"paused": 2, "drained": 2}
    steering.say(at, "pause")


def test_orders_are_restored_from_the_journal(at: Coordinator) -> None:
    steering.say(at, "pause", where="dataset = pos", reason="a talk")
    steering.change(at, {"max_gpus": 4})
    before = at.store.orders(at.sweep_id)
    rebuild(at.store, at.workdir)
    assert at.store.orders(at.store.sweeps()[0].id) == before
    assert before.max_gpus == 4


def test_a_sweep_file_that_was_edited_is_not_let_go_by_that(at: Coordinator) -> None:
    steering.say(at, "pause", reason="a talk")
    steering.change(at, {"max_jobs": 2})
    edited = at.store.add_sweep(
        name=at.sweep.name, text="", spec_json='{"b":1}', cluster="here", time=2.0, provenance={}
    )
    other = at.store.add_sweep(name="other", text="", spec_json="{}", cluster="here", time=3.0, provenance={})
    assert edited != at.sweep_id
    assert steering.spoken(at.store.orders(edited)) == [
        "paused by hand: all runs; `sgonz resume` goes on", "max_jobs = 2; `sgonz set` changes it"
    ]  # fmt: skip
    assert steering.spoken(at.store.orders(other)) == []


@pytest.mark.parametrize("moment", ["before anything moved", "half moved", "all done"])
def test_invalidating_is_finished_by_whoever_comes_next(
    at: Coordinator, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    finish(at)
    teacher = next(row for row in at.store.snapshot() if row.run_id == "aaaa1111")
    run = at.workdir.run(teacher.run_id)
    (run.checkpoint / "x").mkdir(parents=True)
    moves, real = [], os.replace

    def dying(source: Path, target: Path) -> None:
        moves.append(source)
        if (moment == "before anything moved") or (moment == "half moved" and len(moves) == 2):
            raise KeyboardInterrupt
        real(source, target)

    if moment != "all done":
        with monkeypatch.context() as patch:
            patch.setattr(generations.os, "replace", dying)
            with pytest.raises(KeyboardInterrupt):
                invalidate(at, [teacher], "wrong labels")
    else:
        invalidate(at, [teacher], "wrong labels")
    finish(at)
    rows = {row.run_id: row for row in at.store.snapshot()}
    assert {run_id: row.generation for run_id, row in rows.items()} == {
        "aaaa1111": 2, "bbbb2222": 2, "cccc3333": 1, "dddd4444": 1
    }  # fmt: skip
    assert (run.root / "generations/1/output/scores.json").exists()
    assert (run.root / "generations/1/checkpoint/x").exists()
    assert run.result.exists()
    claimed = last_claim(run)
    assert claimed is not None
    assert claimed.attempt == rows["aaaa1111"].attempts == 3  # the fence was the second


SPOKEN: dict[str, Callable[[Coordinator], object]] = {
    "pause": lambda at: steering.say(at, "pause", reason="a doubt"),
    "drain": lambda at: steering.say(at, "drain", where="kind = noop"),
    "resume": lambda at: steering.say(at, "resume"),
    "set": lambda at: steering.change(at, {"max_jobs": 1}),
    "retry": lambda at: retry(at, at.store.snapshot(at.sweep_id)),
    "cancel": lambda at: cancel(at, at.store.snapshot(at.sweep_id)),
}


@pytest.mark.parametrize("word", SPOKEN)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_word_whose_command_was_killed_half_way_is_said_again_and_counts_once(
    at: Coordinator, monkeypatch: pytest.MonkeyPatch, word: str, moment: str
) -> None:
    """Killed around the write into the store: the journal has it, and saying it again comes to the same."""
    if word == "retry":
        cancel(at, at.store.snapshot(at.sweep_id)[:2])
    elif word == "resume":
        steering.say(at, "pause")
    with monkeypatch.context() as patch:
        for name in ("set_orders", "set_state"):
            real = getattr(type(at.store), name)

            def dying(store: Store, *given: object, real: Any = real, **named: object) -> None:
                if moment == "after":
                    real(store, *given, **named)
                raise KeyboardInterrupt

            patch.setattr(type(at.store), name, dying)
        with pytest.raises(KeyboardInterrupt):
            SPOKEN[word](at)
    lines = [json.loads(line) for line in at.workdir.journal.read_bytes().splitlines()]
    assert word in {line["type"] for line in lines}
    SPOKEN[word](at)
    once = at.store.orders(at.sweep_id), states(at)
    SPOKEN[word](at)
    again = at.store.orders(at.sweep_id)
    assert [(said.what, said.where) for said in again.said] == [
        (said.what, said.where) for said in once[0].said
    ]
    assert (again.max_jobs, states(at)) == (once[0].max_jobs, once[1])
    assert len(again.said) <= 1
    wanted = {"cancel": State.CANCELLED}.get(word, State.PENDING)
    assert set(states(at).values()) == {wanted}


def test_a_result_of_an_earlier_generation_that_is_told_late_does_not_count(at: Coordinator) -> None:
    finish(at)
    eventually(lambda: turn(at) and not at.store.live_jobs())
    teacher = next(row for row in at.store.snapshot() if row.run_id == "aaaa1111")
    late = msgspec.structs.replace(at.workdir.run("aaaa1111").read_result(), adopted=True)
    steering.say(at, "pause")
    invalidate(at, [teacher], "wrong labels")
    at.store.apply("jobs/x/events/0.0.jsonl", [late], 10, tag="x", element=0)
    assert states(at)["aaaa1111"] is State.PENDING


def test_code_edited_while_a_job_waits_changes_nothing_in_it(at: Coordinator, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout" / "sgonz"
    shutil.copytree(codebase.PACKAGE, checkout, ignore=shutil.ignore_patterns("__pycache__"))
    worker = checkout / "train" / "worker.py"
    worker.write_text(worker.read_text().replace("import os\n", 'import os\nprint("as it was sent")\n', 1))
    at = replace(at, code=codebase.keep(at.workdir, checkout))
    assert codebase.keep(at.workdir, checkout) == at.code  # once for each content
    gate(at).touch()
    turn(at)
    worker.write_text('raise SystemExit("edited")\n')
    gate(at).unlink()
    finish(at)
    for output in at.workdir.jobs.glob("*/*.out"):
        assert "as it was sent" in output.read_text()
    started = at.store.query("SELECT versions FROM jobs")[1]
    assert all(json.loads(versions)["code"] == at.code for (versions,) in started)


def test_copies_of_code_that_nobody_needs_are_removed_in_time(tmp_path: Path) -> None:
    workdir = Workdir(tmp_path / "work")
    package = tmp_path / "sgonz"
    package.mkdir()
    (package / "a.py").write_text("a = 1\n")
    old = codebase.keep(workdir, package)
    (package / "a.py").write_text("a = 2\n")
    new = codebase.keep(workdir, package)
    assert old is not None
    assert new is not None
    assert new != old
    codebase.tidy(workdir, {new})
    assert codebase.folder_of(workdir, old).exists()  # a job may still wait for it
    os.utime(codebase.folder_of(workdir, old), (0, time.time() - 2 * codebase.UNUSED_SECONDS))
    os.utime(codebase.folder_of(workdir, new), (0, time.time() - 2 * codebase.UNUSED_SECONDS))
    codebase.tidy(workdir, {new})
    assert not codebase.folder_of(workdir, old).exists()
    assert codebase.folder_of(workdir, new).exists()


def sgonz(work: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "sgonz", *arguments], capture_output=True, text=True, check=False,
                          cwd=work.parent, env={**os.environ, "SGONZ_WORKDIR": str(work)})  # fmt: skip


@pytest.mark.slow
def test_two_hundred_runs_with_a_wrong_setting_cost_one_canary(tmp_path: Path) -> None:
    """Of one shape; their model's weights cannot be read."""
    from sgonz.sample import make

    work = tmp_path / "work"
    make(work / "sample" / "1-60", seed=1, size=60)
    whole = next(path for path in (work / "sample").rglob("sample-albert") if path.is_dir())
    shutil.copytree(whole, tmp_path / "broken")
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"rubbish" * 1000)
    (tmp_path / "wrong.toml").write_text(SWEEP)

    done = sgonz(work, "run", "wrong.toml")
    assert done.returncode == 1, done.stderr
    assert "199 runs wait for you: held: the canary" in done.stderr
    status = json.loads(sgonz(work, "status", "--format", "json").stdout)
    assert status["runs"] == {"PENDING": 199, "FAILED": 1}
    (group,) = json.loads(sgonz(work, "failures", "--format", "json").stdout)
    assert (group["runs"], group["unsolved"]) == (1, 1)
    assert group["remedy"]
    failed = group["example"]

    listed = json.loads(
        sgonz(work, "pause", "--where", "learning_rate < 2e-4", "--dry-run", "--format", "json").stdout
    )
    assert 0 < len(listed) < 60
    for words in (
        ("set", "max_jobs=1", "--dry-run"),
        ("invalidate", failed, "--reason", "x", "--dry-run"),
        ("resume", "--dry-run"),
    ):
        assert sgonz(work, *words).returncode == 0
    assert sgonz(work, "set", "max_job=1").returncode == 2
    caps = sgonz(work, "set", "max_jobs=1", "--dry-run", "--format", "csv").stdout.splitlines()
    assert [line.split(",")[1:] for line in caps] == [["cap", "value"], ["max_jobs", "1"]]
    assert "nothing was said" in sgonz(work, "set").stderr
    journal = (work / "coordinator.jsonl").read_text()
    assert '"type":"pause"' not in journal
    assert '"set_orders"' not in journal

    shutil.copy(whole / "model.safetensors", tmp_path / "broken" / "model.safetensors")
    done = sgonz(work, "retry", "--signature", group["signature"], "--format", "json")
    assert [row["run_id"] for row in json.loads(done.stdout)] == [failed]
    explained = json.loads(sgonz(work, "explain", failed, "--format", "json").stdout)
    assert explained["reason"] == "ready; the next turn sends it"
