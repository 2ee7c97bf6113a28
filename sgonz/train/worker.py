"""The process of one job: does its runs in order, each in a child of a fork server that has imported everything.

`python -m sgonz.train.worker JOB_FOLDER [ELEMENT]`. This process itself stays small and imports no torch, so
that whatever happens to a run, somebody is left to say so.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import re
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import IO

import msgspec

from sgonz import __version__, events, more_work
from sgonz.errors import SgonzError, SpecError
from sgonz.events import Event, JobEnded, JobStarted, RunEnded, RunStarted
from sgonz.plan.runs import Kind, Outcome, RunSpec
from sgonz.provenance import PACKAGES, versions
from sgonz.rundir import (
    JOB_FORMAT,
    Claim,
    ClaimRefused,
    JobList,
    RunDir,
    Workdir,
    claim,
    still_holds,
    write_atomic,
)
from sgonz.train import postmortem
from sgonz.train.child import CANCEL, SIGNALS, STOP, do_run
from sgonz.train.told import Told

GRACE_SECONDS = 30.0  # for a checkpoint, after a run was asked to stop
LINGER_LOOK_SECONDS = 0.1  # between looks for more runs; only where a profile asks to linger
LOOK_SECONDS = 2.0  # between looks for a cancel mark; every look is a request to a shared disk
# Imported once by the fork server. transformers imports model code late, so it is named here.
PRELOAD = [
    "torch", "accelerate", "datasets", "sgonz.train.execute",
    "transformers.models.auto.modeling_auto", "transformers.models.auto.tokenization_auto",
    "transformers.models.albert.modeling_albert", "transformers.models.bert.modeling_bert",
    "transformers.models.distilbert.modeling_distilbert", "transformers.models.roberta.modeling_roberta",
]  # fmt: skip
QUIET = {
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}
THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One element, begun: what it has to do and where it says what happened."""

    folder: Path
    jobs: JobList
    element: int
    restart: int
    event_file: Path
    stream: IO[bytes]
    told: Told

    @property
    def workdir(self) -> Workdir:
        return Workdir(self.folder.parents[1])

    def emit(self, event: Event) -> None:
        events.append(self.stream, event)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m sgonz.train.worker", description="Do the runs of one job."
    )
    parser.add_argument("job_folder", type=Path, help="the folder of job.json")
    parser.add_argument(
        "element", type=int, nargs="?", help="which job of it; by default SLURM_ARRAY_TASK_ID"
    )
    options = parser.parse_args(arguments)
    folder = options.job_folder.absolute()
    element, restart = options.element, None
    if element is None:
        if "SLURM_ARRAY_TASK_ID" not in os.environ:
            parser.error("give ELEMENT: this is not a Slurm array")
        element = int(os.environ["SLURM_ARRAY_TASK_ID"])
        restart = os.environ.get("SLURM_RESTART_COUNT")
    try:
        work(folder, element, int(restart) if restart else None)
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
    os.environ |= QUIET | dict.fromkeys(THREADS, str(jobs.threads))
    restart, event_file = begin_events(folder, element, restart)
    with event_file.open("ab", buffering=0) as stream:
        job = Job(folder=folder, jobs=jobs, element=element, restart=restart, event_file=event_file,
                  stream=stream, told=told)  # fmt: skip
        job.emit(
            JobStarted(
                time=time.time(), host=socket.gethostname(), pid=os.getpid(), restart=restart, device=device(),
                versions={"sgonz": __version__, **versions(PACKAGES)},
            )
        )  # fmt: skip
        left_out = sum(do_list(job, run_ids) for run_ids in lists(job))
        done = f"done, {left_out} left out" if left_out else "done"
        job.emit(JobEnded(time=time.time(), reason=told.reason or done))


def lists(job: Job) -> Iterator[Sequence[str]]:
    """The element's runs, and then what is offered while the worker lingers."""
    run_ids: Sequence[str] = job.jobs.elements[job.element].run_ids
    number = sum(1 for _ in (job.folder / "more").glob(f"{job.element}.*.json"))  # of an earlier start
    while run_ids and not job.told.reason:
        yield run_ids
        run_ids = await_more(job, number)
        number += 1


def await_more(job: Job, number: int) -> Sequence[str]:
    """The runs of the next offer; none when it is time to go."""
    deadline = time.monotonic() + job.jobs.linger_seconds
    while not job.told.reason:
        if (offered := more_work.read(job.folder, job.element, number)) is not None:
            return offered.run_ids
        if time.monotonic() > deadline and more_work.leave(job.folder, job.element, number):
            break
        wait([job.told.fileno()], timeout=LINGER_LOOK_SECONDS)
        job.told.hear()
    return ()


def do_list(job: Job, run_ids: Sequence[str]) -> int:
    """Do runs in order until told to go; how many were left out."""
    left_out = 0
    for run_id in run_ids:
        if job.told.reason:
            break
        left_out += not do_one(job, job.workdir.run(run_id))
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


def do_one(job: Job, run: RunDir) -> bool:
    """Do one run, whatever comes of it; False where it was left out and nothing is said of it.

    Left out is what a person cancelled, what a later job holds, and what needs a result that is not there;
    with the job's end it goes back to where it stood.
    """
    if run.cancel.exists():
        return False
    try:
        result, spec = run.read_result(), run.read_spec()
    except (msgspec.DecodeError, OSError) as error:
        return refuse(job, run, error)
    if result is not None:
        shutil.rmtree(run.checkpoint, ignore_errors=True)  # of an attempt that was killed right after it
        job.emit(msgspec.structs.replace(result, time=time.time(), adopted=True))
        return True
    if any(not job.workdir.run(need.run_id).result.exists() for need in spec.needs):
        return False
    mine = take(job, run)
    if mine is None:
        return False
    job.emit(RunStarted(time=time.time(), run_id=spec.run_id, attempt=mine.attempt))
    if spec.kind is Kind.NOOP:
        do_nothing(job, run, spec, mine)
    else:
        fork(job, run, mine)
    return True


def take(job: Job, run: RunDir) -> Claim | None:
    try:
        return claim(
            run, tag=job.jobs.tag, sequence=job.jobs.sequence, element=job.element, restart=job.restart
        )
    except ClaimRefused:
        return None


def refuse(job: Job, run: RunDir, error: Exception) -> bool:
    """A run whose own files cannot be read fails, since trying again would read the same."""
    mine = take(job, run)
    if mine is None:
        return False
    message = " ".join(f"{run.root}: {error}".split())[:500]
    job.emit(RunStarted(time=time.time(), run_id=run.root.name, attempt=mine.attempt))
    job.emit(
        RunEnded(time=time.time(), run_id=run.root.name, attempt=mine.attempt, outcome=Outcome.FAILED, error=message,
                 signature=f"{type(error).__name__} in {run.spec.name}")
    )  # fmt: skip
    return True


def do_nothing(job: Job, run: RunDir, spec: RunSpec, mine: Claim) -> None:
    """The run that measures what surrounds runs; a process of its own would be all that it costs."""
    ended = RunEnded(time=time.time(), run_id=spec.run_id, attempt=mine.attempt, outcome=Outcome.COMPLETED)
    if still_holds(run, mine.attempt):
        write_atomic(run.result, msgspec.json.encode(ended))
        job.emit(ended)


def fork(job: Job, run: RunDir, mine: Claim) -> None:
    """Do a run in a child of the fork server, and speak for the child where it could not."""
    began, written, kills = time.time(), events.size(job.event_file), postmortem.oom_kills()
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(began))
    header = f"=== attempt {mine.attempt}, {mine.tag} element {mine.element}, {mine.host}, {moment}\n"
    context = multiprocessing.get_context("forkserver")
    theirs, ours = context.Pipe(duplex=False)
    child = context.Process(
        target=do_run, args=(str(run.root), mine.attempt, header, str(job.event_file), theirs)
    )
    asked: bytes | None = None
    try:
        if begin(child):
            asked = watch(job, run, child, ours)
    finally:
        kill(child)  # what the run started and left behind
        theirs.close()
        ours.close()
    job.stream.write(postmortem.missing_newline(job.event_file))
    if not postmortem.has_ended(job.event_file, written, run.root.name, mine.attempt):
        death = postmortem.Death(
            status=child.exitcode, asked=asked, oom_killed=postmortem.oom_kills() > kills, began=began
        )
        job.emit(postmortem.ended(run, mine.attempt, death))


def begin(child: ForkServerProcess) -> bool:
    """Have the fork server start a run; False when it died over it, with its reason in the job's output."""
    serve()
    try:
        child.start()
    except (OSError, EOFError):
        return False
    return True


def serve() -> None:
    """Start the fork server where it does not run, deaf to the signals that are meant for this process."""
    forkserver.set_forkserver_preload(PRELOAD)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    resource_tracker.ensure_running()  # unblocks two of them when it starts, hence first
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        forkserver.ensure_running()  # inherits what is blocked
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def watch(job: Job, run: RunDir, child: ForkServerProcess, orders: Connection) -> bytes | None:
    """Wait for the child, passing on what it is asked; what that was."""
    asked: bytes | None = None
    deadline = float("inf")
    while True:
        ready = wait([child.sentinel, job.told.fileno()], timeout=LOOK_SECONDS)
        if child.sentinel in ready:
            return asked
        job.told.hear()
        if asked is None:
            # A disk that does not answer is no reason to end a run: os.path says False then.
            asked = CANCEL if os.path.exists(run.cancel) else STOP if job.told.reason else None
            if asked is not None:
                deadline = time.monotonic() + GRACE_SECONDS
                with contextlib.suppress(BrokenPipeError):  # it has just ended
                    orders.send_bytes(asked)
        elif job.told.insisted or time.monotonic() > deadline:
            kill(child)


def kill(child: ForkServerProcess) -> None:
    """Kill a run's process and everything that it started."""
    if child.pid is None:
        return
    for end in (os.killpg, os.kill) if child.exitcode is None else (os.killpg,):
        try:
            end(child.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


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
