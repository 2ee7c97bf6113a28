"""How long the store takes at a thousand, ten thousand and a hundred thousand runs, each with fifty epoch scores.

    python benchmarks/store_scale.py [--runs 1000,10000,100000] [--scores 50] [--postgres URL [--without-sqlite]] [--json FILE]

Wall clock, the median of three; the process's own CPU seconds beside it, since others may use the machine too. The URL
is that of empty Postgres databases with {runs} in its name (`createdb scale_1000`, ...: postgresql:///scale_{runs}).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import text

from sgonz.cluster.local import LocalCluster
from sgonz.cluster.profile import load_profile
from sgonz.coordinator.coordinator import Coordinator
from sgonz.coordinator.turn import turn
from sgonz.plan.expand import Sources, finetune_runs
from sgonz.plan.runs import Dataset, Model, State
from sgonz.plan.spec import decode
from sgonz.rundir import Workdir
from sgonz.store.connect import is_url, new_engine
from sgonz.store.query import named_queries
from sgonz.store.store import Store, open_store
from sgonz.sweep.opening import Stored

DATASETS, MODELS = 8, 10
PIVOT = """SELECT dataset, model, SUM(CASE WHEN state = 'COMPLETED' THEN 1 ELSE 0 END) AS completed,
    SUM(CASE WHEN state = 'FAILED' THEN 1 ELSE 0 END) AS failed, SUM(CASE WHEN state = 'PENDING' THEN 1 ELSE 0 END)
    AS pending, COUNT(*) FROM runs WHERE workspace_id = :workspace GROUP BY dataset, model"""
BEST = """SELECT dataset, run_id, criterion_value FROM (SELECT dataset, run_id, criterion_value, ROW_NUMBER() OVER
    (PARTITION BY dataset ORDER BY criterion_value, run_id) AS place FROM runs WHERE workspace_id = :workspace AND
    kind = 'finetune' AND state = 'COMPLETED' AND criterion_value IS NOT NULL) AS ranked WHERE place = 1"""


def sweep_of(runs: int) -> tuple[dict[str, Any], Sources]:
    """A grid of so many runs."""
    seeds = runs // (DATASETS * MODELS)
    names = [f"data{number}" for number in range(DATASETS)]
    models = [f"model{number}" for number in range(MODELS)]
    table = {
        "name": f"grid{runs}", "datasets": names, "seeds": list(range(max(1, seeds // 5))), "evaluate": False,
        "finetune": {"models": models, "grid": {"learning_rate": [1e-5, 2e-5, 3e-5, 4e-5, 5e-5]}},
    }  # fmt: skip
    datasets = {name: Dataset(name=name, task="tagging", format="conllu", files={"train": f"/texts/{name}"},
                              metric="f1", fingerprint=name) for name in names}  # fmt: skip
    return table, Sources(
        datasets=datasets, models={name: Model(name=name, path=f"/models/{name}") for name in models}
    )


def fill(store: Store, runs: int, scores: int) -> dict[str, Any]:
    """Expand and insert a grid, then make nine in ten of its runs finished ones with scores by epoch."""
    table, sources = sweep_of(runs)
    sweep = decode(table, "benchmark")
    began, cpu = time.perf_counter(), time.process_time()
    specs = finetune_runs(sweep, sources)
    stored = Stored(sweep=table, sources=sources, workloads={})
    encoded = msgspec.json.encode(stored).decode()
    sweep_id = store.add_sweep(
        name=sweep.name, text="", spec_json=encoded, cluster="local", time=1.0, provenance={}
    )
    store.add_runs(sweep_id, specs)
    took = {"wall": time.perf_counter() - began, "cpu": time.process_time() - cpu, "runs": len(specs)}
    with store.transaction() as at:
        percent = "%%" if at.connection.dialect.name == "postgresql" else "%"

        def run(sql: str) -> None:
            at.connection.exec_driver_sql(sql.replace("%", percent))

        run("""UPDATE runs SET state = CASE WHEN position % 10 = 0 THEN 'FAILED' ELSE 'COMPLETED' END, attempts = 1,
            validation_loss = 1.0 / (1 + position % 977), criterion_value = 1.0 / (1 + position % 977), seconds = 100,
            validation_score = 80, validation = '{"f1":80.5,"precision":70.25}', flags = '[]', best_epoch = 3,
            epochs_done = 10, ended = 5""")
        run("""INSERT INTO attempts (workspace_id, run_id, attempt, tag, element, started, seen, ended, seconds, outcome,
            device, parameters) SELECT workspace_id, run_id, 1, 't', 0, 1, 5, 5, 100, state, 'cuda', 1000 + position % 10
            FROM runs""")
        run(f"""INSERT INTO scores (workspace_id, run_id, final, epoch, step, split, name, value)
            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {scores})
            SELECT workspace_id, run_id, FALSE, (n - 1) / 5 + 1, n, 'validation', 's' || (n % 5), 1.0 / n
            FROM runs CROSS JOIN numbers""")
    with store.transaction() as at:
        at.connection.execute(text("ANALYZE"))
    return took


def specs_of(runs: int) -> list[str]:
    table, sources = sweep_of(runs)
    return [spec.run_id for spec in finetune_runs(decode(table, "benchmark"), sources)]


def timed(act: Callable[[], Any], times: int = 3) -> dict[str, float]:
    walls, cpus = [], []
    for _ in range(times):
        began, cpu = time.perf_counter(), time.process_time()
        act()
        walls.append(time.perf_counter() - began)
        cpus.append(time.process_time() - cpu)
    return {"wall": statistics.median(walls), "cpu": min(cpus)}


def command(folder: Path, location: str | Path, *arguments: str) -> tuple[float, float]:
    """Wall and CPU seconds of one `sgonz` command in a fresh process."""
    env = {**os.environ, "SGONZ_WORKDIR": str(folder), "SGONZ_DATABASE": str(location)}
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "sgonz", *arguments], check=True, stdout=subprocess.DEVNULL, env=env
    )
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def quickest(folder: Path, location: str | Path, *arguments: str, times: int = 3) -> dict[str, float]:
    took = [command(folder, location, *arguments) for _ in range(times)]
    return {"wall": min(wall for wall, _ in took), "cpu": min(cpu for _, cpu in took)}


def beyond(start: dict[str, float], took: dict[str, float]) -> dict[str, float]:
    return {name: took[name] - start[name] for name in start}


def measure(location: str | Path, folder: Path, runs: int, scores: int) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    with open_store(location, workspace=folder, create=True) as store:
        found: dict[str, Any] = {"expand and insert": fill(store, runs, scores)}
        if is_url(location):
            # Until autovacuum comes by, within a minute, Postgres looks into every row that an index names.
            found["pivot, before vacuum"] = timed(lambda: store.query(PIVOT), 5)
            found["best per data set, before vacuum"] = timed(lambda: store.query(BEST), 5)
            vacuum(location)
        table, sources = sweep_of(runs)
        [row] = store.sweeps()
        profile = load_profile("local")
        at = Coordinator(workdir=Workdir(folder), store=store, cluster=LocalCluster(profile), profile=profile,
                         sweep_id=row.id, sweep=decode(table, "benchmark"), sources=sources)  # fmt: skip
        found["snapshot"] = timed(store.snapshot)
        found["first turn"] = timed(lambda: turn(at), 1)
        found["turn that selects nothing new, all read"] = timed(lambda: turn(at), 1)
        last = turn(at)
        found["idle turn, same process"] = timed(lambda: turn(at, last))
        found["idle turn, new process"] = timed(lambda: turn(at, rows_wanted=False))
        found["counts"] = timed(lambda: store.query("counts"), 5)
        found["counts of a sweep"] = timed(lambda: store.counts(row.id), 5)
        found["pivot"] = timed(lambda: store.query(PIVOT), 5)
        found["best per data set"] = timed(lambda: store.query(BEST), 5)
        for name, named in named_queries().items():
            every = {"run": "%"} if "run" in named.parameters else {}
            found[f"query {name}"] = timed(lambda name=name, every=every: store.query(name, every), 1)
    command(folder, location, "sweeps")
    found["start-up"] = start = quickest(folder, location, "query", "SELECT 1 AS one")
    found["status beyond start-up"] = beyond(start, quickest(folder, location, "status"))
    with open_store(location, workspace=folder) as store:
        store.set_state([specs_of(runs)[1]], State.CANCELLED, reason="by hand", time=9.0)
    found["status after a change, beyond start-up"] = beyond(start, quickest(folder, location, "status"))
    found["turn after a change, all read"] = beyond(start, quickest(folder, location, "advance", times=1))
    found["advance beyond start-up"] = beyond(start, quickest(folder, location, "advance"))
    return found


def vacuum(location: str | Path) -> None:
    engine = new_engine(location, read_only=False, journal=None)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    engine.dispose()


@contextmanager
def places(postgres: str | None, sqlite: bool) -> Iterator[dict[str, Callable[[Path], str | Path]]]:
    engines: dict[str, Callable[[Path], str | Path]] = {}
    if sqlite:
        engines["SQLite"] = lambda folder: folder / "sgonz.db"
    if postgres:
        engines["Postgres"] = lambda folder: postgres.format(runs=folder.name)
    yield engines


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", default="1000,10000,100000")
    parser.add_argument("--scores", type=int, default=50)
    parser.add_argument(
        "--postgres", help="URL of an empty database, with {runs} in its name: one for each size"
    )
    parser.add_argument("--without-sqlite", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: dict[str, dict[str, Any]] = {}
    with (
        tempfile.TemporaryDirectory() as temporary,
        places(options.postgres, not options.without_sqlite) as engines,
    ):
        for engine, location in engines.items():
            for runs in map(int, options.runs.split(",")):
                folder = Path(temporary) / engine / str(runs)
                found = measure(location(folder), folder, runs, options.scores)
                results[f"{engine} {runs}"] = found
                print(
                    f"== {engine}, {runs} runs, {runs * options.scores} scores, load {os.getloadavg()[0]:.1f}"
                )
                for what, took in found.items():
                    print(
                        f"{what:42} {took['wall']:8.3f} s   cpu {took.get('cpu', float('nan')):8.3f}",
                        flush=True,
                    )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
