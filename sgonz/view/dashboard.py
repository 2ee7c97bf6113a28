"""The live screen: from a scene and what somebody looks at to exactly as many lines as the terminal has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from textwrap import wrap

from rich.text import Text

from sgonz.looking.scene import Scene
from sgonz.plan.state import RunRow
from sgonz.plan.wording import number_of
from sgonz.view import panels
from sgonz.view.figures import printable
from sgonz.view.glyphs import bar
from sgonz.view.grid import own, words
from sgonz.view.lines import reason_of
from sgonz.view.opened import opened
from sgonz.view.panels import Paper, hours, length, moment
from sgonz.view.sight import LISTS, PAGES, Sight, total

WIDE = 150  # columns from which two panels stand side by side
STALE_SECONDS = 120.0  # after which nobody seems to make turns
HELP = (
    ("1 - 6, Tab, arrows left and right", "go from page to page"),
    ("arrows up and down, j k, PageUp PageDown, g G", "move in a list or a text"),
    ("Enter", "open the chosen run; Esc goes back"),
    ("/", 'choose runs: dataset in (pos, ner) and state = FAILED; c takes the choice back'),
    ("Ctrl-L", "draw everything anew"),
    ("?", "this page"),
    ("q", "leave"),
    ("", ""),
    ("loss, best", "training loss now, and the lowest validation loss"),
    ("patience", "validations without improvement that are left"),
    ("micro", "examples at a time on the device"),
    ("left", "until the last planned epoch; early stopping makes it shorter"),
    ("finish", "at the pace of now, of what is planned; distillation is planned when its teacher is known"),
    ("wasted", "hours of attempts that gave no result"),
)  # fmt: skip


def screen(scene: Scene, sight: Sight, width: int, height: int, *, plain: bool = False) -> list[Text]:
    """The whole screen, a line of text for each line of the terminal."""
    paper = Paper(width=width, plain=plain)
    top = header(scene, sight, paper)
    room = max(0, height - len(top) - 1)
    text = _text(scene, sight, paper, room)
    body = _page(scene, sight, paper, room) if text is None else _from(text, sight.scroll, room)
    lines = [*top, *body[:room]]
    lines += [Text(end="")] * (height - 1 - len(lines))
    return [_cut(line, width) for line in [*lines[: height - 1], _footer(scene, sight, paper)]]


def rows_of(scene: Scene, sight: Sight, height: int) -> int:
    """How many rows of a list fit."""
    return max(
        1, height - len(header(scene, sight, Paper(width=80))) - 2 - (2 if sight.page == "failures" else 0)
    )


def kept_scroll(scene: Scene, sight: Sight, width: int, height: int) -> Sight:
    """The same, scrolled no further than to the last line."""
    if not sight.scroll:
        return sight
    paper = Paper(width=width)
    room = max(0, height - len(header(scene, sight, paper)) - 1)
    text = _text(scene, sight, paper, room) or []
    return replace(sight, scroll=max(0, min(sight.scroll, len(text) - room)))


def header(scene: Scene, sight: Sight, paper: Paper) -> list[Text]:
    """Which sweep, how far, at what cost, by whom, and what is wrong."""
    title = words(scene.sweep, "bold").append(f" on {scene.cluster}", "not bold")
    for tag in scene.tags:
        title.append(f" #{tag}", "magenta")
    lines = [
        _ends(title, _turn(scene), paper.width),
        _ends(_progress(scene, paper), _when(scene), paper.width),
    ]
    lines.append(_ends(_cost(scene), _requests(scene, paper), paper.width))
    wrong = [scene.wrong] if scene.wrong else []
    for problem in [*wrong, *scene.problems][:2]:
        lines.append(words(f"! {problem}", "yellow"))
    lines.append(_tabs(sight))
    return lines


def _ends(left: Text, right: Text, width: int) -> Text:
    """One at each end of the line; the left one is cut."""
    space = width - right.cell_len - 2
    if space < 12:
        right, space = Text(end=""), width
    line = left.copy()
    if line.cell_len > space:
        line.truncate(space, overflow="ellipsis")
    return line.append(" " * (width - line.cell_len - right.cell_len)).append_text(right)


def _turn(scene: Scene) -> Text:
    turn = scene.turn
    if turn is None:
        return words("no turn was made yet", "dim")
    ago = scene.now - turn.time
    stale = ago > STALE_SECONDS and not scene.finished
    text = words(f"last turn {length(ago)} ago", "yellow" if stale else "")
    return text.append(f" by {turn.by}, {turn.user}@{turn.host}", "dim")


def _progress(scene: Scene, paper: Paper) -> Text:
    done, every = panels.done_line(scene)
    roomy = paper.width >= WIDE
    size = 30 if roomy else 10
    full, empty = bar(done, every, size, plain=paper.plain)
    text = Text(full, style="green", end="").append(empty, "dim").append(f" {done:,}/{every:,}  ", "bold")
    return text.append_text(panels.states_line(scene.states) if roomy else panels.open_line(scene.states))


def _when(scene: Scene) -> Text:
    if scene.finished:
        return words("finished", "bold green")
    if scene.finish is None:
        return words("")
    return words(f"finish ~{moment(scene.finish, scene.now)}")


def _cost(scene: Scene) -> Text:
    if scene.spent is None:
        return words("counting hours", "dim")
    used = sum(row.used for row in scene.spent)
    wasted = sum(row.wasted for row in scene.spent)
    left = sum(row.left or 0.0 for row in scene.spent)
    text = words(f"GPU-hours {hours(used)} used")
    text.append(f", {hours(wasted)} wasted", "yellow" if wasted > 0.05 * used and wasted >= 0.01 else "")
    return text.append(f", {hours(left)} to come") if left else text


def _requests(scene: Scene, paper: Paper) -> Text:
    if scene.requests is None or scene.ceiling is None:
        return words("")
    style = "yellow" if scene.requests > scene.ceiling else "dim"
    what = "controller requests" if paper.width >= WIDE else "requests"
    return words(f"{what} {scene.requests} of {scene.ceiling:g} a minute", style)


def _tabs(sight: Sight) -> Text:
    line = Text(end="")
    for number, page in enumerate(PAGES, 1):
        here = page == sight.page and not sight.help
        name = f"[{number} {page}]" if here else f" {number} {page} "
        line.append(name, "bold reverse" if here else "dim").append(" ")
    return line


def _footer(scene: Scene, sight: Sight, paper: Paper) -> Text:
    if sight.typing is not None:
        return words(f"/{sight.typing}", "bold").append("_", "blink")
    size = total(sight, scene)
    left = "q quit  / filter  ? help" if sight.opened is None else "Esc back  q quit"
    if sight.where and sight.opened is None:
        return _ends(
            words(f"only {sight.where}", "magenta"),
            own(f"c clears  {_place(sight, size)}", "dim"),
            paper.width,
        )
    if sight.page in LISTS and sight.opened is None and not sight.help:
        return _ends(own(f"{left}  Enter open", "dim"), own(_place(sight, size), "dim"), paper.width)
    return own(left, "dim")


def _place(sight: Sight, size: int) -> str:
    if sight.page not in LISTS:
        return ""
    return f"{sight.chosen + 1:,} of {size:,}" if size else "none"


def _text(scene: Scene, sight: Sight, paper: Paper, room: int) -> list[Text] | None:
    """What is read by scrolling, whole; None on a page."""
    if sight.help:
        return _help(paper)
    return opened(scene, paper, room) if sight.opened else None


def _from(lines: list[Text], first: int, room: int) -> list[Text]:
    """As many lines as fit, and where some are left how many."""
    first = max(0, min(first, len(lines) - room))
    left = len(lines) - first - room
    if left <= 0 or not room:
        return lines[first:]
    below = number_of(left + 1, "more line")
    return [*lines[first : first + room - 1], words(f"-- {below}: arrow down, PageDown --", "dim")]


def _page(scene: Scene, sight: Sight, paper: Paper, room: int) -> list[Text]:
    match sight.page:
        case "running":
            mark = sight.chosen - scene.running_first
            return (
                panels.running(scene, paper, room, mark=mark)
                if scene.running
                else _nothing("nothing runs now")
            )
        case "failures":
            return _failures(scene, sight, paper, room)
        case "board":
            if not scene.board:
                return _nothing("no run is selected yet" if scene.board is not None else "looking ...")
            return panels.board(scene, paper, room, mark=sight.chosen - sight.first, first=sight.first)
        case "runs":
            if not scene.listed.rows:
                return _nothing("no runs" if scene.listed.total == 0 else "looking ...")
            return panels.runs(scene, paper, room, mark=sight.chosen - scene.listed.first)
        case "hours":
            return panels.spent(scene, paper, room, first=sight.first) or _nothing("nothing was spent yet")
        case _:
            return wide(scene, paper, room) if paper.width >= WIDE else narrow(scene, paper, room)


def _nothing(text: str) -> list[Text]:
    return [Text(end=""), words(text, "dim")]


def _help(paper: Paper) -> list[Text]:
    size = max(len(keys) for keys, _ in HELP)
    lines = []
    for keys, meaning in HELP:
        if size + 3 + len(meaning) <= paper.width:
            lines.append(own(f"{keys:<{size}}", "bold").append(f"   {meaning}", "not bold"))
        else:
            parts = wrap(meaning, max(20, paper.width - 4))
            lines += [words(keys, "bold"), *(Text(f"    {part}", end="") for part in parts)]
    return lines


def _failures(scene: Scene, sight: Sight, paper: Paper, room: int) -> list[Text]:
    """The list, and under it the whole cause of the chosen one and where to read on."""
    if not scene.failed.rows:
        return _nothing("nothing failed")
    at = sight.chosen - scene.failed.first
    lines = panels.failures(scene, paper, room - 2, mark=at)
    if 0 <= at < len(scene.failed.rows):
        row = scene.failed.rows[at]
        lines += [Text(end="")] * (room - 2 - len(lines))
        lines.append(words(_whole_cause(row), "red"))
        lines.append(
            words(
                f"sgonz logs {row.run_id[:8]}  ·  sgonz explain {row.run_id[:8]}  ·  sgonz retry {row.run_id[:8]}",
                "dim",
            )
        )
    return lines


def _whole_cause(row: RunRow) -> str:
    """What went wrong, and what was made of it where that is more."""
    cause = reason_of(row)
    return cause if row.reason is None or printable(row.reason) == cause else f"{cause}; {row.reason}"


def narrow(scene: Scene, paper: Paper, room: int) -> list[Text]:
    """One panel under the other: progress, what runs, what failed, who leads."""
    datasets = len({part.dataset for part in scene.parts})
    sizes = [datasets + (datasets > 1), scene.running_total, scene.failed.total, len(scene.board or ())]
    given = fit(sizes, room)
    draw = (panels.stages, panels.running, panels.failures, panels.board)
    parts = [panel(scene, paper, lines + 1) for panel, lines in zip(draw, given, strict=True) if lines]
    return _stacked(parts, room)


def wide(scene: Scene, paper: Paper, room: int) -> list[Text]:
    """Progress beside hours, what runs over the whole width, then failures beside the leaderboard."""
    both = scene.failed.total and scene.board
    part = Paper(width=(paper.width - 3) // 2, plain=paper.plain) if both else paper
    datasets = len({part.dataset for part in scene.parts})
    below = max(scene.failed.total, len(scene.board or ()))
    above = max(datasets + (datasets > 1), len(scene.spent or ()))
    given = fit([above, scene.running_total, below], room)
    left = Paper(width=paper.width * 3 // 5, plain=paper.plain)
    right = Paper(width=paper.width - left.width - 3, plain=paper.plain)
    curves = panels.curves(scene, paper, room - sum(given) - 2 * sum(map(bool, given)) - 1)
    parts = [
        beside(
            panels.stages(scene, left, given[0] + 1), panels.spent(scene, right, given[0] + 1), left.width
        ),
        panels.running(scene, paper, given[1] + 1),
        curves,
        beside(
            panels.failures(scene, part, given[2] + 1), panels.board(scene, part, given[2] + 1), part.width
        ),
    ]
    return _stacked(parts, room)


def _stacked(parts: Sequence[list[Text]], room: int) -> list[Text]:
    """One under the other with a blank line between."""
    lines: list[Text] = []
    for part in parts:
        if part:
            lines += [Text(end=""), *part]
    return lines[:room]


def beside(left: Sequence[Text], right: Sequence[Text], width: int) -> list[Text]:
    """Two blocks of lines next to each other; a block that is empty leaves its room to the other."""
    if not left or not right:
        return [*left, *right]
    lines = []
    for number in range(max(len(left), len(right))):
        line = _cut(left[number].copy(), width) if number < len(left) else Text(end="")
        line.append(" " * (width - line.cell_len + 3))
        lines.append(line.append_text(right[number]) if number < len(right) else line)
    return lines


def fit(sizes: Sequence[int], lines: int) -> list[int]:
    """How many rows each panel gets; the shortest grow first, and where it is tight the last are left out."""
    frame, least = 2, 2  # a blank line and a heading; a row and how many more there are
    for kept in range(len(sizes), 0, -1):
        given = [min(size, least) for size in sizes[:kept]]
        spare = lines - sum(given) - frame * sum(map(bool, given))
        if spare < 0:
            continue
        while spare and (wanting := [at for at in range(kept) if given[at] < sizes[at]]):
            given[min(wanting, key=given.__getitem__)] += 1
            spare -= 1
        return given + [0] * (len(sizes) - kept)
    return [0] * len(sizes)


def _cut(line: Text, width: int) -> Text:
    if line.cell_len > width:
        line.truncate(width, overflow="ellipsis")
    return line
