"""Copy everything from one database to another, as often as needed, and prove that it arrived."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Table, insert, select, update

from sgonz.errors import StoreError
from sgonz.plan.wording import number_of
from sgonz.store import migrate
from sgonz.store.connect import begin, is_url, make_file, new_engine, shown, workspace_name
from sgonz.store.maintain import TABLES
from sgonz.store.refusals import store_errors
from sgonz.store.rows import Row
from sgonz.store.tables import sweeps, workspaces
from sgonz.store.transaction import Transaction

BATCH = 20_000  # rows in one transaction: what is lost when a copy is interrupted
OWN = ("workspace_id", "id")  # numbers that each database gives by itself
Location = str | Path


class Copied(Row, frozen=True, kw_only=True):
    """One table of one work folder."""

    workspace: str
    table: str
    rows: int
    written: int  # 0 where it was there already
    checksum: str


@dataclass(frozen=True)
class Side:
    """One work folder in one of the two databases."""

    engine: Engine
    location: Location
    workspace: int


def copy(source: Location, target: Location, say: Callable[[str], None] = lambda line: None) -> list[Copied]:
    """Bring everything from one database into another and verify it.

    Tables that are equal already are left alone and rows that are there are brought up to date, so that a copy
    can be repeated, and one that was interrupted goes on. Raises StoreError where counts or checksums differ
    at the end.
    """
    if str(source) == str(target):
        raise StoreError("a database cannot be copied to itself", hint="Name another target.")
    if not is_url(target):
        make_file(Path(target).absolute())
    reading = new_engine(source, read_only=True, journal=None)
    writing = new_engine(target, read_only=False, journal=None)
    done: list[Copied] = []
    try:
        with store_errors(source), begin(reading, writes=False) as connection:
            migrate.check_version(connection, source)
            folders = connection.execute(select(workspaces.c.id, workspaces.c.path)).all()
        with store_errors(target), begin(writing, writes=True) as connection:
            migrate.create_tables(connection)
            migrate.check_version(connection, target)
        for number, path in folders:
            folder = (Path(source).absolute().parent if not is_url(source) else Path("/")) / path
            with store_errors(target), begin(writing, writes=True) as connection:
                there = _workspace(connection, workspace_name(target, folder))
            one, other = Side(reading, source, number), Side(writing, target, there)
            done += [_copy_table(table, one, other, str(folder), say) for table in TABLES]
    finally:
        reading.dispose()
        writing.dispose()
    return done


def _workspace(connection: Connection, name: str) -> int:
    found = connection.execute(select(workspaces.c.id).where(workspaces.c.path == name)).scalar()
    if found is None:
        added = connection.execute(insert(workspaces).values(path=name)).inserted_primary_key
        assert added is not None  # an INSERT of one row has one
        found = added[0]
    return int(found)


def _copy_table(table: Table, one: Side, other: Side, folder: str, say: Callable[[str], None]) -> Copied:
    count, checksum = _sum(table, one)
    written = 0
    if _sum(table, other) != (count, checksum):
        say(f"{table.name}: {number_of(count, 'row')}")
        written = _write(table, one, other)
        if (found := _sum(table, other)) != (count, checksum):
            raise StoreError(
                f"{shown(other.location)}: {table.name} holds {found[0]} rows and the source {count}, or they differ",
                hint="Somebody wrote to one of them meanwhile, or the target was used by itself; copy to an empty one.",
            )
    return Copied(workspace=folder, table=table.name, rows=count, written=written, checksum=checksum)


def _sum(table: Table, side: Side) -> tuple[int, str]:
    """How many rows, and the sum of their hashes: the same in whatever order a database gives them."""
    count = total = 0
    for row in _rows(table, side):
        count += 1
        total += int.from_bytes(
            hashlib.blake2b(msgspec.json.encode(list(row.values())), digest_size=8).digest()
        )
    return count, f"{total & (2**64 - 1):016x}"


def _rows(table: Table, side: Side) -> Iterator[dict[str, Any]]:
    """Rows without the numbers that are each database's own; a sweep is told by name and digest."""
    with store_errors(side.location), begin(side.engine, writes=False) as connection:
        named = {number: key for key, number in _sweep_ids(connection, side.workspace).items()}
        columns = [column for column in table.c if column.name not in OWN]
        found = select(*columns).where(table.c.workspace_id == side.workspace)
        names = [column.name for column in columns]
        for row in connection.execution_options(yield_per=BATCH).execute(found):
            values = dict(zip(names, row, strict=True))
            if "sweep_id" in values:
                values["sweep_id"] = named[values["sweep_id"]]
            yield values


def _sweep_ids(connection: Connection, workspace: int) -> dict[tuple[str, str], int]:
    found = select(sweeps.c.name, sweeps.c.digest, sweeps.c.id).where(sweeps.c.workspace_id == workspace)
    return {(name, digest): number for name, digest, number in connection.execute(found)}


def _write(table: Table, one: Side, other: Side) -> int:
    written = 0
    batch: list[dict[str, Any]] = []
    for row in _rows(table, one):
        batch.append(row)
        if len(batch) == BATCH:
            written += _write_batch(table, batch, other)
            batch = []
    return written + _write_batch(table, batch, other)


def _write_batch(table: Table, batch: list[dict[str, Any]], to: Side) -> int:
    with store_errors(to.location), begin(to.engine, writes=True) as connection:
        at = Transaction(connection, to.workspace)
        ids = _sweep_ids(connection, to.workspace)
        if table is sweeps:
            _write_sweeps(at, batch, ids)
        else:
            rows = [{**row, "sweep_id": ids[row["sweep_id"]]} if "sweep_id" in row else row for row in batch]
            keys = {column.name for column in table.primary_key}
            at.upsert(table, rows, update=[name for name in (rows[0] if rows else ()) if name not in keys])
        at.count_change()
    return len(batch)


def _write_sweeps(at: Transaction, batch: list[dict[str, Any]], ids: Mapping[tuple[str, str], int]) -> None:
    for row in batch:
        known = ids.get((row["name"], row["digest"]))
        if known is None:
            at.connection.execute(insert(sweeps).values(workspace_id=at.workspace, **row))
        else:
            at.connection.execute(update(sweeps).where(sweeps.c.id == known).values(row))
