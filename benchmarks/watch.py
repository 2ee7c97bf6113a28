"""How soon the live screen stands, and what a redraw costs in time and bytes, over a store of a hundred thousand runs.

    python benchmarks/watch.py [--runs 1000,100000] [--scores 50] [--keep DIR]

Wall clock; the best of three for starts, which others on the machine only make longer, and the median elsewhere.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from store_scale import fill

from sgonz.looking.scene import Request, Scene
from sgonz.looking.subject import subject
from sgonz.looking.watching import Watcher
from sgonz.rundir import Workdir
from sgonz.store.store import open_store
from sgonz.view.dashboard import screen
from sgonz.view.paint import Painter
from sgonz.view.sight import PAGES, Sight

SIZES = ((80, 24), (200, 60))
RUNNING = 200


def make(folder: Path, runs: int, scores: int) -> None:
    """A sweep in the middle of its life: most runs done, some failed, some running, a tenth still to come."""
    with open_store(folder / "sgonz.db", workspace=folder, create=True, recorded=False) as store:
        fill(store, runs, scores)
        now = time.time()
        with store.transaction() as at:
            for sql in (
                f"UPDATE runs SET changed = {now} - 10 * (SELECT MAX(position) FROM runs) + 10 * position, ended = {now} - 10 * position",
                "UPDATE runs SET reason = 'DataError: train.jsonl:7: no label' WHERE state = 'FAILED'",
                "UPDATE runs SET state = 'PENDING' WHERE position % 10 = 9",
                f"UPDATE runs SET state = 'RUNNING', tag = 't', element = position % 40 WHERE position % 10 = 8 AND position < {RUNNING * 10}",
                "UPDATE sweep_runs SET selected = TRUE WHERE run_id IN (SELECT run_id FROM runs WHERE position % 977 = 1)",
            ):
                at.connection.exec_driver_sql(sql)


def first_screen(folder: Path, *, columns: int, lines: int) -> tuple[float, float, int]:
    """Seconds until `sgonz watch` shows counts, until it shows hours, and bytes by then, in a fresh process."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "sgonz", "watch", "--workdir", str(folder)], stdin=slave, stdout=slave, stderr=slave,
        env={**os.environ, "TERM": "xterm-256color"},
    )  # fmt: skip
    seen, first = b"", 0.0
    while b"used" not in seen:
        if select.select([master], [], [], 0.005)[0]:
            seen += os.read(master, 65536)
        if not first and b"running" in seen and b"data set" in seen:
            first = time.perf_counter() - began
    whole = time.perf_counter() - began
    process.terminate()
    process.wait()
    os.close(master)
    os.close(slave)
    return first, whole, len(seen)


def start_up(folder: Path) -> float:
    """Seconds of a command that opens the same store and asks next to nothing."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "sgonz", "query", "SELECT 1 AS one", "--workdir", str(folder)], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    return time.perf_counter() - began


def median(act: Callable[[], Any], times: int = 7) -> float:
    walls = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        walls.append(time.perf_counter() - began)
    return statistics.median(walls)


def measure(folder: Path) -> dict[str, float]:
    found: dict[str, float] = {"start-up, s": min(start_up(folder) for _ in range(3))}
    for columns, lines in SIZES:
        starts = [first_screen(folder, columns=columns, lines=lines) for _ in range(3)]
        size = f"{columns}x{lines}"
        found[f"first screen beyond start-up, {size}, s"] = (
            min(one[0] for one in starts) - found["start-up, s"]
        )
        found[f"everything known beyond start-up, {size}, s"] = (
            min(one[1] for one in starts) - found["start-up, s"]
        )
    with open_store(folder / "sgonz.db", workspace=folder, read_only=True) as store:
        [row] = store.sweeps()
        watcher = Watcher(subject(store, Workdir(folder), row, None))
        found["look at what takes long, s"] = median(lambda: _learn(watcher), 3)
        for page in PAGES:
            asked = Request(page=page, rows=60, first=0)
            found[f"look, {page}, ms"] = 1000 * median(lambda asked=asked: watcher.look(asked))
        chosen = Request(page="runs", rows=60, where="dataset = data3 and state = FAILED")
        watcher.look(chosen)
        found["look, runs, filtered, ms"] = 1000 * median(lambda: watcher.look(chosen))
        scenes = {page: watcher.look(Request(page=page, rows=60)) for page in PAGES}
    for columns, lines in SIZES:
        for page, scene in scenes.items():
            cost, sent = redraw(scene, page, columns, lines)
            found[f"redraw, {page}, {columns}x{lines}, ms"] = 1000 * cost
            found[f"bytes a second later, {page}, {columns}x{lines}"] = sent
        found[f"bytes of a whole screen, {columns}x{lines}"] = redraw(
            scenes["overview"], "overview", columns, lines, whole=True
        )[1]
    return found


def _learn(watcher: Watcher) -> Scene:
    watcher.whole = None
    return watcher.look(Request())


def redraw(scene: Scene, page: str, columns: int, lines: int, *, whole: bool = False) -> tuple[float, int]:
    """Seconds from a scene to the bytes that the terminal is sent, and how many when one second has passed."""
    painter = Painter(Console(force_terminal=True, color_system="256", width=columns))
    sight = Sight(page=page)
    painter.paint(screen(scene, sight, columns, lines), columns)
    if whole:
        painter.forget()
        return 0.0, len(painter.paint(screen(scene, sight, columns, lines), columns).encode())
    later = msgspec.structs.replace(scene, now=scene.now + 1)
    sent = len(painter.paint(screen(later, sight, columns, lines), columns).encode())

    def draw() -> None:
        painter.forget()
        painter.paint(screen(scene, sight, columns, lines), columns)

    return median(draw), sent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", default="1000,100000")
    parser.add_argument("--scores", type=int, default=50)
    parser.add_argument("--keep", type=Path, help="a folder for the stores; used again when they are there")
    given = parser.parse_args()
    columns: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for runs in map(int, given.runs.split(",")):
            folder = (given.keep or Path(temporary)) / str(runs)
            if not (folder / "sgonz.db").exists():
                folder.mkdir(parents=True)
                make(folder, runs, given.scores)
            columns[f"{runs:,}"] = measure(folder)
    print(f"| | {' | '.join(f'{name} runs' for name in columns)} |\n| --- |{' --- |' * len(columns)}")
    for name in next(iter(columns.values())):
        cells = " | ".join(
            f"{found[name]:.3f}" if name.endswith(" s") else f"{found[name]:.0f}"
            for found in columns.values()
        )
        print(f"| {name} | {cells} |")


if __name__ == "__main__":
    main()
