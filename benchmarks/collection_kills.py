"""Whether collection loses or doubles anything when writers and collectors are killed, many times over.

    python benchmarks/collection_kills.py [--postgres URL [--without-sqlite]] [--kills 1000] [--writers 64] [--seconds 15]

Two parts, on SQLite and, where a URL of an empty database with {part} in its name is given, on Postgres:

live: 64 writers append events at once (each its own file, about 300 a second) while a collector reads them; writers and
the collector are killed with SIGKILL at random moments, and others take their places, as a cluster's jobs would.
kills: a collector is killed a thousand times, at a random moment of its first, second or third commit.

Afterwards the same files are collected by an undisturbed process into another store, and both have to hold the same
rows: runs, attempts, jobs, scores and how far every file was read.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from sgonz.coordinator import collection
from sgonz.events import EpochEnded, JobStarted, Progress, RunStarted
from sgonz.plan.runs import Dataset, Kind, Model, RunSpec, Settings
from sgonz.rundir import Workdir
from sgonz.store.copying import copy
from sgonz.store.store import open_store

KILLED = (16, 100)  # jobs, and runs of each, in the second part
SAME = ("runs", "attempts", "jobs", "scores", "event_offsets")
encode = msgspec.json.Encoder().encode


def forked(act: Callable[[], None]) -> int:
    """The process id of a child that does this and ends."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    try:
        act()
    finally:
        os._exit(0)


def prepare(location: str | Path, folder: Path, writers: int, runs_each: int) -> None:
    """A submission of so many jobs that is about to start."""
    folder.mkdir(parents=True, exist_ok=True)
    dataset, model = Dataset(name="d", task="tagging", format="conllu", metric="f1"), Model(name="m")
    ids = [[run_name(writer, number) for number in range(runs_each)] for writer in range(writers)]
    with open_store(location, workspace=folder, create=True) as store:
        sweep = store.add_sweep(name="x", text="", spec_json="{}", cluster="local", time=1.0, provenance={})
        store.add_runs(sweep, [
            RunSpec(run_id=run_id, kind=Kind.FINETUNE, dataset=dataset, model=model, settings=Settings())
            for job in ids for run_id in job
        ])  # fmt: skip
        store.add_submission(tag="t", sequence=1, sweep_id=sweep, cluster="local", elements=ids, time=2.0)
        store.mark_sent("t", [str(writer) for writer in range(writers)], 3.0)


def run_name(writer: int, number: int) -> str:
    return f"{writer:03d}{number:04d}"


def write_for_ever(folder: Path, writer: int, attempt: int, runs_each: int, pause: float) -> None:
    """What one worker says, line by line, until it is killed or has said it all."""
    path = folder / "jobs" / "t" / "events" / f"{writer}.{attempt}.jsonl"
    with path.open("ab", buffering=0) as stream:
        for line in lines_of(writer, attempt, runs_each):
            stream.write(encode(line) + b"\n")
            time.sleep(pause)


def lines_of(writer: int, attempt: int, runs_each: int) -> Any:
    began = 10.0 + 1000 * attempt
    yield JobStarted(time=began, host="n", pid=writer, restart=attempt)
    run = run_name(writer, attempt % runs_each)
    yield RunStarted(time=began, run_id=run, attempt=attempt + 1)
    for epoch in range(1, 100_000):
        yield Progress(
            time=began, run_id=run, epoch=epoch, step=epoch, steps=1, loss=0.5, rows_per_second=9.5
        )
        yield EpochEnded(time=began + epoch / 1000, run_id=run, attempt=attempt + 1, epoch=epoch, step=epoch,
                         train_loss=0.5, validation_loss=0.4, validation={"f1": epoch / 7, "accuracy": 9.25},
                         learning_rate=1e-5, seconds=9.0, improved=True)  # fmt: skip


def collect_for_ever(location: str | Path, folder: Path) -> None:
    with open_store(location, workspace=folder, recorded=False) as store:
        while True:
            collection.collect(store, Workdir(folder), store.live_jobs())
            time.sleep(0.05)


def collect_all(location: str | Path, folder: Path, says: int | None = None) -> None:
    """Collect what is there; `says` is where to tell that the store is open, and of every commit."""
    with open_store(location, workspace=folder, recorded=False) as store:
        if says is not None:
            os.write(says, b"o")
            store.collect = telling(store.collect, says)  # type: ignore[method-assign]
        collection.collect(store, Workdir(folder), store.live_jobs())


def telling(commit: Callable[..., Any], says: int) -> Callable[..., Any]:
    def told(*arguments: Any) -> Any:
        done = commit(*arguments)
        os.write(says, b"c")
        return done

    return told


def live(location: str | Path, folder: Path, writers: int, seconds: float) -> dict[str, Any]:
    """Writers and a collector, all of them killed again and again."""
    runs_each, pause = 10_000 // writers, 1 / 300
    prepare(location, folder, writers, runs_each)
    (folder / "jobs" / "t" / "events").mkdir(parents=True)
    chance, killed, collectors_killed = random.Random(7), 0, 0
    attempts = [0] * writers

    def start(writer: int) -> int:
        return forked(lambda: write_for_ever(folder, writer, attempts[writer], runs_each, pause))

    working = {writer: start(writer) for writer in range(writers)}
    collector = forked(lambda: collect_for_ever(location, folder))
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.05 * chance.random())
        writer = chance.randrange(writers)
        end(working[writer])
        attempts[writer] += 1
        working[writer] = start(writer)
        killed += 1
        if chance.random() < 0.1:
            end(collector)
            collector = forked(lambda: collect_for_ever(location, folder))
            collectors_killed += 1
    for child in (*working.values(), collector):
        end(child)
    with open_store(location, workspace=folder) as store:
        behind = sum(path.stat().st_size for path in files(folder)) - sum(store.offsets().values())
    collect_all(location, folder)
    return {"writers killed": killed, "collectors killed": collectors_killed, "bytes left at the end": behind,
            "events": sum(path.read_bytes().count(b"\n") for path in files(folder)), "seconds": seconds}  # fmt: skip


def kills(location: str | Path, folder: Path, times: int) -> dict[str, Any]:
    """A collector killed so many times, anywhere in its first commits; files are added whenever it has read them all."""
    writers, runs_each = KILLED
    prepare(location, folder, writers, runs_each)
    (folder / "jobs" / "t" / "events").mkdir(parents=True)
    collection.MOST_BYTES = 2_000  # of each file in one transaction: many of them to be killed in
    chance, killed, commits, attempt, one_commit = random.Random(11), 0, 0, 0, 0.05
    add_files(folder, writers, runs_each, attempt)
    while killed < times:
        hears, says = os.pipe()
        child = forked(partial(collect_all, location, folder, says))
        os.close(says)
        os.read(hears, 1)
        for _ in range(chance.randrange(3)):
            began = time.monotonic()
            if os.read(hears, 1):
                one_commit = time.monotonic() - began
                commits += 1
        time.sleep(one_commit * chance.random())
        os.kill(child, signal.SIGKILL)
        if os.WIFSIGNALED(os.waitpid(child, 0)[1]):
            killed += 1
        else:
            attempt += 1
            add_files(folder, writers, runs_each, attempt)
        commits += len(os.read(hears, 100))
        os.close(hears)
    collect_all(location, folder)
    collection.MOST_BYTES = 32 * 2**20
    return {
        "collectors killed": killed,
        "commits between": commits,
        "events": sum(path.read_bytes().count(b"\n") for path in files(folder)),
    }


def add_files(folder: Path, writers: int, runs_each: int, attempt: int) -> None:
    for writer in range(writers):
        told = lines_of(writer, attempt, runs_each)
        lines = b"".join(encode(next(told)) + b"\n" for _ in range(400))
        (folder / "jobs" / "t" / "events" / f"{writer}.{attempt}.jsonl").write_bytes(lines)


def end(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def files(folder: Path) -> list[Path]:
    return sorted((folder / "jobs" / "t" / "events").glob("*.jsonl"))


def differences(location: str | Path, folder: Path, writers: int, runs_each: int, calm: Path) -> list[str]:
    """Tables in which the store is not that of an undisturbed collection of the same files."""
    prepare(calm / "sgonz.db", calm, writers, runs_each)
    (calm / "jobs").symlink_to(folder / "jobs")
    with open_store(calm / "sgonz.db", workspace=calm, recorded=False) as store:
        collection.collect(store, Workdir(calm), store.live_jobs())
        lines = sum(len(store.epochs(run.run_id)) for run in store.snapshot() if run.attempts)
    written = sum(path.read_bytes().count(b'"epoch_ended"') for path in files(folder))
    found = [] if lines == written else [f"{written} validations were written and {lines} are there"]
    sums = [
        {row.table: (row.rows, row.checksum) for row in copy(place, calm / f"looked-at-{number}.db")}
        for number, place in enumerate((location, calm / "sgonz.db"))
    ]
    return found + [
        f"{table}: {sums[0][table]} {sums[1][table]}" for table in SAME if sums[0][table] != sums[1][table]
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--postgres", help="URL of an empty database, with {part} in its name: live and kills"
    )
    parser.add_argument("--without-sqlite", action="store_true")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--writers", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=15)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as temporary:
        engines = [
            *(() if options.without_sqlite else ("SQLite",)),
            *(("Postgres",) if options.postgres else ()),
        ]
        for engine in engines:
            for part in ("live", "kills"):
                folder = Path(temporary) / engine / part
                location: str | Path = folder / "sgonz.db"
                if engine == "Postgres":
                    location = options.postgres.format(part=part)
                began = time.monotonic()
                if part == "live":
                    writers, runs_each = options.writers, 10_000 // options.writers
                    said = live(location, folder, writers, options.seconds)
                else:
                    writers, runs_each = KILLED
                    said = kills(location, folder, options.kills)
                took = time.monotonic() - began
                wrong = differences(location, folder, writers, runs_each, folder.parent / f"{part}-calm")
                facts = ", ".join(f"{name} {value}" for name, value in said.items())
                print(f"{engine}, {part}: {facts}, {took:.0f} s in all: "
                      f"{'; '.join(wrong) or 'nothing lost, nothing twice'}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
