"""A worker that keeps several runs at once: each in a process of its own, all ending as they would have alone."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import msgspec
from bench import Bench
from cut_runs import weights
from job_folders import PATIENCE, ends, eventually, job_list, lay_out, noop, told, write_job
from workers import TAG, Start, hanging, in_session, run_processes, started, tell

from sgonz.events import AnyEvent, JobEnded, RunEnded, RunStarted
from sgonz.plan.runs import Kind, Outcome
from sgonz.rundir import JobList, RunDir, Workdir

SAME = ("validation_loss", "validation", "best_epoch", "epochs_done", "flags", "notes")


def at_once(count: int, *run_ids: str) -> JobList:
    return msgspec.structs.replace(job_list(TAG, run_ids), runs_at_once=count)


def most_at_work(found: list[AnyEvent]) -> int:
    """How many runs had begun and not ended, at the most."""
    here, most = set[str](), 0
    for event in found:
        if isinstance(event, RunStarted):
            here.add(event.run_id)
        elif isinstance(event, RunEnded):
            here.discard(event.run_id)
        most = max(most, len(here))
    return most


def chain(bench: Bench) -> list[RunDir]:
    """A teacher, its logits, a student, and two runs that need nothing; in an order in which some have to wait."""
    short = {"epochs": 2}
    return [
        bench.run("aa01", Kind.FINETUNE, "text", "bert", settings=short),
        bench.run("bb02", Kind.LOGITS, "text", "bert", needs={"teacher": "aa01"}),
        bench.run("cc03", Kind.DISTILL, "text", "bert", settings=short, needs={"logits": "bb02"}),
        bench.run("dd04", Kind.FINETUNE, "tagging", "albert", settings=short),
        bench.run("ee05", Kind.FINETUNE, "text", "bert", settings={"epochs": 2, "learning_rate": 1e-3}),
    ]


def test_runs_side_by_side_end_with_the_bits_that_they_have_one_by_one(
    tmp_path: Path, folders: dict[str, Path], datasets_by_task: dict[str, Any], start: Start
) -> None:
    benches = {count: Bench(tmp_path / f"work{count}", folders, datasets_by_task) for count in (1, 3)}
    runs = {count: chain(bench) for count, bench in benches.items()}
    ids = [run.root.name for run in runs[1]]
    workers = [start(write_job(bench.workdir, at_once(count, *ids)), "0") for count, bench in benches.items()]
    assert [worker.wait(PATIENCE) for worker in workers] == [0, 0]
    told_by = {count: told(bench.workdir.job(TAG)) for count, bench in benches.items()}
    assert most_at_work(told_by[1]) == 1 < most_at_work(told_by[3])
    by_id = {count: {end.run_id: end for end in ends(found)} for count, found in told_by.items()}
    for alone, beside in zip(runs[1], runs[3], strict=True):
        one, other = (by_id[count][alone.root.name] for count in (1, 3))
        assert one.outcome is other.outcome is Outcome.COMPLETED, other.error
        assert [getattr(one, name) for name in SAME] == [getattr(other, name) for name in SAME]
        if alone.root.name != "bb02":
            assert weights(alone) == weights(beside)


def test_a_crash_ends_one_run_and_its_place_goes_to_the_next(tmp_path: Path, start: Start) -> None:
    workdir = Workdir(tmp_path / "work")
    workdir.create()
    lay_out(workdir, [*(hanging(run_id, tmp_path) for run_id in ("aa01", "bb02", "cc03")), noop("dd04", "bb02"), noop("ee05")])  # fmt: skip
    folder = write_job(workdir, at_once(2, "aa01", "bb02", "dd04", "cc03", "ee05"))
    worker = start(folder, "0")
    eventually(lambda: len(run_processes(worker.pid)) == 2)
    assert started(folder) == ["aa01", "bb02"]
    log = str(workdir.run("aa01").log)
    (first,) = eventually(lambda: [pid for pid in run_processes(worker.pid) if log in output_of(pid)])
    os.kill(first, signal.SIGKILL)
    eventually(lambda: started(folder) == ["aa01", "bb02", "cc03"])
    eventually(lambda: len(run_processes(worker.pid)) == 2)
    (killed,) = ends(told(folder))
    assert (killed.run_id, killed.outcome) == ("aa01", Outcome.FAILED)

    tell(run_processes(worker.pid), signal.SIGKILL)
    assert worker.wait(PATIENCE) == 0
    found = told(folder)
    assert {end.run_id: end.outcome for end in ends(found)} == {
        **dict.fromkeys(("aa01", "bb02", "cc03"), Outcome.FAILED), "ee05": Outcome.COMPLETED
    }  # fmt: skip
    assert isinstance(found[-1], JobEnded)
    assert found[-1].reason == "done, 1 left out"  # what needs a run that failed
    eventually(lambda: not in_session(worker.pid))


def output_of(pid: int) -> str:
    """Where a process's output goes."""
    return os.readlink(f"/proc/{pid}/fd/1")
