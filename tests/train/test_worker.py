"""The worker as a process of its own, on runs that do nothing, that fail, and that hang in an open file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from job_folders import PATIENCE, ends, eventually, job_list, lay_out, noop, spec, told, write_job
from workers import TAG, Start, hanging, has, in_session, run_processes, started, tell, work

from sgonz.events import AnyEvent, EpochEnded, JobEnded, JobStarted, RunReady, RunStarted
from sgonz.plan.runs import Kind, Outcome
from sgonz.rundir import Workdir, claim


@pytest.fixture
def workdir(tmp_path: Path) -> Workdir:
    workdir = Workdir(tmp_path / "work")
    workdir.create()
    return workdir


def reason(found: list[AnyEvent]) -> str:
    assert isinstance(found[-1], JobEnded)
    return found[-1].reason


def test_runs_are_done_in_order_and_told(workdir: Workdir, start: Start) -> None:
    lay_out(workdir, [noop("aa01"), noop("bb02", "aa01")])
    work(start, workdir, job_list(TAG, ["aa01", "bb02"]))
    found = told(workdir.job(TAG))
    assert [type(event).__name__ for event in found] == [
        "JobStarted", "RunStarted", "RunEnded", "RunStarted", "RunEnded", "JobEnded"
    ]  # fmt: skip
    assert isinstance(found[0], JobStarted)
    assert {"sgonz", "torch", "transformers"} <= found[0].versions.keys()
    assert [(end.run_id, end.attempt, end.outcome) for end in ends(found)] == [
        ("aa01", 1, Outcome.COMPLETED), ("bb02", 1, Outcome.COMPLETED)
    ]  # fmt: skip
    assert [event.time for event in found] == sorted(event.time for event in found)
    assert reason(found) == "done"


def test_second_start_adopts_what_is_done(workdir: Workdir, start: Start) -> None:
    lay_out(workdir, [noop("aa01"), noop("bb02")])
    jobs = job_list(TAG, ["aa01", "bb02"])
    work(start, workdir, jobs)
    workdir.run("bb02").result.unlink()
    work(start, workdir, jobs)
    found = told(workdir.job(TAG), restart=1)
    assert isinstance(found[0], JobStarted)
    assert found[0].restart == 1
    assert [(end.run_id, end.adopted, end.attempt) for end in ends(found)] == [
        ("aa01", True, 1),
        ("bb02", False, 2),
    ]


def test_run_without_its_needs_is_left_out(workdir: Workdir, start: Start) -> None:
    lay_out(workdir, [noop("aa01", "absent"), noop("bb02")])
    work(start, workdir, job_list(TAG, ["aa01", "bb02"]))
    found = told(workdir.job(TAG))
    assert [end.run_id for end in ends(found)] == ["bb02"]
    assert reason(found) == "done, 1 left out"


def test_run_that_a_later_submission_holds_is_left_to_it(workdir: Workdir, start: Start) -> None:
    lay_out(workdir, [noop("aa01"), noop("bb02")])
    claim(workdir.run("aa01"), tag="sgonz-test-000002", sequence=2, element=0, restart=0)
    work(start, workdir, job_list(TAG, ["aa01", "bb02"], sequence=1))
    assert [end.run_id for end in ends(told(workdir.job(TAG)))] == ["bb02"]
    assert not workdir.run("aa01").result.exists()


def test_run_that_was_cancelled_is_left_out(workdir: Workdir, start: Start) -> None:
    lay_out(workdir, [noop("aa01"), noop("bb02")])
    workdir.run("aa01").cancel.touch()
    work(start, workdir, job_list(TAG, ["aa01", "bb02"]))
    assert [end.run_id for end in ends(told(workdir.job(TAG)))] == ["bb02"]


def test_run_whose_files_cannot_be_read_fails_alone(workdir: Workdir, start: Start) -> None:
    lay_out(workdir, [noop("aa01"), noop("bb02"), noop("cc03")])
    workdir.run("aa01").spec.write_text('{"run_id": "aa01", "kind": ')
    workdir.run("bb02").spec.unlink()
    work(start, workdir, job_list(TAG, ["aa01", "bb02", "cc03"]))
    outcomes = [(end.run_id, end.outcome, end.signature) for end in ends(told(workdir.job(TAG)))]
    assert outcomes == [
        ("aa01", Outcome.FAILED, "ValueError in run.json"),
        ("bb02", Outcome.FAILED, "FileNotFoundError in run.json"),
        ("cc03", Outcome.COMPLETED, None),
    ]


def test_slurm_says_which_element_and_how_often_restarted(workdir: Workdir, start: Start) -> None:
    lay_out(workdir, [noop("aa01"), noop("bb02")])
    folder = write_job(workdir, job_list(TAG, ["aa01"], ["bb02"]))
    process = start(folder, SLURM_ARRAY_TASK_ID="1", SLURM_RESTART_COUNT="3")
    assert process.wait(PATIENCE) == 0
    found = told(folder, element=1, restart=3)
    assert [end.run_id for end in ends(found)] == ["bb02"]
    assert not workdir.run("aa01").result.exists()


def test_element_that_is_not_in_the_job_is_refused(workdir: Workdir) -> None:
    folder = write_job(workdir, job_list(TAG, ["aa01"]))
    command = [sys.executable, "-m", "sgonz.train.worker", str(folder), "1"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "there is no element 1" in refused.stderr


def test_fork_server_that_cannot_start_fails_the_run(workdir: Workdir, start: Start, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise OSError('no such driver')\n")
    lay_out(workdir, [spec("aa01", Kind.FINETUNE), noop("bb02")])
    jobs = job_list(TAG, ["aa01", "bb02"])
    work(start, workdir, jobs, "0", PYTHONPATH=str(tmp_path))
    failed, done = ends(told(workdir.job(TAG)))
    assert failed.outcome is Outcome.FAILED
    assert "fork server" in (failed.error or "")
    assert done.outcome is Outcome.COMPLETED


def test_worker_itself_loads_no_training_library_and_starts_with_little() -> None:
    slow = {
        "torch",
        "numpy",
        "transformers",
        "datasets",
        "multiprocessing",
        "importlib.metadata",
        "argparse",
        "shutil",
        "msgspec",
        "typing",
        "dataclasses",
        "pathlib",
        "json",
        "re",
        "enum",
    }
    code = f"import sys, sgonz.train.worker; print({slow} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "set()\n"


def test_deaths_of_runs_are_told_and_the_worker_goes_on_until_it_is_killed_itself(
    workdir: Workdir, start: Start, tmp_path: Path
) -> None:
    absent = spec("aa00", Kind.FINETUNE, train=str(tmp_path / "absent.jsonl"))
    lay_out(workdir, [absent, hanging("aa01", tmp_path), noop("bb02"), hanging("cc03", tmp_path)])
    folder = write_job(workdir, job_list(TAG, ["aa00", "aa01", "bb02", "cc03"]))
    worker = start(folder, "0")
    eventually(lambda: "aa01" in started(folder))
    (first,) = eventually(lambda: run_processes(worker.pid))
    os.kill(first, signal.SIGKILL)
    eventually(lambda: len(ends(told(folder))) == 3)
    failed, killed, done = ends(told(folder))
    assert failed.outcome is Outcome.FAILED
    assert "absent" in (failed.error or "")
    cause, _, hint = (failed.error or "").partition(". ")
    assert f"{cause}\n{hint}\n" in workdir.run("aa00").log.read_text()  # after the traceback
    assert workdir.run("aa00").log.read_text().startswith("=== attempt 1, sgonz-test-000001 element 0, ")
    assert (killed.outcome, killed.attempt) == (Outcome.FAILED, 1)
    assert (killed.error or "").startswith("killed by SIGKILL")
    assert done.outcome is Outcome.COMPLETED

    eventually(lambda: "cc03" in started(folder))
    (last,) = eventually(lambda: run_processes(worker.pid))
    assert last != first
    worker.kill()
    worker.wait()
    eventually(lambda: not in_session(worker.pid))
    assert isinstance(told(folder)[-1], RunStarted)


def test_training_is_stopped_goes_on_and_is_cancelled(bench: Any, start: Start) -> None:
    workdir: Workdir = bench.workdir
    run = bench.run("aa01", Kind.FINETUNE, "text", "albert", settings={"epochs": 100_000})
    lay_out(workdir, [noop("bb02")])
    folder = write_job(workdir, job_list(TAG, ["aa01", "bb02"]))

    worker = start(folder, "0")
    eventually(lambda: has(folder, EpochEnded))
    # As Slurm does: every process of a job, where the worker alone is meant.
    tell(in_session(worker.pid), signal.SIGTERM)
    assert worker.wait(PATIENCE) == 0
    found = told(folder)
    (stopped,) = ends(found)
    assert (stopped.outcome, stopped.error) == (Outcome.PREEMPTED, None)
    assert reason(found) == "told to stop by SIGTERM"
    assert run.checkpoint.exists()
    assert not workdir.run("bb02").result.exists()
    eventually(lambda: not in_session(worker.pid))

    worker = start(folder, "0")
    eventually(lambda: has(folder, RunReady, restart=1))
    run.cancel.touch()
    assert worker.wait(PATIENCE) == 0
    found = told(folder, restart=1)
    (ready,) = (event for event in found if isinstance(event, RunReady))
    assert ready.epoch >= 1
    assert ready.attempt == 2
    cancelled, done = ends(found)
    assert (cancelled.run_id, cancelled.outcome) == ("aa01", Outcome.CANCELLED)
    assert (done.run_id, done.outcome) == ("bb02", Outcome.COMPLETED)
    assert run.log.read_text().count("=== attempt ") == 2


def test_run_that_does_not_listen_is_killed_when_the_worker_is_told_twice(
    workdir: Workdir, start: Start, tmp_path: Path
) -> None:
    lay_out(workdir, [hanging("aa01", tmp_path), noop("bb02")])
    folder = write_job(workdir, job_list(TAG, ["aa01", "bb02"]))
    worker = start(folder, "0")
    eventually(lambda: run_processes(worker.pid))
    eventually(lambda: worker.poll() is not None or worker.terminate())
    found = told(folder)
    (stopped,) = ends(found)
    assert stopped.outcome is Outcome.PREEMPTED
    assert stopped.error is not None
    assert stopped.error.startswith("killed before its checkpoint was written")
    assert isinstance(found[-1], JobEnded)
    eventually(lambda: not in_session(worker.pid))
