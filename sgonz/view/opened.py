"""One run, opened: what it is, where it stands, its curve, its attempts and the end of its log."""

from __future__ import annotations

from rich.text import Text

from sgonz.looking.scene import Opened, Scene, Tried
from sgonz.plan.runs import State
from sgonz.plan.state import ScoreRow
from sgonz.plan.wording import number_of
from sgonz.view.figures import MISSING, loss, plain, printable, rate
from sgonz.view.glyphs import plot
from sgonz.view.grid import Field, grid, own, words
from sgonz.view.panels import Paper, job_name, length, moment
from sgonz.view.stages import STYLES

HIGH = 8  # lines of a curve


def opened(scene: Scene, paper: Paper, room: int) -> list[Text]:
    """Everything that is known; as many lines as it takes."""
    run = scene.opened
    if run is None:
        return [Text(end=""), words("looking ...", "dim")]
    lines = [Text(end=""), *_facts(run)]
    if run.curve:
        lines += [Text(end=""), *_curve(run, paper, max(4, min(HIGH, room - 14)) if room < 40 else 12)]
    if run.tried:
        lines += [Text(end=""), *_tried(scene, run, paper)]
    lines += [
        Text(end=""),
        words(
            f"sgonz logs {run.row.run_id[:8]}  ·  sgonz explain {run.row.run_id[:8]}  ·  {run.folder}", "dim"
        ),
    ]
    if run.log:
        lines += [Text(end=""), words("the end of its log", "dim"), *map(_of_log, run.log[-12:])]
    return lines


def _of_log(line: str) -> Text:
    """A traceback is read by how far its lines stand in."""
    return own(" " * (len(line) - len(line.lstrip(" "))) + printable(line))


def _facts(run: Opened) -> list[Text]:
    row = run.row
    title = words(f"{row.kind} {row.dataset} {row.model}", "bold")
    title.append(f"  {row.run_id[:12]}  ", "dim not bold").append(row.state.lower(), STYLES[row.state])
    settings = [
        f"lr {rate(row.learning_rate)}",
        f"batch {row.batch_size}",
        f"epochs {row.epochs}",
        f"seed {row.seed}",
    ]
    settings += [f"teacher {row.teacher}"] if row.teacher else []
    settings += [row.protocol, *(["selected"] if row.selected else []), *row.flags]
    lines = [title, own("  ".join(map(printable, settings)))]
    if run.why:
        lines.append(words(run.why, STYLES[State.FAILED] if row.state is State.FAILED else "yellow"))
    if row.validation_loss is not None:
        scores = (
            f"loss {loss(row.validation_loss)} at epoch {row.best_epoch}  validation {plain(row.validation)}"
        )
        lines.append(own(scores + (f"  test {plain(row.test)}" if row.test else "")))
    if run.doing is not None:
        doing = run.doing
        place = f"on {doing.host or MISSING} ({doing.device or MISSING})  job {job_name(doing.job)}"
        now = [
            f"epoch {doing.epoch or MISSING}/{row.epochs}",
            f"loss {loss(doing.loss)}",
            f"best {loss(doing.best)}",
        ]
        now += [f"patience {doing.patience_left}"] if doing.patience_left is not None else []
        now += [f"{doing.per_second:,.0f} examples/s"] if doing.per_second else []
        now += [f"left {length(doing.seconds_left)}"] if doing.seconds_left is not None else []
        lines += [own(printable(place), STYLES[State.RUNNING]), own("  ".join(now), STYLES[State.RUNNING])]
    return lines


def _curve(run: Opened, paper: Paper, high: int) -> list[Text]:
    """Training and validation loss over the epochs."""
    training, validation = [row.train_loss for row in run.curve], [row.validation_loss for row in run.curve]
    points = [value for value in [*training, *validation] if value is not None]
    if not points:
        return []
    top, bottom = loss(max(points)), loss(min(points))
    side = max(len(top), len(bottom)) + 1
    width = min(paper.width - side - 1, 100, max(20, 4 * len(run.curve)))
    below, above = plot([training, validation], width, high, plain=paper.plain)
    lines = []
    for number in range(high):
        mark = top if number == 0 else bottom if number == high - 1 else ""
        line = Text(f"{mark:>{side - 1}} ", style="dim", end="")
        for one, other in zip(below[number], above[number], strict=True):
            if other.strip():
                line.append(other, "cyan")
            else:
                line.append(one, "dim")
        lines.append(line)
    lines.append(_legend(run.curve, side))
    return lines


def _legend(curve: tuple[ScoreRow, ...], side: int) -> Text:
    best = min(
        (row for row in curve if row.validation_loss is not None),
        key=lambda row: row.validation_loss or 0.0,
        default=None,
    )
    line = Text(" " * side, end="").append("validation", "cyan").append(" and training loss over ", "dim")
    line.append(number_of(len(curve), "validation"), "dim")
    return line.append(f", best {loss(best.validation_loss)} at epoch {best.epoch}", "dim") if best else line


def _splits(one: Tried) -> str:
    return " ".join(one.splits) or MISSING


def _tried(scene: Scene, run: Opened, paper: Paper) -> list[Text]:
    fields = [
        Field(heading="attempt", cell=lambda one: str(one.attempt), right=True),
        Field(heading="started", cell=lambda one: moment(one.started, scene.now)),
        Field(heading="took", cell=lambda one: length(one.seconds), right=True),
        Field(heading="node", cell=lambda one: one.host or MISSING, least=5, most=16, rank=2),
        Field(heading="device", cell=lambda one: one.device or MISSING, least=5, most=20, rank=3),
        Field(heading="job", cell=lambda one: job_name(one.job), least=6, most=16, rank=4),
        Field(heading="MB", cell=lambda one: MISSING if one.peak_memory_mb is None else f"{one.peak_memory_mb:,.0f}", right=True, rank=5),
        Field(heading="outcome", cell=lambda one: (one.outcome or "running").lower()),
        Field(heading="error", cell=lambda one: words(one.error or "", "red"), least=10, most=300, rank=1),
    ]  # fmt: skip
    if any(one.splits for one in run.tried):
        tried_in = Field(heading="micro-batches", cell=_splits, least=8, most=24, rank=6)
        fields.insert(7, tried_in)
    return grid(fields, run.tried, paper.width)
