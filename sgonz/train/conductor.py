"""A run on several processes as its worker sees it: one child that calls the members together and speaks for them."""

from __future__ import annotations

import queue
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener, wait
from pathlib import Path
from typing import Any, cast

import msgspec

from sgonz.events import Event, RunEnded
from sgonz.plan.runs import Outcome
from sgonz.rundir import RunDir
from sgonz.train.meeting import (
    AnyMessage,
    Begin,
    Hello,
    Left,
    Listening,
    Order,
    Place,
    announce,
    here,
    receive,
    send,
)

ASSEMBLY_SECONDS = 600.0  # for every member to start; nodes load their libraries from a shared disk
STRAGGLER_SECONDS = 10.0  # for the others to notice that one has failed, before they are ended
LOOK_SECONDS = 0.2  # between looks at what the worker has been asked


@dataclass(frozen=True, kw_only=True)
class Score:
    """What is to be conducted."""

    run: RunDir
    attempt: int
    event_file: str
    place_file: Path
    processes: int
    deepspeed: Mapping[str, Any] | None
    on_gpu: bool = False


@dataclass(kw_only=True)
class Ensemble:
    """The members of a run by rank, and who has left, in order."""

    members: dict[int, Connection]
    left: list[tuple[int, Left]] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)  # without a word

    def at_work(self) -> dict[int, Connection]:
        gone = {rank for rank, _ in self.left} | set(self.lost)
        return {rank: connection for rank, connection in self.members.items() if rank not in gone}


def conduct(score: Score, emit: Callable[[Event], None], asked: Sequence[bytes]) -> tuple[RunEnded, bool]:
    """Have the members do a run; how it ended, and whether it can go on at once. `asked` grows with the worker's orders."""
    began = time.time()
    key = secrets.token_bytes(32)
    host, address = here()
    with Listener((address, 0), backlog=score.processes, authkey=key) as listener:
        port = cast(tuple[str, int], listener.address)[1]
        announce(score.place_file, Place(host=host, port=port, key=key))
        try:
            ensemble = assemble(listener, score.processes, asked)
        finally:
            score.place_file.unlink(missing_ok=True)
    if len(ensemble.members) < score.processes:
        dismiss(ensemble)
        return unassembled(score, ensemble, asked, began), False
    try:
        start(score, ensemble)
        follow(ensemble, asked)
    finally:
        dismiss(ensemble)  # whoever is still at work is ended by its member
    return verdict(score, ensemble, emit, began)


def assemble(listener: Listener, processes: int, asked: Sequence[bytes]) -> Ensemble:
    """Let members in until all are there, or there is no time left to wait."""
    arrivals: queue.SimpleQueue[tuple[int, Connection]] = queue.SimpleQueue()
    threading.Thread(target=let_in, args=(listener, arrivals), daemon=True).start()
    ensemble, deadline = Ensemble(members={}), time.monotonic() + ASSEMBLY_SECONDS
    while len(ensemble.members) < processes and time.monotonic() < deadline and not asked:
        try:
            rank, connection = arrivals.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            continue
        if 0 <= rank < processes:
            ensemble.members[rank] = connection
    return ensemble


def let_in(listener: Listener, arrivals: queue.SimpleQueue[tuple[int, Connection]]) -> None:
    while True:
        try:
            connection = listener.accept()
        except (AuthenticationError, EOFError, ConnectionError):
            continue  # somebody else
        except OSError:
            return  # closed: all are there
        try:
            hello = receive(connection)
        except (EOFError, msgspec.DecodeError):
            continue
        if isinstance(hello, Hello):
            arrivals.put((hello.rank, connection))


def start(score: Score, ensemble: Ensemble) -> None:
    """The first member begins and says where it listens; then the others begin."""
    begin = Begin(
        folder=str(score.run.root), attempt=score.attempt, event_file=score.event_file, world=score.processes,
        deepspeed=dict(score.deepspeed) if score.deepspeed is not None else None, on_gpu=score.on_gpu,
    )  # fmt: skip
    for rank in sorted(ensemble.members):
        try:
            send(ensemble.members[rank], begin)
            if rank == 0:
                listening = receive(ensemble.members[0])
                if isinstance(listening, Listening):
                    begin = msgspec.structs.replace(begin, host=listening.host, port=listening.port)
        except (EOFError, OSError):
            ensemble.lost.append(rank)
            return


def follow(ensemble: Ensemble, asked: Sequence[bytes]) -> None:
    """Pass orders on until all have left, or until those that are left wait for somebody who failed."""
    passed, deadline = 0, float("inf")
    while (at_work := ensemble.at_work()) and time.monotonic() < deadline:
        ready = wait(list(at_work.values()), timeout=LOOK_SECONDS)
        while passed < len(asked):
            tell(ensemble, Order(word=asked[passed].decode()))
            passed += 1
        for rank, connection in at_work.items():
            if connection in ready:
                hear(ensemble, rank, connection)
        if deadline == float("inf") and has_failed(ensemble):
            deadline = time.monotonic() + STRAGGLER_SECONDS


def tell(ensemble: Ensemble, message: AnyMessage) -> None:
    for rank, connection in ensemble.at_work().items():
        try:
            send(connection, message)
        except OSError:
            ensemble.lost.append(rank)


def hear(ensemble: Ensemble, rank: int, connection: Connection) -> None:
    try:
        message = receive(connection)
    except (EOFError, OSError):
        ensemble.lost.append(rank)
        return
    if isinstance(message, Left):
        ensemble.left.append((rank, message))


def has_failed(ensemble: Ensemble) -> bool:
    fine = (Outcome.COMPLETED, Outcome.PREEMPTED)
    return bool(ensemble.lost) or any(left.ended.outcome not in fine for _, left in ensemble.left)


def dismiss(ensemble: Ensemble) -> None:
    for connection in ensemble.members.values():
        connection.close()


def verdict(
    score: Score, ensemble: Ensemble, emit: Callable[[Event], None], began: float
) -> tuple[RunEnded, bool]:
    """What the run came to: done if its first process says so; else memory, then whoever failed first."""
    ends = [left.ended for _, left in ensemble.left]
    leader = next((left.ended for rank, left in ensemble.left if rank == 0), None)
    if leader is not None and leader.outcome is Outcome.COMPLETED:
        return leader, False
    memory = next((end for end in ends if end.outcome is Outcome.OUT_OF_MEMORY), None)
    if memory is not None:
        short = next((left.short for _, left in ensemble.left if left.short is not None), None)
        if short is None:
            return memory, False
        emit(msgspec.structs.replace(short, time=time.time()))
        return msgspec.structs.replace(memory, outcome=Outcome.PREEMPTED, signature=None), True
    first = next((end for end in ends if end.outcome is not Outcome.COMPLETED), None)
    if first is not None:
        return first, False
    names = ", ".join(map(str, sorted(ensemble.lost))) or "?"
    return failed(score, f"process {names} of {score.processes} is gone without a word", began), False


def unassembled(score: Score, ensemble: Ensemble, asked: Sequence[bytes], began: float) -> RunEnded:
    if asked:
        return msgspec.structs.replace(
            failed(score, "stopped before it began", began), outcome=Outcome.PREEMPTED
        )
    absent = [rank for rank in range(score.processes) if rank not in ensemble.members]
    return failed(score, f"process {', '.join(map(str, absent))} of {score.processes} did not start; see the job's output", began)  # fmt: skip


def failed(score: Score, error: str, began: float) -> RunEnded:
    return RunEnded(
        time=time.time(), run_id=score.run.root.name, attempt=score.attempt, outcome=Outcome.FAILED,
        seconds=time.time() - began, error=error, signature=error,
    )  # fmt: skip
