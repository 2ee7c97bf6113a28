"""The live screen's likeness where nobody draws: a line for everything that ended, and one now and then for the whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

from sgonz.looking.scene import Request, Scene
from sgonz.plan.state import RunRow
from sgonz.view.figures import clock, printable
from sgonz.view.lines import ended_lines, heartbeat_line

HEARTBEAT = 30.0  # seconds of nothing to tell
Ended = Callable[[float, str], Sequence[RunRow]]  # since when, of which runs


def tell(
    look: Callable[[Request], Scene],
    ended: Ended,
    stream: TextIO,
    *,
    metrics: Mapping[str, str],
    where: str,
    every: float,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Until the sweep is finished, or whoever reads has gone."""
    told, since, known = float("-inf"), time.time(), set[str]()
    problems: tuple[str, ...] = ()
    while True:
        scene = look(Request(where=where, rows=1))
        states = {str(state): size for state, size in scene.states.items()}
        lines = [f"problem: {printable(problem)}" for problem in _problems(scene) if problem not in problems]
        problems = _problems(scene)
        rows = [row for row in ended(since, where) if row.run_id not in known]
        lines += ended_lines(rows, states, metrics)
        known |= {row.run_id for row in rows}
        since = max((row.ended or since for row in rows), default=since)
        if scene.finished or scene.now - told >= HEARTBEAT:
            lines.append(heartbeat_line({"sweep": scene.sweep, "runs": states}))
        if lines:
            told = scene.now
            stream.writelines(f"{clock(scene.now)}  {line}\n" for line in lines)
            stream.flush()
        if scene.finished:
            return
        wait(every)


def _problems(scene: Scene) -> tuple[str, ...]:
    return (*([scene.wrong] if scene.wrong else []), *scene.problems)
