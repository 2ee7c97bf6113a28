"""Where a database is, and how a connection to it is set up."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import QueuePool

from sgonz.errors import StoreError
from sgonz.rundir import disk_errors
from sgonz.store.tables import SELECTED, SPLIT

Journal = Literal["wal", "delete"]

BUSY_SECONDS = 60  # a rollback journal on a slow disk makes others wait that long, rarely
NETWORK = re.compile(
    "9p|afs|beegfs|ceph|cifs|fuse|fuse[.].*|gfs2|glusterfs|gpfs|lustre|ncpfs|nfs4?|ocfs2|orangefs|panfs|pvfs2|smb3|smbfs"
    "|vboxsf|virtiofs|wekafs"
)
SECRETS = ("password", "sslpassword")  # of a URL's query; the part before the host has its own
MOUNTS = Path("/proc/mounts")


def is_url(location: str | Path) -> bool:
    return isinstance(location, str) and "://" in location


def workspace_name(location: str | Path, folder: Path) -> str:
    """What a work folder is called in a database: one inside it stays its own when both are moved."""
    path = folder.resolve()
    inside = not is_url(location) and Path(location).resolve().is_relative_to(path)
    return os.path.relpath(path, Path(location).resolve().parent) if inside else str(path)


def shown(location: str | Path) -> str:
    """The location as it may be printed: without a password."""
    if not is_url(location):
        return str(location)
    url = parsed(location)
    if url is None:
        return "the database URL"
    hidden = {name: "***" if name in SECRETS else value for name, value in url.query.items()}
    return url.set(query=hidden).render_as_string(hide_password=True)


def engine_url(location: str | Path) -> URL:
    """The URL that SQLAlchemy opens. Raises StoreError for what is no location of a store."""
    if not is_url(location):
        return URL.create("sqlite", database=str(Path(location).absolute()))
    url = parsed(location)
    if url is None or url.get_backend_name() not in ("postgresql", "postgres"):
        raise StoreError(
            f"{shown(location)} is not a database that sgonz can use",
            hint="Give the path of an SQLite file, or postgresql://user@host/name.",
        )
    return url.set(drivername="postgresql+psycopg")


def parsed(location: str | Path) -> URL | None:
    try:
        return make_url(str(location))
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        return None


def new_engine(location: str | Path, *, read_only: bool, journal: Journal | None) -> Engine:
    """An engine whose connections are set up for this kind of database; nothing is opened yet."""
    url = engine_url(location)
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(Path(str(url.database)), read_only=read_only, journal=journal)
    SELECTED.dialect_options["postgresql"]["where"] = text("selected")
    SPLIT.dialect_options["postgresql"]["where"] = text("splits IS NOT NULL")
    # Compiling takes a second where the planner is far off, and nothing that we ask runs long enough to gain it back.
    options = [*_options(url), "-c jit=off", *(["-c default_transaction_read_only=on"] if read_only else [])]
    try:
        return create_engine(url, connect_args={"options": " ".join(options)}, pool_pre_ping=True)
    except (ImportError, NoSuchModuleError) as error:
        raise StoreError(
            "Postgres needs the psycopg package, which is not installed", hint="pip install 'sgonz[postgres]'"
        ) from error


def _options(url: URL) -> tuple[str, ...]:
    """The settings that the URL itself asks for."""
    said = url.query.get("options", ())
    return (said,) if isinstance(said, str) else said


def make_file(path: Path) -> None:
    """An empty database file that its owner alone can read."""
    with disk_errors(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def journal_for(path: Path, mounts: str) -> Journal:
    """Write-ahead logging needs memory that all processes share, so not on a network file system."""
    return "delete" if NETWORK.fullmatch(file_system(path, mounts)) else "wal"


def file_system(path: Path, mounts: str) -> str:
    """The type of the file system that holds a path; empty where that is not known.

    `mounts` is the content of /proc/mounts: device, folder, type, ... one mount a line.
    """
    best, kind = "", ""
    for line in mounts.splitlines():
        fields = line.split(" ")
        folder = fields[1].encode().decode("unicode_escape")  # a blank is \040
        if len(folder) >= len(best) and path.is_relative_to(folder):
            best, kind = folder, fields[2]
    return kind


def _sqlite_engine(path: Path, *, read_only: bool, journal: Journal | None) -> Engine:
    if journal is None:
        mounts = MOUNTS.read_text() if MOUNTS.exists() else ""
        journal = journal_for(path.resolve(), mounts)

    def connect() -> sqlite3.Connection:
        mode = "ro" if read_only else "rw"  # never creates: an empty file in the wrong place helps nobody
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,  # transactions begin where we say so
            check_same_thread=False,
        )
        if read_only:
            connection.set_authorizer(_only_this_file)
        try:
            for pragma in _pragmas(read_only, journal):
                connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool)
    event.listen(engine, "begin", _emit_begin)
    return engine


def _only_this_file(action: int, *_: str | None) -> int:
    """Refuse what would make another file even on a connection that cannot write."""
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH else sqlite3.SQLITE_OK


def _pragmas(read_only: bool, journal: Journal) -> list[str]:
    if read_only:
        return ["query_only = ON"]
    synchronous = (
        "NORMAL" if journal == "wal" else "FULL"
    )  # both lose nothing that was committed to a crash of ours
    return [
        f"journal_mode = {journal}",
        f"synchronous = {synchronous}",
        "foreign_keys = ON",
        "cache_size = -65536",
        "temp_store = MEMORY",
    ]


def _emit_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    # A transaction that reads first and writes later could not wait for another writer: it would fail.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def begin(engine: Engine, *, writes: bool) -> Iterator[Connection]:
    """One transaction, committed when the block ends well."""
    with engine.connect().execution_options(writes=writes) as connection, connection.begin():
        yield connection
