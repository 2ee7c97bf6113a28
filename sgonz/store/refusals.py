"""What a database answers when it refuses, in our words and without its password."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sgonz.errors import SgonzError, StoreError, StoreSilent, WorkdirError
from sgonz.store.connect import SECRETS, is_url, parsed, shown


@contextmanager
def store_errors(location: str | Path) -> Iterator[None]:
    """Turn what the database says into StoreError or WorkdirError."""
    try:
        yield
    except DBAPIError as error:
        raise translated(error.orig or error, location) from error.orig
    except (sqlite3.Error, SQLAlchemyError) as error:
        raise translated(error, location) from error


def translated(error: BaseException, location: str | Path) -> SgonzError:
    """What a driver or SQLAlchemy raised, as an error that says what to do; passwords in the URL are left out."""
    where, said = shown(location), _first_line(error, location)
    state: Any = getattr(error, "sqlstate", None) or getattr(error, "sqlite_errorcode", 0) or 0
    if state == "53100" or (isinstance(state, int) and state & 0xFF == sqlite3.SQLITE_FULL):
        return WorkdirError(
            f"no space left for the database {where}",
            hint="Free space and type the command again; what was stored before is safe.",
        )
    if isinstance(state, int) and state & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreError(
            f"{where} is damaged or not an SQLite database ({said})",
            hint="Move it away and restore it from the run folders with: sgonz db rebuild",
        )
    if isinstance(state, int) and state & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(f"{where} is locked by another program", hint="Wait for it to end, or end it.")
    if isinstance(state, int) and state & 0xFF in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
        return StoreError(
            f"{where} cannot be opened for this ({said})",
            hint="Look at the rights of the file and its folder.",
        )
    silent = state == 0 and type(error).__name__ in ("OperationalError", "InterfaceError")  # no connection
    if is_url(location) and (silent or str(state).startswith(("08", "28", "3D", "57"))):
        return StoreSilent(
            f"the database {where} does not answer: {said}",
            hint="Nothing was lost; see that the server runs and that the URL and your rights are right.",
        )
    if state == "42501":
        return StoreError(
            f"the database {where} refused: {said}",
            hint="Let the owner of the tables do it or give you the right: db/README.md, Several people.",
        )
    return StoreError(f"the database {where} refused: {said}")


def _first_line(error: BaseException, location: str | Path) -> str:
    text = " ".join(" ".join(str(error).split("\n")[:2]).split()) or type(error).__name__
    for secret in _secrets(location):
        text = text.replace(secret, "***")
    return text


def _secrets(location: str | Path) -> list[str]:
    url = parsed(location) if is_url(location) else None
    if url is None:
        return []
    said = [url.password, *(url.query.get(name) for name in SECRETS)]
    return [str(secret) for secret in said if secret]
