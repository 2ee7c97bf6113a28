"""A Postgres server of the tests' own, from Debian's package, gone when they are."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PATIENT = {**os.environ, "PGCTLTIMEOUT": "300"}  # seconds; machines are busy
NEEDED = "Postgres is not installed: apt-get install postgresql (Debian), then run again"


def _as_postgres(*command: str | Path) -> list[str]:
    """The server refuses to run as root, and its files belong to whoever runs it."""
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    return [*prefix, *map(str, command)]


@dataclass(frozen=True)
class Server:
    """A Postgres server of our own, reached through a socket in a temporary folder."""

    url: str  # with {database}
    control: Callable[[str], None]  # start or stop it


@contextmanager
def a_server() -> Iterator[Server]:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found or (os.geteuid() == 0 and not shutil.which("runuser")):
        if os.environ.get("CI"):
            pytest.fail(NEEDED)
        pytest.skip(NEEDED)
    binaries = found[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="sgonz-pg-", dir="/tmp"))  # a socket's path must be short
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    cluster = folder / "cluster"
    settings = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off -c shared_buffers=16MB"
    initialise = (binaries / "initdb", "-D", cluster, "-A", "trust", "-U", "postgres", "--no-sync")
    start = (binaries / "pg_ctl", "-D", cluster, "-w", "-l", folder / "log", "-o", settings, "start")
    # Stops the server when its standard input ends: at the latest when this process is gone, however that was.
    stop = f"cat > /dev/null; exec {binaries}/pg_ctl -D {cluster} -m immediate stop"
    halt = (binaries / "pg_ctl", "-D", cluster, "-w", "-m", "fast", "stop")

    def control(what: str) -> None:
        command = _as_postgres(*(start if what == "start" else halt))
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", env=PATIENT)

    try:
        for command in (initialise, start):
            subprocess.run(
                _as_postgres(*command), check=True, stdout=subprocess.DEVNULL, cwd="/", env=PATIENT
            )
        stopper = subprocess.Popen(
            _as_postgres("sh", "-c", stop),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        with stopper:  # closes its input and waits for it
            yield Server(f"postgresql://postgres@/{{database}}?host={folder}", control)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
