"""The databases that every rule of the store is tested on: SQLite in both its journals, and a real Postgres."""

from __future__ import annotations

import itertools
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

from sgonz.store.store import Store, open_store

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


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The start of URLs of a server that all tests share."""
    with a_server() as server:
        yield server.url


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that a test may stop."""
    with a_server() as server:
        yield server


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
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")

    try:
        for command in (initialise, start):
            subprocess.run(_as_postgres(*command), check=True, stdout=subprocess.DEVNULL, cwd="/")
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


_numbers = itertools.count()


@pytest.fixture
def new_postgres(postgres_server: str) -> Callable[[], str]:
    """Makes an empty database; gives its URL."""
    import psycopg  # only here: the other tests do without it

    def make() -> str:
        name = f"store_{next(_numbers)}"
        with psycopg.connect(postgres_server.format(database="postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return postgres_server.format(database=name)

    return make


@pytest.fixture(scope="session")
def shared_postgres(postgres_server: str) -> str:
    """One database for all tests; each has a work folder, and so a workspace, of its own."""
    return postgres_server.format(database="postgres")


@pytest.fixture(params=["wal", "delete", "postgres"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Opens the same store again, as another process would."""
    if request.param == "postgres":
        url = request.getfixturevalue("shared_postgres")
        return lambda: open_store(url, workspace=tmp_path, create=True)
    return lambda: open_store(tmp_path / "sgonz.db", workspace=tmp_path, create=True, journal=request.param)


@pytest.fixture
def store(reopen: Callable[[], Store]) -> Iterator[Store]:
    with reopen() as opened:
        yield opened
