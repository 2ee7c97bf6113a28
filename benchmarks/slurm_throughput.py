"""How fast runs that do nothing go through Slurm: with sgonz, with submitit, with raw arrays and with HyperQueue.

    slurm/dev/cluster up --max-array-size=10001 --max-job-count=50000 && eval "$(slurm/dev/cluster env)"
    pip install hyperqueue==0.27.0          # only for the case of that name
    python benchmarks/slurm_throughput.py [CASE ...] [--runs 1000] [--json FILE]

Each case counts from the moment in which its runs are known until the last one is seen to be done: seconds, of
these until everything was submitted, requests to the controller (what sdiag counts, this script's own squeues
taken off), files left behind, CPU seconds on the login node. What the tasks of each case do stands beside it.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LOOK_SECONDS = 0.25  # between looks at the queue, of cases that have nobody to look
TURN_SECONDS = 0.3  # between turns, as `sgonz run` makes them


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def requests() -> int:
    """Requests that the controller has served so far, of every kind, those of its nodes included."""
    lines = run("sdiag").partition("by message type")[2].partition("by user")[0].splitlines()
    return sum(int(line.split("count:")[1].split()[0]) for line in lines if "count:" in line)


def cpu() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def wait_for(array: str) -> int:
    """Wait until the queue is without it; how often that was asked."""
    looks = 1
    while run("squeue", "-h", "-j", array.strip(), "--states=PD,R,CG,CF,S", "-o", "%i").strip():
        time.sleep(LOOK_SECONDS)
        looks += 1
    return looks


class Clock:
    """When a case was submitted; cases may also say what they counted themselves."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.submitted: float | None = None
        self.own_looks = 0
        self.said: dict[str, Any] = {}

    def sent(self) -> None:
        self.submitted = time.perf_counter() - self.began


def measured(case: Callable[[int, Path, Clock], None], runs: int) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="throughput-", dir=os.environ.get("TMPDIR", "/tmp")))
    try:
        asked, used, clock = requests(), cpu(), Clock()
        case(runs, folder, clock)
        done = time.perf_counter() - clock.began
        took = {"runs": runs, "submit": clock.submitted or 0.0, "done": done, "cpu": cpu() - used}
        took["requests"] = max(0, requests() - asked - 2 - clock.own_looks) / runs
        took["files"] = sum(len(files) for _, _, files in os.walk(folder)) / runs
        return {**took, **clock.said}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def raw(task: str) -> Callable[[int, Path, Clock], None]:
    """One `sbatch --array` of a shell line."""

    def case(runs: int, folder: Path, clock: Clock) -> None:
        prepare(runs, folder)
        clock.began = time.perf_counter()
        line = task.format(python=sys.executable, folder=folder, script=HERE / "plain_task.py")
        array = run("sbatch", "--parsable", f"--array=0-{runs - 1}", f"--output={folder}/out", "--wrap", line)
        clock.sent()
        clock.own_looks = wait_for(array)

    return case


def prepare(runs: int, folder: Path) -> None:
    """What plain_task.py reads: a line for each run."""
    with (folder / "runs.jsonl").open("w") as stream:
        stream.writelines(json.dumps({"run_id": f"{run:08x}", "kind": "noop"}) + "\n" for run in range(runs))


def submitit_array(runs: int, folder: Path, clock: Clock) -> None:
    """`map_array`, and its results."""
    from submitit import AutoExecutor

    executor = AutoExecutor(folder=folder, cluster="slurm")
    executor.update_parameters(timeout_min=60, slurm_array_parallelism=runs)
    jobs = executor.map_array(nothing, range(runs))
    clock.sent()
    for job in jobs:
        job.result()


def submitit_single(runs: int, folder: Path, clock: Clock) -> None:
    """`submit` for every run, and its results."""
    from submitit import AutoExecutor

    executor = AutoExecutor(folder=folder, cluster="slurm")
    executor.update_parameters(timeout_min=60)
    jobs = [executor.submit(nothing, run) for run in range(runs)]
    clock.sent()
    for job in jobs:
        job.result()


def nothing(run: int) -> int:
    return run


def hyperqueue(runs: int, folder: Path, clock: Clock) -> None:
    """A server and its worker in one Slurm job, /bin/true as the task."""
    task = f"{sys.executable} {HERE / 'hyperqueue_job.py'} {runs} {folder}"
    job = run("sbatch", "--parsable", f"--output={folder}/out", "--wrap", task)
    clock.sent()
    clock.own_looks = wait_for(job)
    clock.said = json.loads((folder / "hyperqueue.json").read_text())


def sgonz(**changes: Any) -> Callable[[int, Path, Clock], None]:
    """Turns as `sgonz run` makes them, until every run's end stands in the store."""

    def case(runs: int, folder: Path, clock: Clock) -> None:
        from noop_sweep import sweep_of_nothing

        from sgonz.coordinator.turn import turn
        from sgonz.coordinator.turning import pause_after

        at = sweep_of_nothing(folder, runs, **changes)
        clock.began = time.perf_counter()
        last = turn(at)
        assert not last.problems
        clock.sent()
        sent = last.sent
        while not last.decision.finished:
            time.sleep(pause_after(last, TURN_SECONDS))
            last = turn(at, last)
            sent += last.sent
        clock.said = {"jobs": sent}
        at.store.close()

    return case


def submission(runs: int, folder: Path, clock: Clock) -> None:
    """From the grid in the store to the last sbatch accepted; the jobs are held and ended then."""
    from noop_sweep import sweep_of_nothing

    from sgonz.coordinator.turn import turn

    for name, per_job in (("packed", None), ("unpacked", 1)):
        at = sweep_of_nothing(folder / name, runs, runs_per_job=per_job, hold=True)
        began, used = time.perf_counter(), cpu()
        sent = turn(at).sent
        clock.said |= {
            name: {"seconds": time.perf_counter() - began, "cpu": cpu() - used, "jobs": sent,
                   "files": sum(len(files) for _, _, files in os.walk(folder / name)),
                   "requests": at.cluster.requests.notes.counts}
        }  # fmt: skip
        at.cluster.cancel(at.store.live_jobs())
        at.store.close()


CASES: dict[str, Callable[[int, Path, Clock], None]] = {
    "raw-true": raw("/bin/true"),
    "raw-pass": raw("{python} -c pass"),
    "raw-task": raw("{python} {script} {folder}"),
    "sgonz-unpacked": sgonz(runs_per_job=1),
    "sgonz-packed": sgonz(),
    "sgonz-submission": submission,
    "submitit-array": submitit_array,
    "submitit-single": submitit_single,
    "hyperqueue": hyperqueue,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Runs that do nothing, through Slurm.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"by default all: {', '.join(CASES)}")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument(
        "--rounds", type=int, default=1, help="of all cases, in turns; compare the quickest of each"
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    # As pip does on installing; a checkout whose files are compiled for every job would measure just that.
    compileall.compile_dir(HERE.parent / "sgonz", quiet=1)
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for name in [*(options.cases or CASES)] * options.rounds:
        load = os.getloadavg()[0]
        took = {**measured(CASES[name], options.runs), "load": load}
        found[name].append(took)
        print(
            f"{name:18} {took['runs']:6} runs  submitted {took['submit']:8.2f} s  done {took['done']:8.2f} s  "
            f"cpu {took['cpu']:6.2f} s  requests {took['requests']:6.3f}  files {took['files']:6.3f}  load {load:.1f}  "
            + json.dumps({key: value for key, value in took.items() if isinstance(value, dict | list) or key in ("jobs", "hyperqueue")}),
            flush=True,
        )  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
