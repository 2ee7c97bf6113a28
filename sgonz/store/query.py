"""Questions in SQL: named ones from db/queries, or any, on a connection that cannot write."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, inspect, text

from sgonz.errors import StoreError
from sgonz.resources import shipped
from sgonz.store.connect import new_engine
from sgonz.store.refusals import store_errors
from sgonz.store.tables import metadata
from sgonz.store.views import definitions

Answer = tuple[list[str], list[tuple[Any, ...]]]
HINT = "A query only reads; tables and columns are described in db/README.md."
NAME = re.compile(r"[a-z][a-z0-9_]*")
DEFAULT = re.compile(r"^-- :([a-z_]+) = '([^']*)'$", re.MULTILINE)
NO_TABLE = re.compile(r"no such table: (?:\w+\.)?(\w+)|relation \"([^\"]+)\" does not exist")
NO_COLUMN = re.compile(r"no such column: (?:\w+\.)?(\w+)|column \"?(?:\w+\.)?(\w+)\"? does not exist")


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """One query of db/queries."""

    answers: str  # the first line of its file
    parameters: tuple[str, ...]  # that can be given


def named_queries() -> dict[str, Named]:
    """Name -> what can be asked."""
    texts = {path.stem: path.read_text() for path in sorted((shipped("db") / "queries").glob("*.sql"))}
    return {
        name: Named(answers=sql.split("\n")[0].removeprefix("-- "), parameters=tuple(_defaults(sql)))
        for name, sql in texts.items()
    }


def ask(location: str | Path, workspace: int, name_or_sql: str, parameters: Mapping[str, Any]) -> Answer:
    """Column names, none of them twice, and rows. `:workspace` stands for the work folder; other parameters have to be given."""
    sql = _sql(name_or_sql)
    engine = new_engine(location, read_only=True, journal=None)
    try:
        with store_errors(location), engine.connect() as connection:
            refusal = connection.dialect.loaded_dbapi.Error
            try:
                everything = {"workspace": workspace, **_defaults(sql), **parameters}
                return _execute(connection, sql, everything, list(parameters))
            except refusal as error:
                connection.rollback()
                said = str(error).strip()
                raise StoreError(
                    f"the query was refused: {said}", hint=_what_there_is(engine, sql, said)
                ) from error
    finally:
        engine.dispose()


def _sql(name_or_sql: str) -> str:
    if not NAME.fullmatch(name_or_sql):
        return name_or_sql
    path = shipped("db") / "queries" / f"{name_or_sql}.sql"
    if not path.is_file():
        raise StoreError(
            f"there is no query named {name_or_sql}",
            hint=f"{_meant(name_or_sql, list(named_queries()))}Named queries: {', '.join(named_queries())}; or give SQL in quotes.",
        )
    return path.read_text()


def _defaults(sql: str) -> dict[str, str]:
    """Values of parameters that a query of ours goes by where none is given: lines `-- :name = 'value'`."""
    return dict(DEFAULT.findall(sql))


def _what_there_is(engine: Engine, sql: str, said: str) -> str:
    """What to write instead of a table or column that is not there."""
    tables, views = sorted(metadata.tables), sorted(definitions())
    if found := NO_TABLE.search(said):
        meant = _meant(found[1] or found[2], [*tables, *views])
        return f"{meant}Tables: {', '.join(tables)}. Views: {', '.join(views)}."
    if found := NO_COLUMN.search(said):
        asked = [name for name in (*tables, *views) if re.search(rf"\b{name}\b", sql, re.IGNORECASE)]
        looked = inspect(engine)
        columns = {name: [column["name"] for column in looked.get_columns(name)] for name in asked}
        if columns:
            meant = _meant(found[1] or found[2], [column for each in columns.values() for column in each])
            return meant + " ".join(
                f"Columns of {name}: {', '.join(each)}." for name, each in columns.items()
            )
    return HINT


def _meant(word: str, known: Sequence[str]) -> str:
    close = get_close_matches(word.lower(), known, n=1)
    return f"Did you mean {close[0]}? " if close else ""


def _execute(connection: Connection, sql: str, parameters: Mapping[str, Any], given: Sequence[str]) -> Answer:
    sql = DEFAULT.sub("", sql)  # a comment may not ask for a parameter
    statement = text(sql).compile(dialect=connection.dialect)
    wanted = list(statement.params)
    if missing := [name for name in wanted if name not in parameters]:
        raise StoreError(
            f"the query needs a value for :{missing[0]}", hint=f"--param {missing[0]}=VALUE gives one."
        )
    if unknown := [name for name in given if name not in wanted]:
        known = ", ".join(name for name in wanted if name != "workspace") or "none"
        raise StoreError(f"the query has no parameter {unknown[0]}", hint=f"Its parameters: {known}.")
    values = {name: parameters[name] for name in wanted}
    raw: Any = connection.connection.driver_connection
    if connection.dialect.name == "postgresql":
        # Prepared, because only then does the server take one statement and no more.
        cursor = raw.execute(str(statement), values, prepare=True)
    else:
        cursor = raw.execute(sql, values)
    if cursor.description is None:
        raise StoreError("that statement gives no rows", hint=HINT)
    names = [column[0] for column in cursor.description]
    return _told_apart(names), [tuple(map(_value, row)) for row in cursor.fetchall()]


def _told_apart(names: Sequence[str]) -> list[str]:
    """Columns of two tables may have one name; the second is called `name_2`."""
    return [
        f"{name}_{before + 1}" if (before := names[:at].count(name)) else name
        for at, name in enumerate(names)
    ]


def _value(value: Any) -> Any:
    """As both databases would give it: Postgres has types that no format of ours knows."""
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime.date() | datetime.time():
            return value.isoformat()
        case bytes() | memoryview():
            return bytes(value).hex()
        case None | bool() | int() | float() | str() | list() | dict():
            return value
        case _:
            return str(value)
