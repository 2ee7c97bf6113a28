"""One open transaction in one workspace, and the statements that SQLite and Postgres spell differently."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import Connection, Dialect, Table, select, text, update
from sqlalchemy.exc import DBAPIError

from sgonz.store.tables import workspaces

PARAMETERS = 5000 if sqlite3.sqlite_version_info >= (3, 32) else 900  # of one statement of SQLite
CHUNK = 900  # values in one IN (...); older SQLite takes 999 parameters a statement


@dataclass(frozen=True)
class Transaction:
    """What functions of this folder work on."""

    connection: Connection
    workspace: int

    def upsert(self, table: Table, rows: Sequence[Mapping[str, Any]], *, update: Sequence[str] = ()) -> None:
        """Insert rows of the same columns; of those whose primary key is there, set `update`, or nothing."""
        keys = [column.name for column in table.primary_key]
        own = [name for name in keys if name != "workspace_id"]
        unique = {tuple(row[name] for name in own): row for row in rows}
        changed = ", ".join(f'"{name}" = excluded."{name}"' for name in update)
        known = f"ON CONFLICT ({_listed(keys)}) DO " + (f"UPDATE SET {changed}" if update else "NOTHING")
        self._insert(table, list(unique.values()), known)

    def fill(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert new rows, each with the same columns."""
        if rows and self.connection.dialect.name == "postgresql":
            self._stream(table, rows)
        else:
            self._insert(table, rows, "")

    def _stream(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """COPY, which takes a fifth of the time of INSERT."""
        statement = f'COPY "{table.name}" ({_listed(["workspace_id", *rows[0]])}) FROM STDIN'
        raw: Any = self.connection.connection.driver_connection
        refusal = self.connection.dialect.loaded_dbapi.Error
        try:
            with raw.cursor() as cursor, cursor.copy(statement) as stream:
                for row in rows:
                    stream.write_row((self.workspace, *row.values()))
        except refusal as error:
            raise DBAPIError(statement, None, error) from error

    def _insert(self, table: Table, rows: Sequence[Mapping[str, Any]], known: str) -> None:
        """Through the driver, which is several times faster than a statement that SQLAlchemy fills."""
        if not rows:
            return
        names = ["workspace_id", *rows[0]]
        into = f'INSERT INTO "{table.name}" ({_listed(names)}) '
        if self.connection.dialect.name == "postgresql":
            columns = [[self.workspace] * len(rows), *zip(*(row.values() for row in rows), strict=True)]
            self._execute_arrays(
                f"{into}SELECT * FROM {_unnested(table, names, self.connection.dialect)} {known}", columns
            )
            return
        # Many rows in one statement: where triggers follow, SQLite prepares to undo each statement by itself.
        marks = f"({', '.join('?' * len(names))})"
        many = max(1, PARAMETERS // len(names))  # rows in one statement
        for start in range(0, len(rows), many):
            part = rows[start : start + many]
            flat = [value for row in part for value in (self.workspace, *row.values())]
            self.connection.exec_driver_sql(
                f"{into}VALUES {', '.join([marks] * len(part))} {known}", tuple(flat)
            )

    def revise(self, table: Table, rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> None:
        """Set the columns of rows that are there, each found by its `keys` columns; rows of the same columns."""
        if not rows:
            return
        names = list(rows[0])
        changed = [name for name in names if name not in keys]
        if self.connection.dialect.name == "postgresql":
            setting = ", ".join(f'"{name}" = new."{name}"' for name in changed)
            found = " AND ".join(f'"{table.name}"."{key}" = new."{key}"' for key in keys)
            new = f"{_unnested(table, names, self.connection.dialect)} AS new ({_listed(names)})"
            here = f'"{table.name}".workspace_id = {self.workspace:d}'
            statement = f'UPDATE "{table.name}" SET {setting} FROM {new} WHERE {here} AND {found}'
            self._execute_arrays(statement, list(zip(*(row.values() for row in rows), strict=True)))
            return
        setting = ", ".join(f'"{name}" = ?' for name in changed)
        found = " AND ".join(f'"{key}" = ?' for key in keys)
        values = [tuple(row[name] for name in (*changed, *keys)) for row in rows]
        self.connection.exec_driver_sql(
            f'UPDATE "{table.name}" SET {setting} WHERE workspace_id = {self.workspace:d} AND {found}', values
        )

    def _execute_arrays(self, statement: str, columns: Sequence[Sequence[Any]]) -> None:
        """One parameter for each column, however many rows: Postgres reads a list of values several times faster."""
        self.connection.exec_driver_sql(statement, tuple(map(_plain, columns)))

    def count_change(self) -> None:
        """So that everybody can see whether something was written since they looked."""
        self.connection.execute(
            update(workspaces)
            .where(workspaces.c.id == self.workspace)
            .values(changes=workspaces.c.changes + 1)
        )

    def recorded(self) -> int | None:
        """How long coordinator.jsonl was when the last write that it tells of was committed; None where unknown."""
        found = select(workspaces.c.recorded).where(workspaces.c.id == self.workspace)
        return self.connection.execute(found).scalar()

    def set_recorded(self, size: int) -> None:
        self.connection.execute(
            update(workspaces).where(workspaces.c.id == self.workspace).values(recorded=size)
        )

    def refresh_statistics(self) -> None:
        """Tell Postgres that tables have grown: until then it may scan all runs to find each one."""
        if self.connection.dialect.name == "postgresql":
            self.connection.execute(text("ANALYZE runs, sweep_runs, needs"))


def _unnested(table: Table, names: Sequence[str], dialect: Dialect) -> str:
    arrays = ", ".join(f"%s::{table.c[name].type.compile(dialect=dialect)}[]" for name in names)
    return f"unnest({arrays})"


def _plain(values: Sequence[Any]) -> list[Any]:
    """The values of a column, without the classes of our words: psycopg looks at each of them."""
    return [str(value) if isinstance(value, StrEnum) else value for value in values]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def chunks(values: Iterable[str]) -> Iterator[list[str]]:
    """The values, each once, in lists that fit into one statement."""
    unique = list(dict.fromkeys(values))
    for start in range(0, len(unique), CHUNK):
        yield unique[start : start + CHUNK]


def as_text(value: Any) -> str:
    """JSON for a text column."""
    return msgspec.json.encode(value).decode()


def finite(scores: Mapping[str, float]) -> dict[str, float]:
    """The scores that are numbers: neither database keeps the others the same way."""
    return {name: value for name, value in scores.items() if math.isfinite(value)}
