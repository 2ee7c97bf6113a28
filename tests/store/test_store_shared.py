"""A database server that people share: passwords that are never shown, folders that do not see each other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from job_folders import eventually
from servers import Server
from store_examples import a_run, a_sweep, completed, send, started

from sgonz.errors import StoreError
from sgonz.plan.runs import State
from sgonz.resources import shipped
from sgonz.store.connect import shown
from sgonz.store.store import open_store, upgrade

PASSWORD = "s3cret-of-alice"


@pytest.fixture
def guarded(own_server: Server) -> str:
    """The start of URLs of a server that asks alice and bob for their passwords: //{who}@..."""
    import psycopg

    url = own_server.url.format(database="postgres")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE alice LOGIN PASSWORD '{PASSWORD}'")
        connection.execute("CREATE ROLE bob LOGIN PASSWORD 'other'")
        connection.execute("CREATE DATABASE shared OWNER alice")
        connection.execute("GRANT alice TO bob")
        [row] = connection.execute("SHOW hba_file").fetchall()
        Path(row[0]).write_text("local all postgres trust\nlocal all all scram-sha-256\n")
        connection.execute("SELECT pg_reload_conf()")
    folder = url.partition("host=")[2]
    shared = f"postgresql://{{who}}@/shared?host={folder}"

    def asks() -> bool:
        try:
            psycopg.connect(shared.format(who="alice"), password="wrong").close()
        except psycopg.OperationalError:
            return True
        return False

    eventually(asks)  # the server reads its rules again when it comes to it
    return shared


def test_password_comes_from_url_environment_or_file_and_is_never_shown(
    guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    alice = guarded.format(who="alice")
    file = tmp_path / "passwords"
    file.write_text(f"*:*:*:alice:{PASSWORD}\n")
    file.chmod(0o600)
    urls = [
        guarded.format(who=f"alice:{PASSWORD}"),
        f"{alice}&password={PASSWORD}",
        f"{alice}&passfile={file}",
    ]
    for url in urls:
        assert PASSWORD not in shown(url)
        open_store(url, workspace=tmp_path, create=True).close()
    with pytest.raises(StoreError, match="does not answer"):
        open_store(alice, workspace=tmp_path, create=True)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    open_store(alice, workspace=tmp_path, create=True).close()
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("PGPASSFILE", str(file))
    open_store(alice, workspace=tmp_path, create=True).close()
    wrong = (guarded.format(who="bob:wr0ng-one"), f"{guarded.format(who='bob')}&password=wr0ng-one")
    for url in wrong:
        with pytest.raises(StoreError) as caught:
            open_store(url, workspace=tmp_path, create=True)
        told = str(caught.value) + "".join(traceback.format_exception(caught.value))
        assert "wr0ng-one" not in told
        with open_store(urls[0], workspace=tmp_path) as store, pytest.raises(StoreError) as refused:
            store.query("SELECT nothing FROM nowhere")
        assert PASSWORD not in "".join(traceback.format_exception(refused.value))


def test_people_share_a_database_as_the_readme_says(own_server: Server, tmp_path: Path) -> None:
    import psycopg

    block = re.search(r"```sql\n(CREATE ROLE.*?)```", (shipped("db") / "README.md").read_text(), re.DOTALL)
    assert block
    said = re.sub(r" *--.*", "", block[1]).partition("\\connect study")
    bob = "CREATE ROLE bob LOGIN IN ROLE sgonz; ALTER ROLE bob IN DATABASE study SET role = sgonz"
    for database, statements in (("postgres", f"{said[0]}{bob}"), ("study", said[2])):
        with psycopg.connect(own_server.url.format(database=database), autocommit=True) as connection:
            for statement in filter(str.strip, statements.split(";")):
                connection.execute(statement)
    study = own_server.url.format(database="study")
    alice, bob, carol = (study.replace("postgres@", f"{who}@") for who in ("alice", "bob", "carol"))
    for who, url in (("alice", alice), ("bob", bob)):
        (tmp_path / who).mkdir()
        with open_store(url, workspace=tmp_path / who, create=True) as store:
            a_sweep(store, [a_run("same")])
        upgrade(url)
    upgrade(carol)  # where nothing is to be done, nobody is refused
    with open_store(carol, workspace=tmp_path / "alice") as store:
        assert [row[0] for row in store.query("SELECT run_id FROM runs")[1]] == ["same", "same"]
        with pytest.raises(StoreError, match=r"(?s)permission denied.*Several people"):
            store.add_note("first", "mine", author="carol", time=1.0)


def test_settings_in_the_url_hold_beside_ours(new_postgres: Callable[[], str], tmp_path: Path) -> None:
    url = f"{new_postgres()}&options=-c%20work_mem=7MB%20-c%20default_transaction_read_only=off"
    with open_store(url, workspace=tmp_path, create=True) as store:
        for setting, value in (("work_mem", "7MB"), ("jit", "off"), ("default_transaction_read_only", "on")):
            assert store.query(f"SELECT current_setting('{setting}')")[1] == [(value,)]


def test_two_people_with_the_same_runs_in_one_database_keep_their_own(guarded: str, tmp_path: Path) -> None:
    people = {"alice": f"alice:{PASSWORD}", "bob": "bob:other"}
    for name in people:
        (tmp_path / name).mkdir()
    stores = {
        name: open_store(guarded.format(who=who), workspace=tmp_path / name, create=True)
        for name, who in people.items()
    }
    try:
        for store in stores.values():
            send(store, a_sweep(store, [a_run("a"), a_run("b")]), "same-tag", ["a", "b"])
        line = [*started("a"), completed("a")]
        assert (
            stores["bob"]
            .apply("jobs/same-tag/events/0.0.jsonl", line, 99, tag="same-tag", element=0)
            .completed
        )
        assert [row.state for row in stores["bob"].snapshot()] == [State.COMPLETED, State.SUBMITTED]
        assert [row.state for row in stores["alice"].snapshot()] == [State.SUBMITTED, State.SUBMITTED]
        assert stores["alice"].offsets() == {}
        assert [sum(states.values()) for states in stores["alice"].counts().values()] == [2]
        assert len(stores["alice"].query("SELECT run_id FROM runs WHERE workspace_id = :workspace")[1]) == 2
    finally:
        for store in stores.values():
            store.close()


SWEEP = """
from pathlib import Path
from sgonz.cluster.local import LocalCluster
from sgonz.cluster.profile import load_profile
from sgonz.control.runs import add_grid
from sgonz.coordinator.coordinator import Coordinator
from sgonz.coordinator.turn import turn
from sgonz.sweep.opening import database
from sgonz.plan.expand import Sources
from sgonz.plan.runs import Dataset, Kind, Model, RunSpec, Settings
from sgonz.plan.spec import decode
from sgonz.rundir import Workdir
from sgonz.store.store import open_store, upgrade
import sys, time
work = Workdir(Path(sys.argv[1]))
work.create()
dataset, model = Dataset(name="d", task="tagging", format="conllu", metric="f1"), Model(name="m")
store = open_store(database(None, work), workspace=work.root, create=True)
sweep = store.add_sweep(name="s", text="", spec_json="{}", cluster="local", time=1.0, provenance={})
profile = load_profile("local")
at = Coordinator(workdir=work, store=store, cluster=LocalCluster(profile), profile=profile, sweep_id=sweep,
                 sweep=decode({"name": "s", "datasets": ["d"], "finetune": {"models": ["m"]}, "evaluate": False}, "x"),
                 sources=Sources(datasets={"d": dataset}, models={"m": model}))
add_grid(at, [RunSpec(run_id=f"{n:04d}", kind=Kind.NOOP, dataset=dataset, model=model, settings=Settings())
              for n in range(20)])
while not turn(at).decision.finished:
    print("a turn", flush=True)
    time.sleep(0.1)
"""


def test_password_is_in_no_command_line_and_no_file_while_jobs_run(guarded: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "SGONZ_DATABASE": guarded.format(who=f"alice:{PASSWORD}"),
        "PGPASSWORD": PASSWORD,
    }
    workers = set()
    with subprocess.Popen(
        [sys.executable, "-c", SWEEP, str(tmp_path / "work")], env=environment, stdout=subprocess.PIPE
    ) as sweep:
        while sweep.poll() is None:
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    words = (process / "cmdline").read_bytes()
                except OSError:  # it has just ended
                    continue
                assert PASSWORD.encode() not in words
                if str(tmp_path).encode() in words and process.name != str(sweep.pid):
                    workers.add(process.name)
            time.sleep(0.02)
    assert sweep.returncode == 0
    assert workers
    files = [path for path in (tmp_path / "work").rglob("*") if path.is_file()]
    assert len(files) > 5
    assert [path for path in files if PASSWORD.encode() in path.read_bytes()] == []
