"""One of the processes of a job whose runs are done by several: does its share of one run after the other.

`python -m sgonz.train.member JOB_FOLDER [ELEMENT]`, started beside the worker, one for every GPU: by srun, or as
processes of this machine with SGONZ_RANK. It does as the worker's conductor says, and ends with the worker.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import signal
import socket
import time
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import msgspec

from sgonz.events import RunEnded
from sgonz.rundir import RunDir
from sgonz.train import children, postmortem
from sgonz.train.child import do_share
from sgonz.train.meeting import (
    Begin,
    Hello,
    Left,
    Listening,
    Order,
    Place,
    here,
    look,
    place_file,
    receive,
    send,
)
from sgonz.train.seat import Seat
from sgonz.train.told import SIGNALS
from sgonz.train.worker import quieten, read_job

WAIT_SECONDS = 0.1  # between looks for a conductor; every look is a request to a shared disk
LATE_WAIT_SECONDS = 1.0  # after the first minute
PATIENT_SECONDS = 60.0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m sgonz.train.member", description="Do one process's share of a job's runs."
    )
    parser.add_argument("job_folder", type=Path, help="the folder of job.json")
    parser.add_argument(
        "element", type=int, nargs="?", help="which job of it; by default SLURM_ARRAY_TASK_ID"
    )
    options = parser.parse_args(arguments)
    element = options.element if options.element is not None else int(os.environ["SLURM_ARRAY_TASK_ID"])
    for number in SIGNALS:  # meant for the worker, which says what comes of them
        signal.signal(number, signal.SIG_IGN)
    folder = options.job_folder.absolute()
    quieten(read_job(str(folder), element).get("threads", 1))
    serve(place_file(folder, element), rank_here(), local_rank_here())
    return 0


def rank_here() -> int:
    return int(os.environ.get("SGONZ_RANK") or os.environ["SLURM_PROCID"])


def local_rank_here() -> int:
    """The number of this process's GPU among those that it sees."""
    return int(os.environ.get("SGONZ_RANK") or os.environ.get("SLURM_LOCALID", "0"))


def serve(file: Path, rank: int, local_rank: int) -> None:
    """Join one conductor after the other for as long as whoever started this process lives."""
    parent, since = os.getppid(), time.monotonic()
    known: Place | None = None
    while os.getppid() == parent:
        place = look(file)
        if place is not None and place != known and (connection := connected(place)) is not None:
            with connection:
                join(connection, rank, local_rank)
            known, since = place, time.monotonic()
            continue
        time.sleep(WAIT_SECONDS if time.monotonic() - since < PATIENT_SECONDS else LATE_WAIT_SECONDS)


def connected(place: Place) -> Connection | None:
    try:
        return Client((place.host, place.port), authkey=place.key)
    except (OSError, EOFError, AuthenticationError):
        return None  # it has just left, or the file is of one that was killed


def join(connection: Connection, rank: int, local_rank: int) -> None:
    """Do the share of one run that a conductor asks for."""
    with contextlib.suppress(EOFError, OSError):  # a conductor that is gone asks for nothing
        send(connection, Hello(rank=rank))
        begin = receive(connection)
        if isinstance(begin, Begin):
            send(connection, do(connection, begin, rank, local_rank))


def do(connection: Connection, begin: Begin, rank: int, local_rank: int) -> Left:
    """Have a process of its own do the share, passing on what it is asked; what it said last."""
    run, began, kills = RunDir(Path(begin.folder)), time.time(), postmortem.oom_kills()
    context = multiprocessing.get_context("forkserver")
    orders, ours = context.Pipe(duplex=False)
    told, ends = context.Pipe(duplex=False)
    host, port, listener = begin.host, begin.port, None
    if rank == 0 and begin.world > 1:
        host, address = here()
        listener = socket.create_server((address, 0))
        port = listener.getsockname()[1]
        send(connection, Listening(host=host, port=port))
    seat = Seat(
        rank=rank, local_rank=local_rank, world=begin.world, host=host, port=port, deepspeed=begin.deepspeed,
        on_gpu=begin.on_gpu,
    )  # fmt: skip
    process = context.Process(
        target=do_share, args=(begin.folder, begin.attempt, begin.event_file, orders, ends, seat, listener)
    )
    try:
        with orders, ends, contextlib.suppress(OSError, EOFError):
            children.serve(children.PRELOAD)
            process.start()
        attend(connection, process, ours)
    finally:
        end(process)
    if told.poll():
        return msgspec.json.decode(told.recv_bytes(), type=Left)
    return Left(ended=spoken_for(run, begin.attempt, process, began, postmortem.oom_kills() > kills))


def attend(connection: Connection, process: ForkServerProcess, orders: Connection) -> None:
    """Wait for the process to end; raises EOFError when the conductor is gone."""
    while process.pid is not None and process.exitcode is None:
        if connection in wait([process.sentinel, connection]):
            order = receive(connection)
            if isinstance(order, Order):
                with contextlib.suppress(BrokenPipeError):  # it has just ended
                    orders.send_bytes(order.word.encode())


def end(process: ForkServerProcess) -> None:
    """Kill the process, where it lives, and whatever it started; then it is gone."""
    children.kill_group(process)
    if process.pid is not None:
        process.join()


def spoken_for(
    run: RunDir, attempt: int, process: ForkServerProcess, began: float, oom_killed: bool
) -> RunEnded:
    """The end of a process that died without a word."""
    death = postmortem.Death(status=process.exitcode, asked=None, oom_killed=oom_killed, began=began)
    return postmortem.ended(run, attempt, death)


if __name__ == "__main__":
    raise SystemExit(main())
