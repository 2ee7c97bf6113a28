"""One open transaction in one workspace, and the statements that SQLite and Postgres spell differently."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, text, update
from sqlalchemy.exc import DBAPIError

from sgonz.store.tables import workspaces

PARAMETERS = 20_000  # of one statement; Postgres takes 65,535
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
        into = f'INSERT INTO "{table.name}" ({_listed(names)}) VALUES '
        values = [(self.workspace, *row.values()) for row in rows]
        if self.connection.dialect.name != "postgresql":
            marks = ", ".join("?" * len(names))
            self.connection.exec_driver_sql(f"{into}({marks}) {known}", values)
            return
        marks = ", ".join(["%s"] * len(names))
        most = PARAMETERS // len(names)  # rows in one statement: a server far away is asked seldom
        for start in range(0, len(values), most):
            part = values[start : start + most]
            listed = ", ".join([f"({marks})"] * len(part))
            flat = tuple(value for row in part for value in row)
            self.connection.exec_driver_sql(f"{into}{listed} {known}", flat)

    def count_change(self) -> None:
        """So that everybody can see whether something was written since they looked."""
        self.connection.execute(
            update(workspaces)
            .where(workspaces.c.id == self.workspace)
            .values(changes=workspaces.c.changes + 1)
        )

    def refresh_statistics(self) -> None:
        """Tell Postgres that tables have grown: until then it may scan all runs to find each one."""
        if self.connection.dialect.name == "postgresql":
            self.connection.execute(text("ANALYZE runs, sweep_runs, needs"))


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
