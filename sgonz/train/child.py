"""What happens inside the forked process of one run."""

from __future__ import annotations

import faulthandler
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from sgonz import events
from sgonz.events import Event, MemoryShort, RunEnded
from sgonz.plan.runs import Outcome
from sgonz.rundir import RunDir
from sgonz.train.meeting import Left
from sgonz.train.seat import Seat
from sgonz.train.told import AGAIN, CANCEL, SIGNALS
from sgonz.workdir import costs


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What a run is done with."""

    processes: int = 1
    deepspeed: Mapping[str, Any] | None = None
    place_file: Path | None = None  # where the processes meet, if there are several
    on_gpu: bool = False  # or not at all
    sharers: int = 1  # runs on the same GPU at the same time


ONE_PROCESS = Engine()


def do_run(
    folder: str, attempt: int, header: str, event_file: str, orders: Connection, engine: Engine = ONE_PROCESS
) -> None:
    """Do one run, with its output in its own log and its events in the job's file.

    Events are appended here, through a descriptor opened with O_APPEND and one write for each line, rather
    than sent to the worker: what a run has said is then on disk even if the worker is killed, and a worker
    that hangs holds no run up. Leaves with AGAIN where the run can go on at once.
    """
    run, received = settle_in(folder, header, orders)
    again = False
    with Path(event_file).open("ab", buffering=0) as stream:

        def emit(event: Event) -> None:
            events.append(stream, event)

        began = time.time()
        try:
            if engine.processes > 1:
                ended, again = conducted(run, attempt, event_file, engine, emit, received)
            else:
                # Imported here: the worker imports this module and has to stay without torch.
                from sgonz.train.execute import execute

                ended = execute(run, attempt, emit, stop=lambda: bool(received), history=costs.read(run.workdir),
                                seat=Seat(deepspeed=engine.deepspeed, on_gpu=engine.on_gpu, sharers=engine.sharers))  # fmt: skip
        except BaseException as error:  # even SystemExit out of a library is this run's end, and is told
            traceback.print_exc()
            ended = died(run, attempt, error, began)
        emit(as_asked(ended, received))
    if again:
        sys.exit(AGAIN)


def conducted(
    run: RunDir, attempt: int, event_file: str, engine: Engine, emit: Callable[[Event], None],
    received: Sequence[bytes],
) -> tuple[RunEnded, bool]:  # fmt: skip
    from sgonz.train.conductor import Score, conduct

    assert engine.place_file is not None
    score = Score(run=run, attempt=attempt, event_file=event_file, place_file=engine.place_file,
                  processes=engine.processes, deepspeed=engine.deepspeed, on_gpu=engine.on_gpu)  # fmt: skip
    return conduct(score, emit, received)


def do_share(
    folder: str, attempt: int, event_file: str, orders: Connection, ends: Connection, seat: Seat,
    listener: socket.socket | None,
) -> None:  # fmt: skip
    """Do one process's share of a run. The first process alone writes events; how it ended is told to the member."""
    run, received = settle_in(folder, "", orders)
    short: list[MemoryShort] = []
    with Path(event_file).open("ab", buffering=0) as stream:

        def emit(event: Event) -> None:
            if isinstance(event, MemoryShort):
                short.append(event)
            elif seat.rank == 0:
                events.append(stream, event)

        began = time.time()
        try:
            from sgonz.train.execute import execute

            ended = execute(run, attempt, emit, stop=lambda: bool(received), history=costs.read(run.workdir),
                            seat=seat, listener=listener)  # fmt: skip
        except BaseException as error:
            traceback.print_exc()
            ended = died(run, attempt, error, began)
    left = Left(ended=as_asked(ended, received), short=short[-1] if short else None)
    ends.send_bytes(msgspec.json.encode(left))


def settle_in(folder: str, header: str, orders: Connection) -> tuple[RunDir, list[bytes]]:
    """Make this process the run's: a group of its own, its log, deaf to signals; orders are noted as they come."""
    os.setpgid(0, 0)  # so that the run can be killed together with whatever it starts
    shield()
    run = RunDir(Path(folder))
    log_to(run.log, header)
    received: list[bytes] = []
    threading.Thread(target=listen, args=(orders, received), daemon=True).start()
    return run, received


def as_asked(ended: RunEnded, received: Sequence[bytes]) -> RunEnded:
    if ended.outcome is Outcome.PREEMPTED and CANCEL in received:
        return msgspec.structs.replace(ended, outcome=Outcome.CANCELLED)
    return ended


def shield() -> None:
    """Leave signals to the worker, which passes on what they mean; Slurm sends them to every process of a job.

    Processes that the run starts have the usual behaviour, since pools end their workers with SIGTERM.
    """
    for number in SIGNALS:
        signal.signal(number, _ignore)
    os.register_at_fork(after_in_child=_unshield)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _ignore(number: int, frame: FrameType | None) -> None:
    """A handler rather than SIG_IGN: programs that the run starts do not inherit it."""


def _unshield() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def log_to(log: Path, header: str) -> None:
    """Send everything that this process prints, C libraries included, to the end of a file."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, header.encode())
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.close(descriptor)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    faulthandler.enable()  # a crash in C then says where


def listen(orders: Connection, received: list[bytes]) -> None:
    """Note the worker's orders; when the worker is gone, end at once.

    A run without its worker must not go on: the next attempt may already be at work in the same folder.
    """
    try:
        while True:
            received.append(orders.recv_bytes())
    except (EOFError, OSError):
        os.killpg(os.getpgrp(), signal.SIGKILL)


def died(run: RunDir, attempt: int, error: BaseException, began: float) -> RunEnded:
    """The end of a run whose error nobody caught."""
    frames: Sequence[traceback.FrameSummary] = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).stem}.{frames[-1].name}" if frames else "?"
    name = type(error).__name__
    return RunEnded(
        time=time.time(), run_id=run.root.name, attempt=attempt, outcome=Outcome.FAILED, seconds=time.time() - began,
        error=" ".join(f"{name}: {error}".split())[:500], signature=f"{name} in {place}",
    )  # fmt: skip
