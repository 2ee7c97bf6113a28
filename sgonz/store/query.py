"""Questions in SQL: named ones from db/queries, or any, on a connection that cannot write."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from sgonz.errors import StoreError
from sgonz.resources import shipped
from sgonz.store.connect import new_engine, store_errors

Answer = tuple[list[str], list[tuple[Any, ...]]]
HINT = "A query only reads; tables and columns are described in db/README.md."
NAME = re.compile(r"[a-z][a-z0-9_]*")
DEFAULT = re.compile(r"^-- :([a-z_]+) = '([^']*)'$", re.MULTILINE)


def named_queries() -> dict[str, str]:
    """Name -> what it answers, from the first line of its file."""
    folder = shipped("db") / "queries"
    return {
        path.stem: path.read_text().split("\n")[0].removeprefix("-- ")
        for path in sorted(folder.glob("*.sql"))
    }


def ask(location: str | Path, workspace: int, name_or_sql: str, parameters: Mapping[str, Any]) -> Answer:
    """Column names and rows. `:workspace` stands for the work folder; other parameters have to be given."""
    sql = _sql(name_or_sql)
    engine = new_engine(location, read_only=True, journal=None)
    try:
        with store_errors(location), engine.connect() as connection:
            refusal = connection.dialect.loaded_dbapi.Error
            try:
                return _execute(connection, sql, {"workspace": workspace, **_defaults(sql), **parameters})
            except refusal as error:
                raise StoreError(f"the query was refused: {str(error).strip()}", hint=HINT) from error
    finally:
        engine.dispose()


def _sql(name_or_sql: str) -> str:
    if not NAME.fullmatch(name_or_sql):
        return name_or_sql
    path = shipped("db") / "queries" / f"{name_or_sql}.sql"
    if not path.is_file():
        raise StoreError(
            f"there is no query named {name_or_sql}",
            hint=f"Named queries: {', '.join(named_queries())}; or give SQL in quotes.",
        )
    return path.read_text()


def _defaults(sql: str) -> dict[str, str]:
    """Values of parameters that a query of ours goes by where none is given: lines `-- :name = 'value'`."""
    return dict(DEFAULT.findall(sql))


def _execute(connection: Connection, sql: str, parameters: Mapping[str, Any]) -> Answer:
    sql = DEFAULT.sub("", sql)  # a comment may not ask for a parameter
    statement = text(sql).compile(dialect=connection.dialect)
    wanted = list(statement.params)
    if missing := [name for name in wanted if name not in parameters]:
        raise StoreError(f"the query needs a value for :{missing[0]}")
    given = {name: parameters[name] for name in wanted}
    if connection.dialect.name == "postgresql":
        # Prepared, because only then does the server take one statement and no more.
        raw: Any = connection.connection.driver_connection
        cursor = raw.execute(str(statement), given, prepare=True)
    else:
        raw = connection.connection.driver_connection
        cursor = raw.execute(sql, given)
    if cursor.description is None:
        raise StoreError("that statement gives no rows", hint=HINT)
    return [column[0] for column in cursor.description], [tuple(row) for row in cursor.fetchall()]
