"""Rows as data frames and Parquet, for notebooks: the libraries are imported when they are asked for."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Any

from msgspec import to_builtins

from sgonz.errors import UserError
from sgonz.store.rows import AttemptRow, ResultRow, SweepRow
from sgonz.store.store import Store
from sgonz.store.store import open_store as open_database
from sgonz.sweep.opening import database as location_of
from sgonz.sweep.planned import workdir_of

NONE: Mapping[str, Any] = MappingProxyType({})


class Table(list[dict[str, Any]]):
    """Rows, each a dictionary; `frame()` makes a pandas data frame of them."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
        super().__init__(dict(row) for row in rows)
        self.columns = tuple(columns)

    def frame(self) -> Any:
        """A pandas.DataFrame with these columns, in this order, also where there are no rows."""
        return _library("pandas", "pip install pandas").DataFrame(list(self), columns=list(self.columns))


class Results:
    """A work folder's database, to be read: `with sgonz.open_store("work") as store: store.query("leaderboard")`."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __enter__(self) -> Results:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        self.store.close()

    def query(self, name_or_sql: str, parameters: Mapping[str, Any] = NONE) -> Table:
        """A named query of db/queries, or SQL that only reads."""
        columns, rows = self.store.query(name_or_sql, parameters)
        return Table([dict(zip(columns, row, strict=True)) for row in rows], columns)

    def runs(self, sweep: str | None = None) -> Table:
        """Every run with its settings, state and final scores; of one sweep, or of all."""
        return _table(self.store.results(self._sweep(sweep)), ResultRow)

    def attempts(self) -> Table:
        """Every try at every run: where, how long, how it ended."""
        return _table(self.store.attempts(), AttemptRow)

    def curves(self, run_id: str) -> Table:
        """The validations of one run, in order; scores are columns."""
        rows = [
            {
                "epoch": row.epoch,
                "train_loss": row.train_loss,
                "validation_loss": row.validation_loss,
                **row.validation,
            }
            for row in self.store.epochs(run_id)
        ]
        return Table(rows, list(dict.fromkeys(name for row in rows for name in row)))

    def sweeps(self) -> Table:
        """Newest first, with the text that was submitted and where it came from."""
        return _table(self.store.sweeps(), SweepRow)

    def _sweep(self, name: str | None) -> int | None:
        if name is None:
            return None
        for row in self.store.sweeps():
            if row.name == name:
                return row.id
        raise UserError(f"there is no sweep {name}", hint="sgonz sweeps lists them.")


def open_store(workdir: str | None = None, *, database: str | None = None) -> Results:
    """Open the results of a work folder for reading.

    `workdir` is found as commands find it where it is not given; `database` is a file or a postgresql:// URL where it
    is not the work folder's own (or SGONZ_DATABASE). Raises StoreError where there is none.
    """
    folder = workdir_of(workdir)
    location = database or location_of(None, folder)
    return Results(open_database(location, workspace=folder.root, read_only=True))


def parquet(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    """A Parquet file; what is no plain value is JSON in it."""
    arrow = _library("pyarrow", "pip install 'sgonz[train]', or choose --format csv")
    writer = import_module("pyarrow.parquet")
    plain = {name: [_plain(row.get(name)) for row in rows] for name in columns}
    stream = io.BytesIO()
    writer.write_table(arrow.table({name: _column(arrow, values) for name, values in plain.items()}), stream)
    return stream.getvalue()


def _column(arrow: Any, values: Sequence[Any]) -> Any:
    """SQLite lets a column hold numbers and text; Parquet does not."""
    try:
        return arrow.array(values)
    except (arrow.ArrowInvalid, arrow.ArrowTypeError):
        return arrow.array([None if value is None else str(value) for value in values])


def _plain(value: Any) -> Any:
    if isinstance(value, dict | list | tuple):
        return json.dumps(to_builtins(value), ensure_ascii=False)
    return to_builtins(value)


def _library(name: str, install: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise UserError(f"this needs the {name} package, which is not installed", hint=install) from None


def _table(rows: Sequence[Any], kind: Any) -> Table:
    return Table([to_builtins(row) for row in rows], kind.__struct_fields__)
