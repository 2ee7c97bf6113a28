"""A sweep while it runs and nobody draws: plain lines for what happens."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TextIO

from sgonz.plan.spec import Sweep
from sgonz.plan.state import RunRow
from sgonz.view.cells import console_for
from sgonz.view.changes import Look, look, new_teachers
from sgonz.view.figures import clock as time_of_day
from sgonz.view.figures import printable
from sgonz.view.lines import again_line, ended_lines, heartbeat_line, teacher_line

HEARTBEAT = 30.0  # seconds of nothing to tell
PROBLEMS_KEPT = 100  # to tell each once

Status = Mapping[str, Any]  # what answers.status() gives


class Live:
    """Holds what was seen at the last update."""

    def __init__(
        self, sweep: Sweep, *, stream: TextIO | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self.metrics = {name: table.metric for name, table in sweep.dataset_tables.items() if table.metric}
        self.stream = console_for(stream or sys.stderr, terminal=False).file
        self.now = now
        self.status: Status | None = None
        self.seen: Look | None = None
        self.problems: dict[str, float] = {}  # what and when last, oldest first
        self.told = float("-inf")

    def update(self, status: dict[str, Any], rows: Sequence[RunRow], problems: Sequence[str]) -> None:
        """Say what changed. Rows are looked at only when `status` is another one than last time."""
        now, before = self.now(), self.status
        changed = before is None or status != before
        if changed:
            self.status, self.seen = status, look(self.seen, rows)
        self._tell(now, self._keep(problems, now), before, changed)

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
            self.stream.writelines(f"{time_of_day(now)}  {line}\n" for line in lines)
            self.stream.flush()

    def _heartbeat(self) -> list[str]:
        return [heartbeat_line(self.status)] if self.status else []

    def _news(self, before: Status) -> Iterator[str]:
        if self.status is None or self.seen is None:
            return
        yield from ended_lines(self.seen.ended, self.status["runs"], self.metrics)
        yield from map(again_line, self.seen.again)
        for name in new_teachers(before, self.status):
            yield teacher_line(name, self.status["datasets"][name])
