"""How many events a second one collector takes in, beside other ways to keep what many workers report.

    pip install -c constraints.txt -e '.[postgres,benchmarks]'      # benchmarks: Optuna, left out where it is not installed
    python benchmarks/collection.py [--postgres URL] [--seconds 10] [--reports 10000]

64 workers' files with events as a training run writes them (of nine: seven of progress, two of a validation with four
scores; a start and an end). Beside it: one INSERT, committed, per event into the same kind of database. Then the same
number of reports made at once by eight processes: event files with a collector that goes on until all are committed,
and Optuna's RDB (SQLite) and journal-file storages. The URL is that of an empty Postgres database
(`createdb collection`, then postgresql:///collection).
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from sgonz.coordinator.collection import collect
from sgonz.events import EpochEnded, JobStarted, Progress, RunEnded, RunStarted
from sgonz.plan.runs import Dataset, Kind, Model, Outcome, RunSpec, Settings
from sgonz.rundir import Workdir
from sgonz.store.store import Store, open_store

WORKERS, RUNS_EACH, EPOCHS = 64, 10, 20
PROCESSES = 8  # that report at once, where ways of reporting are compared
encode = msgspec.json.Encoder().encode


def events_of(run_id: str, began: float) -> list[Any]:
    lines: list[Any] = [RunStarted(time=began, run_id=run_id, attempt=1)]
    for epoch in range(1, EPOCHS + 1):
        lines += [
            Progress(time=began + epoch, run_id=run_id, epoch=epoch, step=step, steps=1000, loss=0.5, rows_per_second=99.5)
            for step in range(7)
        ]  # fmt: skip
        lines += [
            EpochEnded(time=began + epoch, run_id=run_id, attempt=1, epoch=epoch, step=50 * epoch + half, train_loss=0.5,
                       validation_loss=0.4, validation={"f1": 80.5, "accuracy": 90.25}, learning_rate=1e-5, seconds=9.0,
                       improved=True, micro_batch=16, peak_memory_mb=900.0)
            for half in (0, 25)
        ]  # fmt: skip
    ended = RunEnded(time=began + 99, run_id=run_id, attempt=1, outcome=Outcome.COMPLETED, seconds=99.0, best_epoch=3,
                     epochs_done=EPOCHS, validation_loss=0.4, validation={"f1": 80.5, "accuracy": 90.25})  # fmt: skip
    return [*lines, ended]


def prepare(store: Store, folder: Path, *, written: bool = True) -> int:
    """A submission of 64 jobs whose workers have written all they have to say; how many events."""
    dataset, model = Dataset(name="d", task="tagging", format="conllu", metric="f1"), Model(name="m")
    ids = [[f"{worker:03d}{number:03d}" for number in range(RUNS_EACH)] for worker in range(WORKERS)]
    sweep = store.add_sweep(name="x", text="", spec_json="{}", cluster="local", time=1.0, provenance={})
    store.add_runs(sweep, [
        RunSpec(run_id=run_id, kind=Kind.FINETUNE, dataset=dataset, model=model, settings=Settings())
        for job in ids for run_id in job
    ])  # fmt: skip
    store.add_submission(tag="t", sequence=1, sweep_id=sweep, cluster="local", elements=ids, time=2.0)
    store.mark_sent("t", [str(worker) for worker in range(WORKERS)], 3.0)
    total = 0
    for worker, job in enumerate(ids if written else ()):
        path = folder / "jobs" / "t" / "events" / f"{worker}.0.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            JobStarted(time=4.0, host="n", pid=worker),
            *(line for run in job for line in events_of(run, 5.0)),
        ]
        path.write_bytes(b"".join(encode(line) + b"\n" for line in lines))
        total += len(lines)
    return total


def collected(location: str | Path, folder: Path, journal: Any = None) -> tuple[int, float, float]:
    folder.mkdir(parents=True, exist_ok=True)
    with open_store(location, workspace=folder, create=True, journal=journal) as store:
        count = prepare(store, folder)
        began, cpu = time.perf_counter(), time.process_time()
        collect(store, Workdir(folder), store.live_jobs())
        took = time.perf_counter() - began, time.process_time() - cpu
        assert len({row.run_id for row in store.attempts()}) == WORKERS * RUNS_EACH
        assert all(row.state == "COMPLETED" for row in store.snapshot())
    return count, *took


def one_by_one_sqlite(path: Path, seconds: float, synchronous: str) -> float:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, line TEXT)")
    lines = [encode(line).decode() for line in events_of("r", 1.0)]
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        connection.execute("INSERT INTO events (line) VALUES (?)", (lines[count % len(lines)],))
        count += 1
    return count / (time.perf_counter() - began)


def one_by_one_postgres(url: str, seconds: float) -> float:
    import psycopg

    lines = [encode(line).decode() for line in events_of("r", 1.0)]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS one_by_one (line TEXT)")
        count, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            connection.execute("INSERT INTO one_by_one VALUES (%s)", (lines[count % len(lines)],))
            count += 1
        return count / (time.perf_counter() - began)


def optuna_storage(kind: str, path: Path) -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if kind == "rdb":
        return optuna.storages.RDBStorage(
            f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 120}}
        )
    return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))


def report(kind: str, path: Path, reports: int) -> None:
    import optuna

    study = optuna.load_study(study_name="s", storage=optuna_storage(kind, path))
    trial = study.ask()
    for step in range(reports):
        trial.report(0.5, step)


def optuna_reports(kind: str, folder: Path, reports: int) -> float:
    import optuna

    path = folder / f"optuna-{kind}"
    optuna.create_study(study_name="s", storage=optuna_storage(kind, path))
    return side_by_side(lambda worker: report(kind, path, reports // PROCESSES), reports)


def write_reports(folder: Path, worker: int, reports: int) -> None:
    """What a worker writes for so many validations, each handed to the system by itself."""
    run_id = f"{worker:03d}{0:03d}"
    path = folder / "jobs" / "t" / "events" / f"{worker}.0.jsonl"
    with path.open("ab", buffering=0) as stream:
        for step in range(1, reports + 1):
            event = EpochEnded(time=5.0, run_id=run_id, attempt=1, epoch=step, step=step, train_loss=0.5, validation_loss=0.4,
                               validation={}, learning_rate=1e-5, seconds=9.0, improved=True)  # fmt: skip
            stream.write(encode(event) + b"\n")


def event_file_reports(location: str | Path, folder: Path, reports: int) -> float:
    """From the first line to the commit of the last one."""
    folder.mkdir(parents=True, exist_ok=True)
    with open_store(location, workspace=folder, create=True) as store:
        prepare(store, folder, written=False)
    (folder / "jobs" / "t" / "events").mkdir(parents=True)

    def act(worker: int) -> None:
        if worker < PROCESSES:
            write_reports(folder, worker, reports // PROCESSES)
            return
        with open_store(location, workspace=folder) as store:
            runs = [f"{number:03d}{0:03d}" for number in range(PROCESSES)]
            while sum(len(store.epochs(run)) for run in runs) < reports:
                collect(store, Workdir(folder), store.live_jobs())

    return side_by_side(act, reports, PROCESSES + 1)


def side_by_side(act: Callable[[int], None], reports: int, processes: int = PROCESSES) -> float:
    """Reports a second, of processes that start at once."""
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=act, args=(number,)) for number in range(processes)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not any(worker.exitcode for worker in workers)
    return reports / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--postgres", metavar="URL", help="URL of an empty database")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--reports", type=int, default=10_000)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        ways: dict[str, tuple[str | Path, Any]] = {
            "SQLite, WAL": (folder / "wal" / "sgonz.db", "wal"),
            "SQLite, rollback journal": (folder / "delete" / "sgonz.db", "delete"),
        }
        if options.postgres:
            ways["Postgres"] = (options.postgres, None)
        for name, (location, journal) in ways.items():
            work = folder / name.replace(", ", "-").replace(" ", "-")
            if isinstance(location, Path):
                location.parent.mkdir()
            count, wall, cpu = collected(location, work, journal)
            print(f"collector, {name:30} {count} events in {wall:.2f} s: {count / wall:9.0f} a second "
                  f"({count / cpu:.0f} by its own CPU time)", flush=True)  # fmt: skip
        for mode in ("NORMAL", "FULL"):
            rate = one_by_one_sqlite(folder / f"one-{mode}.db", options.seconds, mode)
            print(f"one INSERT per event, SQLite WAL, {mode:15} {rate:9.0f} a second", flush=True)
        if options.postgres:
            rate = one_by_one_postgres(options.postgres, options.seconds)
            print(f"one INSERT per event, Postgres {'':20} {rate:9.0f} a second", flush=True)
        places: dict[str, str | Path] = {"SQLite": folder / "many" / "sgonz.db"}
        if options.postgres:
            places["Postgres"] = options.postgres
        for name, location in places.items():
            rate = event_file_reports(location, folder / f"many-{name}", options.reports)
            print(
                f"{options.reports} reports, event files and a collector into {name:10} {rate:9.0f} a second",
                flush=True,
            )
        if importlib.util.find_spec("optuna") is None:
            print(
                "Optuna is not installed, so its storages are left out: pip install -c constraints.txt optuna"
            )
            return
        for kind in ("rdb", "journal"):
            rate = optuna_reports(kind, folder, options.reports)
            print(
                f"{options.reports} reports, Optuna's {kind} storage {'':21} {rate:9.0f} a second", flush=True
            )


if __name__ == "__main__":
    main()
