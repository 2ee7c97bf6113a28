"""The parts of the live screen: each makes lines from a scene, as many as it is given room for."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from sgonz.looking.scene import Doing, Part, Rank, Scene, Spent
from sgonz.plan.runs import Kind, State
from sgonz.plan.state import RunRow
from sgonz.view.figures import MISSING, count, done_of, loss, rate, score
from sgonz.view.glyphs import bar, plot, spark
from sgonz.view.grid import GAP, Field, grid, words
from sgonz.view.lines import reason_of
from sgonz.view.stages import STYLES

LOST = (State.FAILED, State.SKIPPED, State.CANCELLED)
WAITING = (State.PENDING, State.SUBMITTED)


@dataclass(frozen=True, kw_only=True)
class Paper:
    """What is drawn on."""

    width: int
    plain: bool = False  # signs of ASCII alone


def moment(seconds: float | None, now: float) -> str:
    """A time as short as it can be told: today's by the clock, other days by date."""
    if seconds is None:
        return MISSING
    there, here = time.localtime(seconds), time.localtime(now)
    if there[:3] == here[:3]:
        return time.strftime("%H:%M", there)
    return (
        time.strftime("%b %d %H:%M", there)
        if abs(seconds - now) < 300 * 86400
        else time.strftime("%Y-%m-%d", there)
    )


def length(seconds: float | None) -> str:
    """A length of time in two parts at most: 12 s, 3:20 m, 4:05 h, 3 d."""
    if seconds is None:
        return MISSING
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} m"
    return f"{whole // 3600}:{whole % 3600 // 60:02} h" if whole < 100 * 3600 else f"{whole / 86400:.0f} d"


def hours(value: float | None) -> str:
    """Device hours, with as many digits as tell something."""
    if value is None:
        return MISSING
    if value < 10:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 1000 else f"{value:,.0f}"


def stages(scene: Scene, paper: Paper, room: int) -> list[Text]:
    """A row for each data set with a bar for each stage, all of them first."""
    kinds = [kind for kind in Kind if any(part.kind is kind for part in scene.parts)]
    by_dataset: dict[str, list[Part]] = defaultdict(list)
    for part in scene.parts:
        by_dataset[part.dataset].append(part)
    rows: list[tuple[str, Sequence[Part]]] = list(by_dataset.items())
    if len(rows) + 1 > room - 1:  # what is not done yet is worth the room
        rows.sort(key=lambda row: all(_done(part) for part in row[1]))
    if len(rows) > 1:
        rows.insert(0, ("all", scene.parts))
    size = 12 if paper.width >= 150 else 6 if paper.width >= 100 else 4
    fields = [
        Field(heading="data set", cell=lambda row: words(row[0], "bold" if row[1] is scene.parts else ""), least=8),
        *(_stage(kind, size, paper.plain, scene) for kind in kinds),
        Field(heading="wait", cell=lambda row: _states(row[1], *WAITING), right=True, rank=3),
        Field(heading="run", cell=lambda row: _states(row[1], State.RUNNING), right=True, rank=2),
        Field(heading="fail", cell=lambda row: _states(row[1], State.FAILED), right=True, rank=1),
        Field(heading="skip", cell=lambda row: _states(row[1], State.SKIPPED, State.CANCELLED), right=True, rank=4),
        Field(heading="left", cell=lambda row: length(_left(row[1]) or None), right=True, rank=6),
        Field(heading="finish", cell=lambda row: _finish(row[1], scene), right=True, rank=5),
    ]  # fmt: skip
    return fold(rows, room, lambda shown: grid(fields, shown, paper.width))


def fold(rows: Sequence[Any], room: int, draw: Callable[[Sequence[Any]], list[Text]]) -> list[Text]:
    """A heading and as many rows as there is room for; the last line says how many more there are."""
    if room < 2 or not rows:
        return []
    if len(rows) + 1 <= room:
        return draw(rows)
    if room < 3:
        return []  # a heading over nothing tells less
    shown = room - 2
    return [*draw(rows[:shown]), words(f"and {len(rows) - shown:,} more", "dim")]


def _done(part: Part) -> bool:
    return all(state.is_final for state in part.states)


def _stage(kind: Kind, size: int, plain: bool, scene: Scene) -> Field:
    parts = [part for part in scene.parts if part.kind is kind]
    every = sum(sum(part.states.values()) for part in parts)
    digits = len(str(every))

    def cell(row: tuple[str, Sequence[Part]]) -> Text:
        own = [part for part in row[1] if part.kind is kind]
        total = sum(sum(part.states.values()) for part in own)
        if not total:
            return words(MISSING, "dim")
        done = sum(part.states.get(State.COMPLETED, 0) for part in own)
        full, empty = bar(done, total, size, plain=plain)
        text = Text(full, style="green", end="")
        return text.append(empty, "dim").append(
            f" {done:>{digits}}/{total:<{digits}}", "dim" if done == total else ""
        )

    return Field(heading=str(kind), cell=cell)


def _states(parts: Sequence[Part], *states: State) -> Text:
    size = sum(part.states.get(state, 0) for part in parts for state in states)
    return words(f"{size:,}", STYLES[states[0]]) if size else words("", "dim")


def _left(parts: Sequence[Part]) -> float:
    return sum(part.seconds_left or 0.0 for part in parts)


def _finish(parts: Sequence[Part], scene: Scene) -> str:
    times = [part.finish for part in parts if part.finish is not None]
    return moment(max(times), scene.now) if times else ""


def running(scene: Scene, paper: Paper, room: int, *, mark: int | None = None) -> list[Text]:
    """What is being worked on."""
    curve = 16 if paper.width >= 170 else 8
    fields = [
        Field(heading="run", cell=lambda doing: doing.row.run_id[:8], rank=9),
        Field(heading="running", cell=lambda doing: words(doing.row.kind, STYLES[State.RUNNING]), rank=8),
        Field(heading="data set", cell=lambda doing: doing.row.dataset, least=8, most=20),
        Field(heading="model", cell=lambda doing: doing.row.model, least=12, most=24),
        Field(heading="lr", cell=lambda doing: rate(doing.row.learning_rate), right=True, rank=7),
        Field(heading="batch", cell=lambda doing: count(doing.row.batch_size), right=True, rank=12),
        Field(heading="node", cell=lambda doing: doing.host or MISSING, least=5, most=16, rank=6),
        Field(heading="device", cell=lambda doing: _device(doing), least=5, most=14, rank=11),
        Field(heading="job", cell=lambda doing: job_name(doing.job), most=16, least=6, rank=14),
        Field(heading="epoch", cell=_epoch, right=True),
        Field(heading="done", cell=lambda doing: MISSING if doing.share is None else f"{doing.share:.0%}", right=True, rank=3),
        Field(heading="loss", cell=lambda doing: loss(doing.loss), right=True, rank=1),
        Field(heading="best", cell=lambda doing: loss(doing.best), right=True, rank=2),
        Field(heading="patience", cell=lambda doing: count(doing.patience_left), right=True, rank=13),
        Field(heading="micro", cell=lambda doing: count(doing.micro_batch), right=True, rank=12),
        Field(heading="ex/s", cell=lambda doing: MISSING if doing.per_second is None else f"{doing.per_second:,.0f}", right=True, rank=5),
        Field(heading="left", cell=lambda doing: length(doing.seconds_left), right=True, rank=4),
        Field(heading="curve", cell=lambda doing: words(spark(doing.curve, curve, plain=paper.plain), "cyan"), rank=10),
    ]  # fmt: skip
    total = scene.running_total - scene.running_first
    return _listed(scene.running, total, fields, paper, room, mark)


def job_name(job: str | None) -> str:
    """As the cluster calls it; of a process on this machine its number alone."""
    return (job or MISSING).split(":")[0]


def _device(doing: Doing) -> str:
    """What is left of a driver's name for a device when its maker is left out."""
    return (doing.device or MISSING).removeprefix("NVIDIA ").replace("-SXM", " SXM").split(" SXM")[0]


def _epoch(doing: Doing) -> str:
    if doing.row.kind not in (Kind.FINETUNE, Kind.DISTILL):
        return MISSING
    return f"{doing.epoch if doing.epoch is not None else MISSING}/{doing.row.epochs or MISSING}"


def failures(scene: Scene, paper: Paper, room: int, *, mark: int | None = None) -> list[Text]:
    """What failed last, and why."""
    fields = [
        Field(heading="failed", cell=lambda row: words(moment(row.ended, scene.now)), rank=2),
        Field(heading="run", cell=lambda row: row.run_id[:8]),
        Field(heading="kind", cell=lambda row: row.kind, rank=3),
        Field(heading="data set", cell=lambda row: row.dataset, least=6, most=20, rank=1),
        Field(heading="model", cell=lambda row: row.model, least=8, most=24, rank=1),
        Field(heading="tries", cell=lambda row: count(row.attempts), right=True, rank=4),
        Field(heading="cause", cell=lambda row: words(reason_of(row), STYLES[State.FAILED]), least=min(28, paper.width // 3), most=400),
    ]  # fmt: skip
    return _listed(scene.failed.rows, scene.failed.total - scene.failed.first, fields, paper, room, mark)


def _listed(
    rows: Sequence[Any], total: int, fields: Sequence[Field], paper: Paper, room: int, mark: int | None
) -> list[Text]:
    """On a page of its own all of the room is for rows; elsewhere the last line says how many more there are."""
    if mark is not None:
        return grid(fields, rows[: room - 1], paper.width, mark=mark)
    if room < 2 or not rows:
        return []
    if total + 1 <= room and len(rows) == total:
        return grid(fields, rows, paper.width)
    shown = min(room - 2, len(rows))
    return [*grid(fields, rows[:shown], paper.width), words(f"and {total - shown:,} more", "dim")]


def board(scene: Scene, paper: Paper, room: int, *, mark: int | None = None, first: int = 0) -> list[Text]:
    """The selected runs; bold is the best on validation of a data set's stage."""
    ranks = scene.board or ()
    best: dict[tuple[str, Kind], float] = {}
    for rank in ranks:
        key = (rank.row.dataset, rank.row.kind)
        if rank.validation is not None:
            best[key] = max(rank.validation, best.get(key, rank.validation))
    several = len({rank.row.seed for rank in ranks}) > 1
    fields = [
        Field(heading="data set", cell=lambda rank: rank.row.dataset, least=8, most=20),
        Field(heading="kind", cell=lambda rank: rank.row.kind, rank=3),
        Field(heading="model", cell=lambda rank: rank.row.model, least=15, most=26),
        Field(heading="teacher", cell=lambda rank: rank.row.teacher or MISSING, least=8, most=24, rank=2),
        *([Field(heading="seed", cell=lambda rank: count(rank.row.seed), right=True, rank=4)] if several else []),
        Field(heading="lr", cell=lambda rank: rate(rank.row.learning_rate), right=True, rank=6),
        Field(heading="batch", cell=lambda rank: count(rank.row.batch_size), right=True, rank=7),
        Field(heading="epoch", cell=lambda rank: count(rank.row.best_epoch), right=True, rank=5),
        Field(heading="loss", cell=lambda rank: loss(rank.row.validation_loss), right=True, rank=1),
        Field(heading="metric", cell=lambda rank: rank.metric, rank=4),
        Field(heading="valid.", cell=lambda rank: _validation(rank, best), right=True),
        Field(heading="test", cell=lambda rank: score(rank.test), right=True),
    ]  # fmt: skip
    if mark is not None:
        return grid(fields, ranks[first : first + room - 1], paper.width, mark=mark)
    return fold(ranks, room, lambda shown: grid(fields, shown, paper.width))


def _validation(rank: Rank, best: dict[tuple[str, Kind], float]) -> Text:
    leads = rank.validation is not None and rank.validation == best[rank.row.dataset, rank.row.kind]
    return words(score(rank.validation), "bold" if leads else "")


def runs(scene: Scene, paper: Paper, room: int, *, mark: int) -> list[Text]:
    """A page of all runs."""
    fields = [
        Field(heading="run", cell=lambda row: row.run_id[:8]),
        Field(heading="state", cell=lambda row: words(row.state.lower(), STYLES[row.state])),
        Field(heading="kind", cell=lambda row: row.kind),
        Field(heading="data set", cell=lambda row: row.dataset, least=8, most=20),
        Field(heading="model", cell=lambda row: row.model, least=12, most=26),
        Field(heading="teacher", cell=lambda row: row.teacher or MISSING, least=8, most=24, rank=8),
        Field(heading="lr", cell=lambda row: rate(row.learning_rate), right=True, rank=1),
        Field(heading="batch", cell=lambda row: count(row.batch_size), right=True, rank=4),
        Field(heading="epochs", cell=lambda row: count(row.epochs), right=True, rank=5),
        Field(heading="seed", cell=lambda row: count(row.seed), right=True, rank=7),
        Field(heading="best", cell=lambda row: count(row.best_epoch), right=True, rank=6),
        Field(heading="loss", cell=lambda row: loss(row.validation_loss), right=True),
        Field(heading="took", cell=lambda row: length(row.seconds), right=True, rank=3),
        Field(heading="remark", cell=_remark, least=8, most=200, rank=2),
    ]  # fmt: skip
    return grid(fields, scene.listed.rows[: room - 1], paper.width, mark=mark)


def _remark(row: RunRow) -> Text:
    if row.state in LOST or row.reason:
        return words(reason_of(row), STYLES[State.FAILED] if row.state is State.FAILED else "")
    parts = [*(["selected"] if row.selected else []), *(["superseded"] if row.superseded else []), *row.flags]
    return words(", ".join(parts), "dim")


def spent(scene: Scene, paper: Paper, room: int, *, first: int = 0) -> list[Text]:
    """Device hours by stage and model."""
    rows = list(scene.spent or ())
    fields = [
        Field(heading="kind", cell=lambda row: row.kind),
        Field(heading="model", cell=lambda row: row.model, least=8, most=30),
        Field(heading="used", cell=lambda row: hours(row.used), right=True),
        Field(heading="wasted", cell=lambda row: words(hours(row.wasted), "yellow" if row.wasted else "dim"), right=True),
        Field(heading="to come", cell=lambda row: hours(row.left), right=True),
        Field(heading="", cell=lambda row: _share(row, rows, paper), rank=1),
    ]  # fmt: skip
    return fold(rows[first:], room, lambda shown: grid(fields, shown, paper.width))


def _share(row: Spent, rows: Sequence[Spent], paper: Paper) -> Text:
    """Of the most that any kind and model takes."""
    most = max((one.used + (one.left or 0.0) for one in rows), default=0.0) or 1.0
    size = 30 if paper.width >= 100 else 16
    used = round(size * row.used / most)
    left = round(size * (row.left or 0.0) / most)
    full, empty = ("#", "-") if paper.plain else ("█", "░")
    return Text(full * used, style="blue", end="").append(empty * left, "dim")


def states_line(states: dict[State, int]) -> Text:
    """How many runs stand in each state, in the order of a run's life."""
    line = Text(no_wrap=True, end="")
    for state, size in states.items():
        line.append(", " if line else "").append(f"{size:,} {state.lower()}", style=STYLES[state])
    return line


def open_line(states: dict[State, int]) -> Text:
    """The same where there is little room: what waits together, and nothing of what is done."""
    waiting = sum(states.get(state, 0) for state in WAITING)
    lost = sum(states.get(state, 0) for state in (State.SKIPPED, State.CANCELLED))
    parts = [(states.get(State.RUNNING, 0), "running", STYLES[State.RUNNING]), (waiting, "waiting", "dim"),
             (states.get(State.FAILED, 0), "failed", STYLES[State.FAILED]), (lost, "skipped", STYLES[State.SKIPPED])]  # fmt: skip
    line = Text(no_wrap=True, end="")
    for size, word, style in parts:
        if size:
            line.append(", " if line else "").append(f"{size:,} {word}", style)
    return line


def curves(scene: Scene, paper: Paper, room: int) -> list[Text]:
    """Validation losses of what runs, side by side, where there is room for pictures."""
    high = min(room - 2, 8)
    telling = [doing for doing in scene.running if len(doing.curve) > 1]
    if high < 4 or not telling:
        return []
    side = 9  # of figures beside a picture
    wide = 26
    shown = telling[: max(1, (paper.width + GAP) // (side + wide + GAP))]
    lines = [Text(end="") for _ in range(high + 1)]
    for number, doing in enumerate(shown):
        start = number * (side + wide + GAP)
        name = words(f"{doing.row.dataset} {doing.row.model} {rate(doing.row.learning_rate)}", "dim")
        name.truncate(side + wide, overflow="ellipsis")
        picture = plot([doing.curve], wide, high, plain=paper.plain)[0]
        for at, part in enumerate([name, *(Text(line, style="cyan", end="") for line in picture)]):
            figure = {1: loss(max(doing.curve)), high: loss(min(doing.curve))}.get(at, "")
            lines[at].append(" " * (start - lines[at].cell_len))
            if at:
                lines[at].append(f"{figure:>{side - 1}} ", "dim")
            lines[at].append_text(part)
    return lines


def done_line(scene: Scene) -> tuple[int, int]:
    return done_of({str(state): size for state, size in scene.states.items()})
