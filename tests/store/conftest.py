"""The databases that every rule of the store is tested on: SQLite in both its journals, and a real Postgres."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers import Server, a_server

from sgonz.store.store import Store, open_store


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
