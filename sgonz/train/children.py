"""The processes of a worker's runs: forked from a server that has imported everything, watched, and spoken for."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import msgspec

from sgonz import events
from sgonz.events import RunStarted
from sgonz.rundir import Claim, RunDir
from sgonz.train import postmortem
from sgonz.train.child import Engine, do_run
from sgonz.train.job import Job
from sgonz.train.meeting import place_file
from sgonz.train.told import AGAIN, CANCEL, SIGNALS, STOP
from sgonz.workdir.layout import link

GRACE_SECONDS = 30.0  # for a checkpoint, after a run was asked to stop
LOOK_SECONDS = 2.0  # between looks for cancel marks; every look is a request to a shared disk
# Imported once by the fork server. transformers imports model code late, so it is named here.
PRELOAD = [
    "torch", "accelerate", "datasets", "sgonz.train.execute",
    "transformers.models.auto.modeling_auto", "transformers.models.auto.tokenization_auto",
    "transformers.models.albert.modeling_albert", "transformers.models.bert.modeling_bert",
    "transformers.models.distilbert.modeling_distilbert", "transformers.models.roberta.modeling_roberta",
    "sgonz.train.ahead",
]  # fmt: skip


@dataclass(kw_only=True)
class Child:
    """One run's process; what it was asked, and until when it may take its time, change while it lives."""

    run: RunDir
    mine: Claim
    process: ForkServerProcess
    orders: Connection
    began: float
    written: int  # bytes of the event file when it began
    kills: int  # by the kernel, for memory, before it began
    asked: bytes | None = None
    deadline: float = float("inf")

    @property
    def has_left(self) -> bool:
        """Whether the process is gone; one that never came up is."""
        return self.process.pid is None or self.process.exitcode is not None

    @property
    def goes_on(self) -> bool:
        """Whether the run can be taken up again at once, in smaller parts."""
        return self.asked is None and self.process.exitcode == AGAIN


def begin(job: Job, run_id: str, claimed: Mapping[str, Any]) -> Child:
    """Have a run started in a child of the fork server."""
    run, mine = RunDir(Path(job.run_folder(run_id))), Claim(**claimed)
    with contextlib.suppress(msgspec.DecodeError):  # which its process tells
        link(run, job.jobs.sweep, run.read_spec())
    job.emit(RunStarted(time=time.time(), run_id=run_id, attempt=mine.attempt))
    event_file = Path(job.event_file)
    began, written, kills = time.time(), events.size(event_file), postmortem.oom_kills()
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(began))
    header = f"=== attempt {mine.attempt}, {mine.tag} element {mine.element}, {mine.host}, {moment}\n"
    context = multiprocessing.get_context("forkserver")
    theirs, ours = context.Pipe(duplex=False)
    engine = Engine(
        processes=job.jobs.processes,
        deepspeed=job.jobs.deepspeed,
        place_file=place_file(job.path, job.element),
        on_gpu=job.jobs.on_gpu,
        sharers=job.jobs.runs_at_once,
    )
    process = context.Process(
        target=do_run, args=(str(run.root), mine.attempt, header, job.event_file, theirs, engine)
    )
    # A server that died over it has left its reason in the job's output; the child has then left too.
    with theirs, contextlib.suppress(OSError, EOFError):
        serve(preload(job))
        process.start()
    return Child(run=run, mine=mine, process=process, orders=ours, began=began, written=written, kills=kills)


def preload(job: Job) -> list[str]:
    """What the job's children need; those that call others together train nothing themselves."""
    if job.jobs.processes > 1:
        return ["sgonz.train.conductor"]
    return PRELOAD


def serve(modules: list[str]) -> None:
    """Start the fork server where it does not run, deaf to the signals that are meant for this process."""
    forkserver.set_forkserver_preload(modules)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    resource_tracker.ensure_running()  # unblocks two of them when it starts, hence first
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        forkserver.ensure_running()  # inherits what is blocked
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def attend(job: Job, children: Collection[Child]) -> list[Child]:
    """Wait until children leave, passing on what they are asked; those that left."""
    while not (left := [child for child in children if child.has_left]):
        wait([*(child.process.sentinel for child in children), job.told.fileno()], timeout=LOOK_SECONDS)
        job.told.hear()
        for child in children:
            if not child.has_left:
                remind(job, child)
    return left


def remind(job: Job, child: Child) -> None:
    """Ask a child to stop where there is reason to; kill one that was asked and takes too long."""
    if child.asked is None:
        # A disk that does not answer is no reason to end a run: os.path says False then.
        child.asked = CANCEL if os.path.exists(child.run.cancel) else STOP if job.told.reason else None
        if child.asked is not None:
            child.deadline = time.monotonic() + GRACE_SECONDS
            with contextlib.suppress(BrokenPipeError):  # it has just ended
                child.orders.send_bytes(child.asked)
    elif job.told.insisted or time.monotonic() > child.deadline:
        kill(child)


def finish(job: Job, child: Child) -> None:
    """End what a run started and left behind, and speak for the child where it could not."""
    kill(child)
    child.orders.close()
    event_file = Path(job.event_file)
    job.append(postmortem.missing_newline(event_file))
    if not postmortem.has_ended(event_file, child.written, child.run.root.name, child.mine.attempt):
        death = postmortem.Death(
            status=child.process.exitcode, asked=child.asked, oom_killed=postmortem.oom_kills() > child.kills,
            began=child.began,
        )  # fmt: skip
        job.emit(postmortem.ended(child.run, child.mine.attempt, death))


def kill_all(children: Iterable[Child | None]) -> None:
    """Kill those that are left."""
    for child in children:
        if child is not None:
            kill(child)


def kill(child: Child) -> None:
    """Kill a run's process and everything that it started."""
    kill_group(child.process)


def kill_group(process: ForkServerProcess) -> None:
    if process.pid is None:
        return
    for end in (os.killpg, os.kill) if process.exitcode is None else (os.killpg,):
        try:
            end(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
