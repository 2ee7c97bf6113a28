"""The work folder's lock: held for one turn or one command, so that only one process decides at a time."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from sgonz.errors import SgonzError
from sgonz.rundir import Workdir, disk_errors

POLL_SECONDS = 0.05


class Holder(msgspec.Struct, frozen=True):
    """Who holds the lock, and since when."""

    host: str
    pid: int
    since: float
    doing: str


class Busy(SgonzError):
    """Somebody else holds the lock for longer than we wait."""


@contextmanager
def hold(workdir: Workdir, doing: str, *, wait_seconds: float = 60.0) -> Iterator[None]:
    """Hold the lock while the block runs.

    The kernel lets go of it when its holder dies, on whatever host that was, so a dead holder never has to
    be cleaned up. Raises Busy, naming the holder, when it is not free in time.
    """
    with disk_errors(workdir.root):
        descriptor = os.open(workdir.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _wait(descriptor, workdir, wait_seconds)
        mine = Holder(host=socket.gethostname(), pid=os.getpid(), since=time.time(), doing=doing)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, msgspec.json.encode(mine), 0)
        yield
    finally:
        os.close(descriptor)


def _wait(descriptor: int, workdir: Workdir, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Busy(
                    f"{workdir.root} is in use by {_name(descriptor)}",
                    hint="Wait for it, or end that process; a lock whose holder died is free by itself.",
                ) from None
        time.sleep(POLL_SECONDS)


def _name(descriptor: int) -> str:
    try:
        holder = msgspec.json.decode(os.pread(descriptor, 4096, 0), type=Holder)
    except msgspec.DecodeError:
        return "another process"
    since = time.strftime("%H:%M:%S", time.localtime(holder.since))
    return f"{holder.doing} (process {holder.pid} on {holder.host}, since {since})"
