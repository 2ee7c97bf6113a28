"""A sweep while it runs: a screen that is redrawn on a terminal, plain lines everywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import rich.live
from rich.console import Console

from sgonz.plan.spec import Sweep
from sgonz.plan.state import RunRow
from sgonz.rundir import Workdir
from sgonz.view.cells import console_for, is_terminal
from sgonz.view.changes import Look, look, new_teachers
from sgonz.view.figures import clock as time_of_day
from sgonz.view.figures import printable
from sgonz.view.lines import again_line, ended_lines, heartbeat_line, teacher_line
from sgonz.view.screen import Scene, screen
from sgonz.view.standing import Standing, standing

REDRAW_EVERY = 0.25  # seconds
READ_EVERY = 2.0  # seconds; workers tell as often, and event files lie on shared disks
HEARTBEAT = 30.0  # seconds of nothing to tell
PROBLEMS_KEPT = 100  # to tell each once
PROBLEMS_SHOWN = 5

Status = Mapping[str, Any]  # what answers.status() gives


class Live:
    """Holds the terminal, and what was seen at the last update."""

    def __init__(
        self,
        sweep: Sweep,
        *,
        interactive: bool | None = None,
        console: Console | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.metrics = {name: table.metric for name, table in sweep.dataset_tables.items() if table.metric}
        self.interactive = is_terminal(sys.stderr) if interactive is None else interactive
        self.console = console or console_for(sys.stderr, terminal=self.interactive)
        self.now = now
        self.began = now()
        self.status: Status | None = None
        self.seen: Look | None = None
        self.problems: dict[str, float] = {}  # what and when last, oldest first
        self.workdir: Workdir | None = None
        self.standings: dict[str, Standing] = {}
        self.drawn = self.read = self.told = float("-inf")
        self.display: rich.live.Live | None = None

    def __enter__(self) -> Self:
        if self.interactive:
            # stdout holds answers only, so it is not taken over.
            self.display = rich.live.Live(console=self.console, auto_refresh=False, redirect_stdout=False)
            self.display.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.display is None:
            return
        self.display.transient = kind is None  # at a good end the answer is printed in its place
        if kind is not None:
            self._draw(self.now())
        self.display.stop()
        self.display = None

    def update(
        self, status: dict[str, Any], rows: Sequence[RunRow], problems: Sequence[str], workdir: Workdir
    ) -> None:
        """Show what changed. Rows are looked at only when `status` is another one than last time."""
        now, before = self.now(), self.status
        changed = before is None or status != before
        if changed:
            self.status, self.seen = status, look(self.seen, rows)
        fresh = self._keep(problems, now)
        self.workdir = workdir
        if self.display is None:
            self._tell(now, fresh, before, changed)
        elif now - self.drawn >= REDRAW_EVERY:
            self._draw(now)

    def _keep(self, problems: Sequence[str], now: float) -> list[str]:
        """Remember the problems of this turn; which ones are new."""
        fresh = [problem for problem in problems if problem not in self.problems]
        for problem in problems:
            self.problems.pop(problem, None)
            self.problems[problem] = now
        for problem in list(self.problems)[:-PROBLEMS_KEPT]:
            del self.problems[problem]
        return fresh

    def _tell(self, now: float, fresh: Sequence[str], before: Status | None, changed: bool) -> None:
        lines = [f"problem: {printable(problem)}" for problem in fresh]
        if before is None:
            lines += self._heartbeat()
        elif changed:
            lines += self._news(before)
        if not lines and now - self.told >= HEARTBEAT:
            lines += self._heartbeat()
        if lines:
            self.told = now
            stream = self.console.file
            stream.writelines(f"{time_of_day(now)}  {line}\n" for line in lines)
            stream.flush()

    def _heartbeat(self) -> list[str]:
        return [heartbeat_line(self.status)] if self.status else []

    def _news(self, before: Status) -> Iterator[str]:
        if self.status is None or self.seen is None:
            return
        yield from ended_lines(self.seen.ended, self.status["runs"], self.metrics)
        yield from map(again_line, self.seen.again)
        for name in new_teachers(before, self.status):
            yield teacher_line(name, self.status["datasets"][name])

    def _draw(self, now: float) -> None:
        if self.display is None or self.status is None or self.seen is None:
            return
        self.drawn = now
        width, height = self.console.size
        height -= 1  # a full last line would scroll
        scene = Scene(
            status=self.status,
            elapsed=now - self.began,
            running=self.seen.running,
            standings=self._standings(now, height),
            failed=self.seen.failed,
            problems=[(when, what) for what, when in reversed(self.problems.items())][:PROBLEMS_SHOWN],
        )
        self.display.update(screen(scene, width, height), refresh=True)

    def _standings(self, now: float, most: int) -> Mapping[str, Standing]:
        """Of the first running runs, which are all that fit, read again every few seconds."""
        if self.seen and self.workdir and now - self.read >= READ_EVERY:
            self.read = now
            found = {row.run_id: standing(self.workdir, row) for row in self.seen.running[:most]}
            self.standings = {run_id: at for run_id, at in found.items() if at}
        return self.standings
