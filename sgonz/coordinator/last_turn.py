"""turn.json: the newest turn that anybody made, so that whoever only looks knows that somebody does."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from sgonz.looking.scene import LastTurn
from sgonz.rundir import Workdir, write_atomic

QUIET_SECONDS = (
    5.0  # between two notes of turns in which nothing is different; the folder may lie on a shared disk
)


def read(workdir: Workdir) -> LastTurn | None:
    try:
        return msgspec.json.decode(path_in(workdir).read_bytes(), type=LastTurn)
    except (OSError, msgspec.DecodeError):
        return None


def note(workdir: Workdir, sent: int, problems: Sequence[str]) -> None:
    """Say that a turn was made. What is written here is for eyes alone, so a full disk does no harm."""
    made = LastTurn(
        time=time.time(), by=by(), user=getpass.getuser(), host=socket.gethostname(), pid=os.getpid(), sent=sent,
        problems=tuple(problems),
    )  # fmt: skip
    before = read(workdir)
    alike = before is not None and (before.pid, before.host, before.problems) == (
        made.pid,
        made.host,
        made.problems,
    )
    if alike and before is not None and not sent and 0 <= made.time - before.time < QUIET_SECONDS:
        return
    with contextlib.suppress(OSError):
        write_atomic(path_in(workdir), msgspec.json.encode(made))


def by() -> str:
    """Who makes turns in this process: a Slurm job, or the command that was typed."""
    job = os.environ.get("SLURM_JOB_ID")
    if job:
        return f"job {job}"
    words = [word for word in sys.argv[1:2] if word.isalpha()]
    return words[0] if words else "sgonz"


def path_in(workdir: Workdir) -> Path:
    return workdir.root / "turn.json"
