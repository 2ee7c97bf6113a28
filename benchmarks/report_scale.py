"""How long a report takes, and how large its page is, from a small sweep to a hundred thousand runs.

    python benchmarks/report_scale.py [--runs 3456,100000] [--models 16] [--browser]

Results are made up (imported as rows of a finished study, 8 data sets); wall and CPU seconds of each part, sizes of the files.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from sgonz import catalog, reporting
from sgonz.commands.reporting import write
from sgonz.importing import _add_sweep, _select
from sgonz.rundir import Workdir
from sgonz.store.imported import Imported
from sgonz.store.store import open_store
from sgonz.sweep.opening import named, open_existing

RATES, BATCHES = (1e-5, 2e-5, 3e-5, 5e-5, 1e-4), (8, 16, 32, 64, 128)


def results(runs: int, models: int) -> list[Imported]:
    """So many results: every data set and model has a grid, repeated with other seeds until there are enough."""
    chance = random.Random(7)
    datasets = list(catalog.datasets().values())
    known = list(catalog.models())
    names = [known[number] if number < len(known) else f"model-{number}" for number in range(models)]
    level = {(data.name, name): chance.uniform(60, 95) for data in datasets for name in names}
    found: list[Imported] = []
    for number in range(runs):
        at, data = number // len(datasets), datasets[number % len(datasets)]
        name = names[at % models]
        point = at // models
        rate, batch = RATES[point % 5], BATCHES[point // 5 % 5]
        score = level[data.name, name] + chance.gauss(0, 1)
        found.append(Imported(
            source=f"made:{number}", dataset=data.name, task=data.task, student=name, teacher=None, learning_rate=rate, batch_size=batch,
            epochs_done=3, metric=data.metric, validation_loss=1 - score / 100, validation_score=score, seconds=600.0,
            seed=42 + point // 25, test_score=score - 0.5, exact_match=score - 20 if data.task == "qa" else None,
            why_unusable="out of memory" if chance.random() < 0.01 else None,
        ))  # fmt: skip
    return found


def store_of(folder: Path, rows: list[Imported]) -> Workdir:
    workdir = Workdir(folder)
    workdir.create()
    with open_store(workdir.store, workspace=folder, create=True) as store:
        sweep = _add_sweep(store, "large", rows, 1e9)
        for start in range(0, len(rows), 20_000):
            store.import_results(sweep, rows[start : start + 20_000], 1e9)
        _select(store, sweep, rows)
    return workdir


class Clock:
    """Wall and CPU seconds of named parts."""

    def __init__(self) -> None:
        self.parts: dict[str, tuple[float, float]] = {}
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def stop(self, name: str) -> None:
        self.parts[name] = (time.perf_counter() - self.wall, time.process_time() - self.cpu)
        self.wall, self.cpu = time.perf_counter(), time.process_time()


def measured(runs: int, models: int, browser: bool) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="report-scale-"))
    try:
        workdir = store_of(folder / "work", results(runs, models))
        clock = Clock()
        with open_existing(workdir, read_only=True) as store:
            source = reporting.read(store, named(store, None, workdir))
        clock.stop("read")
        answer = reporting.report(source)
        clock.stop("tables")
        write(answer, folder / "out")
        clock.stop("write")
        if browser:
            opened(folder / "out" / "report.html")
            clock.stop("open in chromium")
        size = sum(path.stat().st_size for path in (folder / "out").rglob("*") if path.is_file())
        return {"runs": runs, "models": models, "selected": len(source.selected), "parts": clock.parts,
                "page_mb": (folder / "out" / "report.html").stat().st_size / 1e6, "all_mb": size / 1e6}  # fmt: skip
    finally:
        shutil.rmtree(folder)


def opened(path: Path) -> None:
    """Until every figure is drawn."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"file://{path}")
        page.wait_for_selector("html[data-drawn=yes]", timeout=300_000)
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", default="3456,100000")
    parser.add_argument("--models", default="16")
    parser.add_argument("--browser", action="store_true")
    given = parser.parse_args()
    for runs in map(int, given.runs.split(",")):
        for models in map(int, given.models.split(",")):
            found = measured(runs, models, given.browser)
            parts = ", ".join(
                f"{name} {wall:.1f} s ({cpu:.1f} CPU)" for name, (wall, cpu) in found["parts"].items()
            )
            print(f"{runs:,} runs, {models} models, {found['selected']:,} selected: {parts}; page {found['page_mb']:.2f} MB, "
                  f"all files {found['all_mb']:.1f} MB", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
