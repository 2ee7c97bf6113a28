"""Opening a database: where, how, and what is said when it cannot be."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from store_examples import a_run, a_sweep

from sgonz.errors import StoreError, WorkdirError
from sgonz.plan.runs import State
from sgonz.store.connect import journal_for, shown
from sgonz.store.store import open_store
from sgonz.store.tables import SCHEMA

MOUNTS = r"""overlay / overlay rw 0 0
/dev/sda1 /home ext4 rw 0 0
server:/home /home/shared nfs4 rw 0 0
scratch@tcp:/lfs /scratch lustre rw 0 0
me@host: /mnt/over\040ssh fuse.sshfs rw 0 0
/dev/sdb1 /mnt/ntfs fuseblk rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "journal"),
    [
        ("/tmp/w/sgonz.db", "wal"),
        ("/home/me/sgonz.db", "wal"),
        ("/home/shared/me/sgonz.db", "delete"),
        ("/home/shared-not/sgonz.db", "wal"),
        ("/scratch/me/sgonz.db", "delete"),
        ("/mnt/over ssh/sgonz.db", "delete"),
        ("/mnt/ntfs/sgonz.db", "wal"),
    ],
)
def test_write_ahead_log_is_for_local_disks(path: str, journal: str) -> None:
    assert journal_for(Path(path), MOUNTS) == journal


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_journal_is_what_was_asked_for_even_after_the_other(tmp_path: Path, journal: str) -> None:
    path = tmp_path / "sgonz.db"
    for first in ("wal", "delete"):
        open_store(path, workspace=tmp_path, create=True, journal=first).close()  # type: ignore[arg-type]
    with (
        open_store(path, workspace=tmp_path, journal=journal) as store,  # type: ignore[arg-type]
        store.transaction() as at,
    ):
        said = [
            at.connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert said == [journal, {"wal": 1, "delete": 2}[journal], 1]


def test_file_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        open_store(tmp_path / "sgonz.db", workspace=tmp_path, create=True).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "sgonz.db").stat().st_mode) == 0o600


def test_missing_database_is_not_made_by_looking(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no database at .*sgonz\.db"):
        open_store(tmp_path / "sgonz.db", workspace=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_creation_that_was_cut_short_is_done_again(tmp_path: Path) -> None:
    (tmp_path / "sgonz.db").touch()
    with open_store(tmp_path / "sgonz.db", workspace=tmp_path, create=True) as store:
        assert store.snapshot() == []


def test_what_is_not_a_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "sgonz.db"
    path.write_text("learning_rate = 1e-5\n" * 100)
    with pytest.raises(StoreError, match=r"damaged or not an SQLite database.*\n.*sgonz db rebuild"):
        open_store(path, workspace=tmp_path, create=True)
    assert path.read_text().startswith("learning_rate")


def test_damaged_database_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "sgonz.db"
    with open_store(path, workspace=tmp_path, create=True, journal="delete") as store:
        a_sweep(store, [a_run(f"{number:04d}") for number in range(500)])
    content = bytearray(path.read_bytes())
    content[8192:] = bytes(len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged"), open_store(path, workspace=tmp_path) as store:
        store.snapshot()


def test_database_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipes (name)")
    connection.close()
    with pytest.raises(StoreError, match="holds no sgonz database"):
        open_store(path, workspace=tmp_path)


@pytest.mark.parametrize(("number", "said"), [("9999", "newer sgonz"), ("0000", "sgonz db upgrade")])
def test_other_schema_is_refused(tmp_path: Path, number: str, said: str) -> None:
    path = tmp_path / "sgonz.db"
    with open_store(path, workspace=tmp_path, create=True) as store, store.transaction() as at:
        assert at.connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == SCHEMA
        at.connection.execute(text("UPDATE alembic_version SET version_num = :number"), {"number": number})
    for create in (False, True):
        with pytest.raises(StoreError, match=said):
            open_store(path, workspace=tmp_path, create=create)


def test_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    with open_store(tmp_path / "sgonz.db", workspace=tmp_path, create=True) as store:
        sweep = a_sweep(store, [a_run("a")])
        with store.transaction() as at:
            pages = at.connection.execute(text("PRAGMA page_count")).scalar()
            at.connection.execute(text(f"PRAGMA max_page_count = {pages}"))
        with pytest.raises(WorkdirError, match="no space left"):
            store.add_runs(sweep, [a_run(f"{number:04d}") for number in range(500)])
        assert [run.run_id for run in store.snapshot()] == ["a"]


def test_database_that_another_program_holds_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sgonz.store.connect.BUSY_SECONDS", 0.01)
    path = tmp_path / "sgonz.db"
    with open_store(path, workspace=tmp_path, create=True) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked by another program"):
            a_sweep(store, [])
        assert store.sweeps() == []
        other.close()


def test_read_only_store_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "sgonz.db"
    with open_store(path, workspace=tmp_path, create=True) as store:
        a_sweep(store, [a_run("a")])
    with open_store(path, workspace=tmp_path, read_only=True) as store:
        assert len(store.snapshot()) == 1
        with pytest.raises(StoreError):
            store.set_state(["a"], State.FAILED, time=1.0)


def test_work_folder_can_be_moved_with_its_database(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    with open_store(before / "sgonz.db", workspace=before, create=True) as store:
        a_sweep(store, [a_run("a")])
    before.rename(after)
    with open_store(after / "sgonz.db", workspace=after) as store:
        assert len(store.snapshot()) == 1


def test_other_work_folder_has_nothing_in_this_database(tmp_path: Path) -> None:
    open_store(tmp_path / "mine" / "sgonz.db", workspace=tmp_path / "mine", create=True).close()
    with pytest.raises(StoreError, match="knows nothing of the work folder"):
        open_store(tmp_path / "mine" / "sgonz.db", workspace=tmp_path / "yours")


def test_server_that_does_not_answer_is_named_without_the_password(tmp_path: Path) -> None:
    url = f"postgresql://me:s3cret@/runs?host={tmp_path}"
    with pytest.raises(StoreError, match="does not answer") as caught:
        open_store(url, workspace=tmp_path, create=True)
    assert "s3cret" not in str(caught.value)
    assert "me:***@" in str(caught.value)


@pytest.mark.parametrize(
    "url", ["mysql://me:s3cret@host/runs", "postgresql://me:s3cret@host:port/runs", "://s3cret"]
)
def test_url_that_is_none_is_refused_without_the_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(StoreError, match="not a database that sgonz can use") as caught:
        open_store(url, workspace=tmp_path, create=True)
    assert "s3cret" not in str(caught.value) + shown(url)


def test_two_that_make_one_postgres_database_at_once_agree(
    new_postgres: Callable[[], str], tmp_path: Path
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    url = new_postgres()
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: open_store(url, workspace=tmp_path, create=True), range(4)))
    for store in stores:
        with store:
            assert store.snapshot() == []


def test_postgres_without_tables_is_not_filled_by_looking(
    new_postgres: Callable[[], str], tmp_path: Path
) -> None:
    url = new_postgres()
    for _ in range(2):
        with pytest.raises(StoreError, match="holds no sgonz database"):
            open_store(url, workspace=tmp_path)
