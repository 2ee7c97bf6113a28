"""The process of one job: does its runs, one or a few at a time, each in a child of a fork server.

`python -m sgonz.train.worker JOB_FOLDER [ELEMENT]`. This process itself stays small and imports no torch, so
that whatever happens to a run, somebody is left to say so. What only a run with a process of its own needs is
imported for the first one: of a job that is short, starting is most of the time.
"""

from __future__ import annotations

import os
import re
import select
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sgonz import __version__, more_work, recall
from sgonz.errors import SgonzError, SpecError
from sgonz.events import JobEnded, JobStarted, RunEnded, RunStarted
from sgonz.layout import lay_out, read_specs
from sgonz.plan.runs import Kind, Outcome, RunSpec
from sgonz.rundir import (
    JOB_FORMAT,
    Claim,
    ClaimRefused,
    Element,
    JobList,
    RunDir,
    claim,
    still_holds,
    write_atomic,
)
from sgonz.train.job import Job
from sgonz.train.told import SIGNALS, Told
from sgonz.versions import PACKAGES, versions

if TYPE_CHECKING:
    from sgonz.train.children import Child

LINGER_LOOK_SECONDS = 0.1  # between looks for more runs; only where a profile asks to linger
QUIET = {
    # Asked by a library in the fork server, torch would start the driver there, and no child could use it.
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}
SECRETS = ("SGONZ_DATABASE", "PGPASSWORD")  # of the store
THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
)


class Taken(Enum):
    """What came at once of a run that was taken up and has no process."""

    DONE = auto()
    LEFT_OUT = (
        auto()
    )  # cancelled, held by a later job, or without a result that it needs; nothing is said of it
    LATER = auto()  # it needs a run of this list that is not done yet


def main(arguments: Sequence[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    task = os.environ.get("SLURM_ARRAY_TASK_ID")
    if len(given) == 1 and task is not None:
        element, restart = task, os.environ.get("SLURM_RESTART_COUNT")
    elif len(given) == 2:
        element, restart = given[1], None
    else:
        print("usage: python -m sgonz.train.worker JOB_FOLDER [ELEMENT]\n"
              "ELEMENT says which job of it; a task of a Slurm array is told that by Slurm", file=sys.stderr)  # fmt: skip
        return 2
    try:
        work(Path(given[0]).absolute(), int(element), int(restart) if restart else None)
    except SgonzError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def work(folder: Path, element: int, restart: int | None = None) -> None:
    """Do an element's runs, or as many of them as there is time for."""
    told = Told(SIGNALS)
    jobs = read_job(folder)
    if not 0 <= element < len(jobs.elements):
        raise SpecError(
            f"{folder}: there is no element {element}", hint=f"It has {len(jobs.elements)}, from 0."
        )
    for name in SECRETS:
        os.environ.pop(name, None)  # a worker never opens the store, nor does what it starts
    quieten(jobs.threads)
    restart, event_file = begin_events(folder, element, restart)
    with event_file.open("ab", buffering=0) as stream:
        job = Job(folder=folder, jobs=jobs, element=element, restart=restart, event_file=event_file,
                  stream=stream, told=told)  # fmt: skip
        job.emit(
            JobStarted(
                time=time.time(), host=os.environ.get("SLURMD_NODENAME") or os.uname().nodename, pid=os.getpid(), restart=restart, device=device(),
                versions={"sgonz": __version__, **({"code": jobs.code} if jobs.code else {}), **versions(PACKAGES)},
            )
        )  # fmt: skip
        left_out = sum(do_list(job, element) for element in lists(job))
        done = f"done, {left_out} left out" if left_out else "done"
        job.emit(JobEnded(time=time.time(), reason=told.reason or done))


def quieten(threads: int) -> None:
    """What libraries read when they are loaded: threads as the runs say, and no noise."""
    os.environ |= QUIET | dict.fromkeys(THREADS, str(threads))


def lists(job: Job) -> Iterator[Element]:
    """The element's runs, and then what is offered while the worker lingers."""
    given = job.jobs.elements[job.element]
    number = sum(1 for _ in (job.folder / "more").glob(f"{job.element}.*.json"))  # of an earlier start
    while given.run_ids and not job.told.reason:
        yield given
        given = await_more(job, number)
        number += 1


def await_more(job: Job, number: int) -> Element:
    """The next offer; the last one when it is time to go."""
    deadline = time.monotonic() + job.jobs.linger_seconds
    while not job.told.reason:
        if (offered := more_work.read(job.folder, job.element, number)) is not None:
            return offered
        if time.monotonic() > deadline and more_work.leave(job.folder, job.element, number):
            break
        select.select([job.told.fileno()], (), (), LINGER_LOOK_SECONDS)
        job.told.hear()
    return more_work.HOME


def do_list(job: Job, given: Element) -> int:
    """Do runs, as many at a time as the job is for, until told to go; how many were left out."""
    unfinished: dict[str, Child | None] = dict.fromkeys(given.run_ids)  # None: not begun
    specs = read_specs(job.folder, given)
    left_out = fill(job, unfinished, specs)
    if any(unfinished.values()):
        from sgonz.train import children

        try:
            while at_work := [child for child in unfinished.values() if child is not None]:
                for child in children.attend(job, at_work):
                    children.finish(job, child)
                    unfinished[child.run.root.name] = None
                    if not child.goes_on:
                        del unfinished[child.run.root.name]
                left_out += fill(job, unfinished, specs)
        finally:  # an error of the worker itself ends its runs too
            children.kill_all(unfinished.values())
    return left_out if job.told.reason else left_out + len(unfinished)


def fill(job: Job, unfinished: dict[str, Child | None], specs: Mapping[str, RunSpec]) -> int:
    """Take up runs in order while there is room for one more; how many were left out."""
    left_out = 0
    room = job.jobs.runs_at_once - sum(child is not None for child in unfinished.values())
    for run_id in [run_id for run_id, child in unfinished.items() if child is None]:
        if job.told.reason or not room:
            break
        taken = take_up(job, job.workdir.run(run_id), unfinished, specs.get(run_id))
        if not isinstance(taken, Taken):
            unfinished[run_id] = taken
            room -= 1
        elif taken is not Taken.LATER:
            del unfinished[run_id]
            left_out += taken is Taken.LEFT_OUT
    return left_out


def read_job(folder: Path) -> JobList:
    jobs = msgspec.json.decode((folder / "job.json").read_bytes(), type=JobList)
    if jobs.version != JOB_FORMAT:
        raise SpecError(f"{folder}/job.json has format {jobs.version}, this worker reads {JOB_FORMAT}")
    return jobs


def begin_events(folder: Path, element: int, restart: int | None) -> tuple[int, Path]:
    """The restart count and event file of this start; without Slurm's count, the first number that is free."""
    (folder / "events").mkdir(parents=True, exist_ok=True)
    count = restart or 0
    while True:
        event_file = folder / "events" / f"{element}.{count}.jsonl"
        try:
            event_file.open("xb").close()
        except FileExistsError:
            if restart is None:
                count += 1
                continue
        return count, event_file


def take_up(job: Job, run: RunDir, unfinished: Collection[str], spec: RunSpec | None) -> Child | Taken:
    """Begin a run, or say at once what comes of it; without `spec`, its folder holds that."""
    if run.cancel.exists() or recall.is_taken_back(job.folder, run.root.name):
        return Taken.LEFT_OUT
    try:
        result, spec = run.read_result(), spec or run.read_spec()
    except (msgspec.DecodeError, OSError) as error:
        return refuse(job, run, error)
    if result is not None:
        if run.checkpoint.exists():  # of an attempt that was killed right after it
            import shutil

            shutil.rmtree(run.checkpoint, ignore_errors=True)
        job.emit(msgspec.structs.replace(result, time=time.time(), adopted=True))
        return Taken.DONE
    if missing := [need for need in spec.needs if not job.workdir.run(need.run_id).result.exists()]:
        return Taken.LATER if any(need.run_id in unfinished for need in missing) else Taken.LEFT_OUT
    mine = take(job, run)
    if mine is None:
        return Taken.LEFT_OUT
    lay_out(run, job.jobs.sweep, spec)
    job.emit(RunStarted(time=time.time(), run_id=spec.run_id, attempt=mine.attempt))
    if spec.kind is not Kind.NOOP:
        from sgonz.train.children import begin

        return begin(job, run, mine)
    do_nothing(job, run, spec, mine)
    return Taken.DONE


def take(job: Job, run: RunDir) -> Claim | None:
    try:
        return claim(
            run, tag=job.jobs.tag, sequence=job.jobs.sequence, element=job.element, restart=job.restart
        )
    except ClaimRefused:
        return None


def refuse(job: Job, run: RunDir, error: Exception) -> Taken:
    """A run whose own files cannot be read fails, since trying again would read the same."""
    mine = take(job, run)
    if mine is None:
        return Taken.LEFT_OUT
    message = " ".join(f"{run.root}: {error}".split())[:500]
    job.emit(RunStarted(time=time.time(), run_id=run.root.name, attempt=mine.attempt))
    job.emit(
        RunEnded(time=time.time(), run_id=run.root.name, attempt=mine.attempt, outcome=Outcome.FAILED, error=message,
                 signature=f"{type(error).__name__} in {run.spec.name}")
    )  # fmt: skip
    return Taken.DONE


def do_nothing(job: Job, run: RunDir, spec: RunSpec, mine: Claim) -> None:
    """The run that measures what surrounds runs; a process of its own would be all that it costs."""
    ended = RunEnded(time=time.time(), run_id=spec.run_id, attempt=mine.attempt, outcome=Outcome.COMPLETED)
    if still_holds(run, mine.attempt):
        write_atomic(run.result, msgspec.json.encode(ended))
        job.emit(ended)


def device() -> str:
    """The accelerator's model as the driver names it, or cpu; asked without loading a library for it."""
    if re.fullmatch(r"|-1|NoDevFiles", os.environ.get("CUDA_VISIBLE_DEVICES", "all")):
        return "cpu"
    for card in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        if found := re.search(r"^Model:\s*(.+?)\s*$", card.read_text(), re.MULTILINE):
            return found[1]
    return "cpu"


if __name__ == "__main__":
    raise SystemExit(main())
