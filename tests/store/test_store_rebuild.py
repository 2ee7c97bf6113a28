"""The store again from what stands in the work folder, and in another database."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_examples import a_family, a_run, a_sweep, completed, ended, epoch, left, send, started

from sgonz.coordinator.collection import collect, note_torn
from sgonz.errors import StoreError
from sgonz.events import JobStarted
from sgonz.plan.orders import Order, Orders, with_order
from sgonz.plan.runs import Outcome, State
from sgonz.rebuild import rebuild
from sgonz.rundir import Workdir, write_atomic
from sgonz.store import copying
from sgonz.store.copying import copy
from sgonz.store.maintain import backup, check
from sgonz.store.rows import BenchmarkRow, EndedJob
from sgonz.store.store import Store, open_store
from sgonz.workdir.journal import Journal

ROOT = Path(__file__).resolve().parents[2]
encode = msgspec.json.Encoder().encode


def write(folder: Path, tag: str, events: list[Any], *, file: str = "0.0.jsonl", raw: bytes = b"") -> Path:
    path = folder / "jobs" / tag / "events" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        stream.write(b"".join(encode(event) + b"\n" for event in events) + raw)
    return path


def checksums(location: Path | str, folder: Path) -> dict[str, tuple[int, str]]:
    """Of every table, whatever numbers a database gives its rows."""
    target = folder / f"looked-at-{os.urandom(4).hex()}.db"
    shared = "://" in str(location)  # other tests have their work folders there
    rows = [row for row in copy(location, target) if not shared or row.workspace == str(folder)]
    return {row.table: (row.rows, row.checksum) for row in rows}


def gather(store: Store, folder: Path) -> None:
    collect(store, Workdir(folder), store.live_jobs())


def lived(store: Store, folder: Path) -> None:
    """A store after most of what can happen to one."""
    sweep = a_sweep(store, [a_run("rival"), *a_family()])
    send(store, sweep, "t1", ["rival", "teacher", "logits"])
    write(
        folder,
        "t1",
        [
            *started("rival"),
            epoch("rival", 1),
            epoch("rival", 2),
            completed("rival", left={"model": 3}),
            *started("teacher", time=55.0),
        ],
    )
    gather(store, folder)
    store.set_state(["student"], State.CANCELLED, reason="by hand", time=60.0)
    write(folder, "t1", [epoch("teacher", 1, time=70.0)], raw=b'{"type":"epoch_en')
    gather(store, folder)
    store.end_jobs([EndedJob(tag="t1", element=0, outcome=Outcome.TIMEOUT, evidence="sacct")], 80.0)
    store.reset_failures(["student"])
    store.set_state(["student"], State.PENDING, time=81.0)
    send(store, sweep, "t2", ["teacher"], time=90.0)
    write(
        folder,
        "t2",
        [
            *started("teacher", 2, 91.0),
            completed("teacher", 2, left={"model": 7}),
            ended("ghost", Outcome.FAILED),
        ],
    )
    gather(store, folder)
    store.extend_job("t2", 0, ["logits", "student"], 95.0)
    store.mark_selected({"teacher"}, {"rival"}, sweep_id=sweep)
    pause = Order(what="pause", where="dataset = pos", time=96.0, reason="a talk")
    store.set_orders(sweep, with_order(Orders(max_gpus=8), pause))
    second = a_sweep(store, [a_run("rival"), a_run("alone")], name="second", time=99.0)
    store.mark_selected({"rival"}, set(), sweep_id=second)
    store.renew({"rival": 2}, "made again", "made again at work", 97.0)
    store.add_note("second", "for the paper", author="ada", time=99.5)
    store.add_note("second", "not needed", author="ada", time=99.6)
    store.remove_note("second", 2)
    store.set_tags("second", ["paper", "draft"])
    store.set_tags("second", ["paper", "keep"])
    store.add_benchmarks(
        [BenchmarkRow(run_id="alone", model="m", device="cpu", batch_size=1, length=8, macs=5.0)]
    )
    store.forget_artifacts(["rival"])
    store.add_submission(tag="t3", sequence=store.next_sequence(), sweep_id=second, cluster="x",
                         elements=[["alone"]], time=100.0)  # fmt: skip


def test_rebuilt_store_is_the_one_that_was_lost(reopen: Callable[[], Store], tmp_path: Path) -> None:
    with reopen() as store:
        lived(store, tmp_path)
        before = checksums(store.location, tmp_path)
        snapshot, results, attempts = store.snapshot(), store.results(), store.attempts()
        assert before["scores"][0] > 5
        assert before["problems"][0] == before["artifacts"][0] == 1
        replay = rebuild(store, Workdir(tmp_path))
        assert replay.missing == []
        assert (store.snapshot(), store.results(), store.attempts()) == (snapshot, results, attempts)
        assert checksums(store.location, tmp_path) == before
    fresh = tmp_path / "fresh.db"
    with open_store(fresh, workspace=tmp_path, create=True, recorded=False) as store:
        rebuild(store, Workdir(tmp_path))
    assert checksums(fresh, tmp_path) == before


def test_rebuilding_without_a_journal_is_refused_and_changes_nothing(store: Store, tmp_path: Path) -> None:
    a_sweep(store, [a_run("a")])
    (tmp_path / "coordinator.jsonl").unlink()
    with pytest.raises(StoreError, match="holds what no other file tells"):
        rebuild(store, Workdir(tmp_path))
    assert len(store.snapshot()) == 1


def test_finished_run_that_the_journal_does_not_know_is_found_on_disk(store: Store, tmp_path: Path) -> None:
    a_sweep(store, [a_run("known")])
    run = Workdir(tmp_path).run("stray")
    write_atomic(run.spec, encode(a_run("stray")))
    write_atomic(run.result, encode(completed("stray")))
    rebuild(store, Workdir(tmp_path))
    assert {row.run_id: row.state for row in store.snapshot()} == {"known": "PENDING", "stray": "COMPLETED"}
    assert [sweep.name for sweep in store.sweeps()] == ["first", "found-on-disk"]


def test_torn_last_line_of_the_journal_is_no_obstacle(store: Store, tmp_path: Path) -> None:
    a_sweep(store, [a_run("a")])
    with (tmp_path / "coordinator.jsonl").open("ab") as stream:
        stream.write(b'{"v":1,"time":3.0,"type":"store","do":"set_st')
    rebuild(store, Workdir(tmp_path))
    assert [row.run_id for row in store.snapshot()] == ["a"]


def seen(store: Store) -> tuple[Any, ...]:
    jobs = [msgspec.structs.replace(job, sweep_id=0) for job in store.live_jobs()]  # numbered by the database
    return store.snapshot(), store.attempts(), jobs, store.artifacts(), store.offsets()


def killed_before_its_commit(act: Callable[[], None]) -> None:
    """Do this in a process that is killed when it has told the journal and not yet committed."""
    child = os.fork()
    if child:
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        return
    write = Journal.write

    def write_and_die(self: Journal, what: str, **facts: Any) -> int:
        write(self, what, **facts)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    try:
        Journal.write = write_and_die  # type: ignore[method-assign]
        act()
    finally:
        os._exit(1)


@pytest.mark.parametrize("typed_again", [True, False])
@pytest.mark.parametrize("step", ["extend", "reset", "note"])
def test_write_that_was_killed_before_its_commit_is_not_done_by_a_rebuild(
    reopen: Callable[[], Store], tmp_path: Path, step: str, typed_again: bool
) -> None:
    steps: dict[str, Callable[[Store], Any]] = {
        "extend": lambda store: store.extend_job("t", 0, ["b"], 55.0),
        "reset": lambda store: store.reset_failures(["a"]),
        "note": lambda store: store.add_benchmarks(
            [BenchmarkRow(run_id="a", model="m", device="cpu", batch_size=1, length=8, macs=5.0)]
        ),
    }
    with reopen() as store:
        send(store, a_sweep(store, [a_run("a"), a_run("b")]), "t", ["a"])
        write(tmp_path, "t", [*started("a"), ended("a", Outcome.FAILED, signature="E:1")])
        gather(store, tmp_path)

    def act() -> None:
        with reopen() as store:
            steps[step](store)

    for _ in range(2):  # twice, as by a command that is typed again and killed again
        killed_before_its_commit(act)
    with reopen() as store:
        if typed_again:
            steps[step](store)
        else:
            store.set_state(["b"], State.CANCELLED, reason="by hand", time=60.0)
        before = seen(store)
        rebuild(store, Workdir(tmp_path))
        assert seen(store) == before
        store.set_state(["b"], State.PENDING, time=61.0)  # and the journal goes on from there
        again = seen(store)
        rebuild(store, Workdir(tmp_path))
        assert seen(store) == again


def test_line_after_a_torn_one_is_read(store: Store, tmp_path: Path) -> None:
    sweep = a_sweep(store, [a_run("a")])
    with (tmp_path / "coordinator.jsonl").open("ab") as stream:
        stream.write(b'{"v":1,"time":3.0,"type":"store","do":"add_ru')  # a full disk
    store.add_runs(sweep, [a_run("b")])
    rebuild(store, Workdir(tmp_path))
    assert [row.run_id for row in store.snapshot()] == ["a", "b"]


def test_older_database_from_a_backup_does_not_take_back_what_the_journal_knows(tmp_path: Path) -> None:
    with open_store(tmp_path / "sgonz.db", workspace=tmp_path, create=True) as store:
        sweep = a_sweep(store, [a_run("a")])
        backup(store.location, tmp_path / "kept.db")
        for name in "bcd":
            store.add_runs(sweep, [a_run(name)])
    for ending in ("", "-wal", "-shm"):
        (tmp_path / f"sgonz.db{ending}").unlink(missing_ok=True)
    (tmp_path / "kept.db").rename(tmp_path / "sgonz.db")
    with open_store(tmp_path / "sgonz.db", workspace=tmp_path) as store:
        store.add_runs(sweep, [a_run("e")])
        rebuild(store, Workdir(tmp_path))
        assert [row.run_id for row in store.snapshot()] == list("abcde")


class TestProblems:
    @pytest.fixture
    def at_work(self, store: Store, tmp_path: Path) -> Store:
        sweep = a_sweep(store, [a_run("a"), a_run("b")])
        send(store, sweep, "t", ["a", "b"])
        return store

    def rules(self, store: Store) -> dict[str, tuple[str, int]]:
        return {row.file.split("/")[-1]: (row.rule, row.count) for row in store.problems()}

    def test_lines_that_say_nothing_are_counted_and_the_others_are_taken(
        self, at_work: Store, tmp_path: Path
    ) -> None:
        newer = encode(epoch("a", 1)).replace(b'"type"', b'"v":2,"type"')
        write(tmp_path, "t", started("a"), raw=b"rubbish\n\xff\xfe\n")
        gather(at_work, tmp_path)
        assert self.rules(at_work) == {"0.0.jsonl": ("lines that are not events", 2)}
        write(tmp_path, "t", [], raw=b"more\n" + newer + b'\n{"v":7,"type":"unheard_of","time":1}\n')
        write(tmp_path, "t", [completed("a")])
        gather(at_work, tmp_path)
        assert {(row.rule, row.count) for row in at_work.problems()} == {
            ("lines that are not events", 3),
            ("events of a newer version", 2),
        }
        assert at_work.snapshot()[0].state is State.COMPLETED

    def test_copy_of_a_file_is_read_once(self, at_work: Store, tmp_path: Path) -> None:
        path = write(tmp_path, "t", [*started("a"), ended("a", Outcome.FAILED, signature="E:1")])
        gather(at_work, tmp_path)
        path.with_name("0.1.jsonl").write_bytes(path.read_bytes())
        path.with_name("0.0.jsonl.bak").write_bytes(path.read_bytes())
        for _ in range(2):
            gather(at_work, tmp_path)
        note_torn(at_work, Workdir(tmp_path), at_work.live_jobs())
        assert self.rules(at_work) == {
            "0.1.jsonl": ("a copy of another event file", 1),
            "0.0.jsonl.bak": ("not named as an event file", 1),
        }
        assert at_work.snapshot()[0].failures == 1

    def test_starts_of_a_job_are_read_in_order_however_many_there_are(
        self, at_work: Store, tmp_path: Path
    ) -> None:
        folder = tmp_path / "jobs" / "t" / "events"
        folder.mkdir(parents=True)
        for number in range(12):
            said = JobStarted(time=20.0 + number, host=f"n{number}", pid=7, restart=number)
            (folder / f"0.{number}.jsonl").write_bytes(encode(said) + b"\n")
        gather(at_work, tmp_path)
        assert at_work.query("SELECT host FROM jobs WHERE workspace_id = :workspace AND element = 0")[1] == [
            ("n11",)
        ]

    def test_file_that_became_shorter_is_not_read_again(self, at_work: Store, tmp_path: Path) -> None:
        path = write(tmp_path, "t", [*started("a"), epoch("a", 1)])
        gather(at_work, tmp_path)
        path.write_bytes(path.read_bytes()[:50])
        for _ in range(2):
            gather(at_work, tmp_path)
        assert self.rules(at_work) == {"0.0.jsonl": ("shorter than what was read", 1)}
        assert rebuild(at_work, Workdir(tmp_path)).shortened == ["jobs/t/events/0.0.jsonl"]

    def test_torn_line_waits_and_is_told_of_when_its_job_is_over(
        self, at_work: Store, tmp_path: Path
    ) -> None:
        write(tmp_path, "t", started("a"), raw=encode(completed("a"))[:30])
        gather(at_work, tmp_path)
        assert at_work.problems() == []
        note_torn(at_work, Workdir(tmp_path), at_work.live_jobs())
        assert self.rules(at_work) == {"0.0.jsonl": ("a torn last line of a job that is over", 1)}

    def test_events_about_unknown_runs_are_told_of(self, at_work: Store, tmp_path: Path) -> None:
        write(tmp_path, "t", [*started("ghost"), *started("a")])
        gather(at_work, tmp_path)
        assert self.rules(at_work) == {"0.0.jsonl": ("events about runs that are not in the database", 1)}


def test_collector_that_is_killed_fifty_times_leaves_the_store_of_an_undisturbed_one(tmp_path: Path) -> None:
    folders = [tmp_path / "calm", tmp_path / "killed"]
    runs = [f"run{number}" for number in range(40)]
    for folder in folders:
        with open_store(folder / "sgonz.db", workspace=folder, create=True) as store:
            send(store, a_sweep(store, [a_run(run) for run in runs]), "t", runs)
        for run in runs:
            write(
                folder, "t", [*started(run), *(epoch(run, number) for number in range(1, 30)), completed(run)]
            )
        write(folder, "t", [left()])
    with open_store(folders[0] / "sgonz.db", workspace=folders[0]) as store:
        gather(store, folders[0])
    kills = 0
    zygote = f"import os, sys, time\nsys.argv = ['x', {str(folders[1])!r}]\n" + FORKS
    done = subprocess.run(
        [sys.executable, "-c", zygote], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    kills = int(done.stdout.split()[-1])
    assert kills >= 50
    with open_store(folders[1] / "sgonz.db", workspace=folders[1]) as store:
        gather(store, folders[1])
        killed, attempts = store.snapshot(), store.attempts()
        curves = [store.epochs(run) for run in runs]
    with open_store(folders[0] / "sgonz.db", workspace=folders[0]) as store:
        assert (store.snapshot(), store.attempts(), [store.epochs(run) for run in runs]) == (
            killed,
            attempts,
            curves,
        )
        assert killed[-1].state is State.COMPLETED
    assert checksums(folders[0] / "sgonz.db", tmp_path) == checksums(folders[1] / "sgonz.db", tmp_path)
    assert check(folders[1] / "sgonz.db") == []


# Forks collectors from one process that has imported everything, so that fifty kills take seconds.
FORKS = """
import random, signal
from pathlib import Path
from sgonz.coordinator import collection
from sgonz.rundir import Workdir
from sgonz.store.store import open_store
collection.MOST_BYTES = 400  # many small transactions to be killed in
folder, chance, kills = Path(sys.argv[1]), random.Random(7), 0
while kills < 50:
    child = os.fork()
    if child == 0:
        with open_store(folder / "sgonz.db", workspace=folder) as store:
            collection.collect(store, Workdir(folder), store.live_jobs())
        os._exit(0)
    time.sleep(0.004 + 0.03 * chance.random())
    os.kill(child, signal.SIGKILL)
    if os.WIFSIGNALED(os.waitpid(child, 0)[1]):
        kills += 1
    else:
        break
print(kills)
"""


class TestCopies:
    @pytest.fixture(params=["to postgres", "from postgres", "file to file"])
    def ways(self, request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, Any]:
        file, other = tmp_path / "one.db", tmp_path / "two.db"
        if request.param == "file to file":
            return file, other
        url = request.getfixturevalue("new_postgres")()
        return (file, url) if request.param == "to postgres" else (url, file)

    def test_copy_holds_the_same_and_can_be_repeated(self, ways: tuple[Any, Any], tmp_path: Path) -> None:
        source, target = ways
        folder = tmp_path / "work"
        folder.mkdir()
        with open_store(source, workspace=folder, create=True) as store:
            lived(store, folder)
            seen = (
                store.snapshot(),
                store.results(),
                store.attempts(),
                store.counts(),
                store.offsets(),
                store.problems(),
            )
        first = copy(source, target)
        assert sum(row.written for row in first) > 20
        assert [row.written for row in copy(source, target)] == [0] * len(first)
        with open_store(target, workspace=folder) as store:
            assert seen == (
                store.snapshot(),
                store.results(),
                store.attempts(),
                store.counts(),
                store.offsets(),
                store.problems(),
            )
            assert [sweep.name for sweep in store.sweeps()] == ["second", "first"]
        with open_store(source, workspace=folder) as store:
            store.set_state(["alone"], State.CANCELLED, time=200.0)
        changed = {row.table for row in copy(source, target) if row.written}
        assert changed == {"runs"}

    def test_copy_that_was_killed_half_way_goes_on_when_it_is_typed_again(
        self, ways: tuple[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source, target = ways
        runs = [a_run(f"run{number}") for number in range(30)]
        with open_store(source, workspace=tmp_path, create=True) as store:
            sweep = a_sweep(store, runs)
            send(store, sweep, "t", [run.run_id for run in runs])
            lines = [line for run in runs for line in (*started(run.run_id), completed(run.run_id))]
            store.apply("jobs/t/events/0.0.jsonl", lines, 99, tag="t", element=0)
        monkeypatch.setattr(copying, "BATCH", 7)
        write_batch, batches = copying._write_batch, 0

        def write_some_and_die(*given: Any) -> int:
            nonlocal batches
            batches += 1
            if batches == 9:  # in the middle of a table
                os.kill(os.getpid(), signal.SIGKILL)
            return write_batch(*given)

        child = os.fork()
        if child == 0:
            try:
                monkeypatch.setattr(copying, "_write_batch", write_some_and_die)
                copy(source, target)
            finally:
                os._exit(1)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        done = {row.table: row.written for row in copy(source, target)}
        assert done["sweeps"] == 0  # was there already
        assert done["scores"] > 0
        assert {row.written for row in copy(source, target)} == {0}
        with open_store(source, workspace=tmp_path) as one, open_store(target, workspace=tmp_path) as other:
            assert one.snapshot() == other.snapshot()
            assert one.counts() == other.counts()
        assert check(target) == []

    def test_target_that_went_its_own_way_is_told_of(self, ways: tuple[Any, Any], tmp_path: Path) -> None:
        source, target = ways
        with open_store(source, workspace=tmp_path, create=True) as store:
            a_sweep(store, [a_run("a")])
        copy(source, target)
        with open_store(target, workspace=tmp_path) as store:
            a_sweep(store, [a_run("b")], name="mine")
        with pytest.raises(StoreError, match="or they differ"):
            copy(source, target)


def test_backup_is_whole_while_others_write(tmp_path: Path) -> None:
    path = tmp_path / "sgonz.db"
    with open_store(path, workspace=tmp_path, create=True) as store:
        lived(store, tmp_path)
        backup(path, tmp_path / "kept.db")
        with pytest.raises(StoreError, match="is there already"):
            backup(path, tmp_path / "kept.db")
    assert checksums(tmp_path / "kept.db", tmp_path) == checksums(path, tmp_path)


def test_check_finds_nothing_in_a_sound_store_and_what_somebody_broke(
    new_postgres: Callable[[], str], tmp_path: Path
) -> None:
    for location in (tmp_path / "sgonz.db", new_postgres()):
        with open_store(location, workspace=tmp_path, create=True, recorded=False) as store:
            lived(store, tmp_path)
            assert check(store.location) == []
            with store.transaction() as at:
                at.connection.exec_driver_sql("UPDATE runs SET tag = 'gone' WHERE tag = 't2'")
            assert check(store.location) == ["runs: 2 are at work in no job that is known"]
        shutil.rmtree(tmp_path / "jobs")


few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@few
@given(
    cuts=st.lists(st.integers(0, 40), min_size=1, max_size=5),
    outcome=st.sampled_from([Outcome.TIMEOUT, Outcome.FAILED]),
)
def test_rebuild_does_not_depend_on_when_files_were_read(
    tmp_path: Path, cuts: list[int], outcome: Outcome
) -> None:
    folder = tmp_path / os.urandom(4).hex()
    events = [
        *started("a"),
        *(epoch("a", number) for number in range(1, 20)),
        completed("a"),
        *started("b", time=60.0),
        left(),
    ]
    with open_store(folder / "sgonz.db", workspace=folder, create=True) as store:
        send(store, a_sweep(store, [a_run("a"), a_run("b")]), "t", ["a", "b"])
        before = 0
        for cut in sorted(cuts):
            write(folder, "t", events[before:cut])
            before = max(before, cut)
            gather(store, folder)
        store.end_jobs([EndedJob(tag="t", element=0, outcome=outcome, evidence="looked")], 99.0)
        seen = checksums(store.location, tmp_path)
        rebuild(store, Workdir(folder))
        assert checksums(store.location, tmp_path) == seen
