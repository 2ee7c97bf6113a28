"""The live screen as a value: what it shows, cut to the size of the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from sgonz.plan.runs import Kind, State
from sgonz.plan.state import RunRow
from sgonz.view.cells import Column, cut, table_of
from sgonz.view.figures import MISSING, clock, count, done_of, loss, number_of, rate, span
from sgonz.view.lines import reason_of
from sgonz.view.stages import STYLES, all_done, counts_line, stage_table
from sgonz.view.standing import Standing

HEADER = 2  # lines
FRAME = 2  # lines that a section takes beside its rows: a blank one and a heading
LEAST = 2  # rows, or a row and how many more there are


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What is to be seen at one moment; rows may be cut to what can fit, totals tell how many there are."""

    status: Mapping[str, Any]
    elapsed: float  # seconds
    running: Sequence[RunRow] = ()
    standings: Mapping[str, Standing] = field(default_factory=dict)
    failed: Sequence[RunRow] = ()  # newest first
    problems: Sequence[tuple[float, str]] = ()  # when and what, newest first


def screen(scene: Scene, width: int, height: int) -> RenderableType:
    """At most `height` lines of at most `width` columns."""
    datasets = scene.status["datasets"]
    sizes = [len(datasets), len(scene.running), len(scene.failed), len(scene.problems)]
    fitting = fit(sizes, height - HEADER)
    parts: list[RenderableType] = list(_header(scene)[:height])
    for draw, size, lines in zip((_datasets, _running, _failures, _problems), sizes, fitting, strict=True):
        if not lines:
            continue
        shown = size if lines == size else lines - 1
        parts.append(Text())
        parts.append(draw(scene, shown, width))
        if shown < size:
            parts.append(cut(f"and {size - shown:,} more", "dim"))
    return Group(*parts)


def fit(sizes: Sequence[int], lines: int) -> list[int]:
    """How many lines each section gets; the shortest grow first, and where it is tight the last are left out."""
    for kept in range(len(sizes), 0, -1):
        given = [min(size, LEAST) for size in sizes[:kept]]
        spare = lines - sum(given) - FRAME * sum(map(bool, given))
        if spare < 0:
            continue
        while spare and (wanting := [at for at in range(kept) if given[at] < sizes[at]]):
            given[min(wanting, key=given.__getitem__)] += 1
            spare -= 1
        return given + [0] * (len(sizes) - kept)
    return [0] * len(sizes)


def _header(scene: Scene) -> tuple[Text, Text]:
    done, every = done_of(scene.status["runs"])
    first = cut(scene.status["sweep"], "bold")
    first.append(f"  {done:,} of {number_of(every, 'run')} done  {span(scene.elapsed)}", style="not bold")
    return first, counts_line(scene.status["runs"])


def _datasets(scene: Scene, shown: int, width: int) -> RenderableType:
    datasets = scene.status["datasets"]
    names = list(datasets)
    if shown < len(names):
        names.sort(key=lambda name: all_done(datasets[name]))
    return stage_table({name: datasets[name] for name in names[:shown]}, width=width, box=None)


def _running(scene: Scene, shown: int, width: int) -> RenderableType:
    found = scene.standings.get
    columns = [
        Column(heading="running", cell=lambda row: cut(row.kind, STYLES[State.RUNNING])),
        Column(heading="data set", cell=lambda row: cut(row.dataset)),
        Column(heading="model", cell=lambda row: cut(row.model)),
        Column(heading="lr", cell=lambda row: cut(rate(row.learning_rate)), number=True),
        Column(heading="batch", cell=lambda row: cut(count(row.batch_size)), number=True, least=100),
        Column(heading="epoch", cell=lambda row: cut(_epoch(row, found(row.run_id))), number=True),
        Column(heading="done", cell=lambda row: cut(_share(found(row.run_id))), number=True),
        Column(heading="train loss", cell=lambda row: cut(_loss(found(row.run_id))), number=True),
        Column(heading="attempt", cell=lambda row: cut(row.attempts), number=True, least=72),
    ]
    return table_of(columns, scene.running[:shown], width=width, box=None)


def _epoch(row: RunRow, at: Standing | None) -> str:
    if row.kind not in (Kind.FINETUNE, Kind.DISTILL):
        return MISSING
    return f"{at.epoch if at else MISSING}/{row.epochs or MISSING}"


def _share(at: Standing | None) -> str:
    return MISSING if at is None or at.share is None else f"{at.share:.0%}"


def _loss(at: Standing | None) -> str:
    return loss(at.loss if at else None)


def _failures(scene: Scene, shown: int, width: int) -> RenderableType:
    columns = [
        Column(heading="failed", cell=lambda row: cut(clock(row.ended) if row.ended else MISSING), least=60),
        Column(heading="run", cell=lambda row: cut(f"{row.kind} {row.dataset} {row.model}")),
        Column(heading="reason", cell=lambda row: cut(reason_of(row), STYLES[State.FAILED])),
    ]
    return table_of(columns, scene.failed[:shown], width=width, box=None)


def _problems(scene: Scene, shown: int, width: int) -> RenderableType:
    columns = [
        Column(heading="problem", cell=lambda problem: cut(clock(problem[0])), least=60),
        Column(heading="", cell=lambda problem: cut(problem[1], "yellow")),
    ]
    return table_of(columns, scene.problems[:shown], width=width, box=None)
