"""Processes of this machine, told apart so that a process number used again is never mistaken."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
PS = ("ps", "-axww", "-o", "pid=,pgid=,lstart=,stat=,command=")
UNKNOWN_START = "?"  # of a session whose first process has ended


@dataclass(frozen=True)
class Process:
    """One living process; `start` is in the system's own unit and only compared."""

    pid: int
    session: int
    start: str
    command: str  # arguments joined by spaces


@dataclass(frozen=True)
class Identity:
    """The first process of a job, as the store keeps it: PID:START@HOST/BOOT."""

    pid: int
    start: str
    host: str
    boot: str

    def __str__(self) -> str:
        return f"{self.pid}:{self.start}@{self.host}/{self.boot}"

    @classmethod
    def read(cls, external_id: str) -> Identity:
        """Raises ValueError where the text is not an identity."""
        pid, rest = external_id.split(":", 1)
        start, machine = rest.rsplit("@", 1)
        host, boot = machine.split("/", 1)
        return cls(int(pid), start, host, boot)

    @classmethod
    def here(cls, pid: int, start: str) -> Identity:
        return cls(pid, start, socket.gethostname(), boot_id())

    @property
    def is_local(self) -> bool | None:
        """Whether it can be looked up here; False after a restart of this machine, None on another one."""
        if self.boot == boot_id() and (self.boot or self.host == socket.gethostname()):
            return True
        return False if self.host == socket.gethostname() else None


def processes() -> dict[int, Process]:
    """Every living process by its number; zombies are not among them."""
    found = _from_proc() if (PROC / "self" / "stat").exists() else _from_ps()
    return {process.pid: process for process in found}


def boot_id() -> str:
    """What changes when the machine restarts; empty where the system does not say."""
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text()[:8]
    except OSError:
        return ""


def start_of(pid: int) -> str | None:
    """When a process started; None when there is none."""
    if (PROC / "self" / "stat").exists():
        process = _read(pid)
    else:
        process = next((process for process in _from_ps() if process.pid == pid), None)
    return process.start if process else None


def send(process: Process, number: signal.Signals) -> None:
    """Signal exactly this process; nothing happens when it has ended, even where its number is in use again."""
    try:
        # From here on the descriptor means one process, whatever happens to its number.
        handle = os.pidfd_open(process.pid) if hasattr(os, "pidfd_open") else None
    except ProcessLookupError:
        return
    try:
        if start_of(process.pid) != process.start:
            return
        if handle is None:
            os.kill(process.pid, number)
        else:
            signal.pidfd_send_signal(handle, number)
    except (ProcessLookupError, PermissionError):
        return
    finally:
        if handle is not None:
            os.close(handle)


def _from_proc() -> Iterator[Process]:
    for name in os.listdir(PROC):
        if name.isdigit() and (process := _read(int(name))) is not None:
            yield process


def _read(pid: int) -> Process | None:
    try:
        stat = (PROC / str(pid) / "stat").read_text(errors="replace")
        command = (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:  # it ended while we looked, or is somebody else's
        return None
    fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    state, session, start = fields[0], fields[3], fields[19]
    if state in "ZX":
        return None
    return Process(
        pid, int(session), start, command.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
    )


def _from_ps() -> Iterator[Process]:
    """Where there is no /proc; the process group stands in for the session, which its leader began too."""
    listing = subprocess.run(
        PS, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"}
    )
    for line in listing.stdout.splitlines():
        pid, group, day, month, date, clock, year, state, *command = line.split(None, 8)
        if not state.startswith("Z"):
            start = "-".join((day, month, date, clock, year))
            yield Process(int(pid), int(group), start, command[0] if command else "")
