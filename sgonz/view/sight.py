"""What somebody looks at, and what each key makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sgonz.looking.scene import Request, Scene

PAGES = ("overview", "running", "failures", "board", "runs", "hours")
LISTS = ("running", "failures", "board", "runs")  # pages on which a run can be chosen
KEYS = {
    b"\x1b[A": "up", b"\x1b[B": "down", b"\x1b[C": "right", b"\x1b[D": "left", b"\x1bOA": "up", b"\x1bOB": "down",
    b"\x1bOC": "right", b"\x1bOD": "left", b"\x1b[5~": "page up", b"\x1b[6~": "page down", b"\x1b[H": "home",
    b"\x1b[F": "end", b"\x1bOH": "home", b"\x1bOF": "end", b"\x1b[1~": "home", b"\x1b[4~": "end",
    b"\x1b[Z": "back tab", b"\t": "tab", b"\r": "enter", b"\n": "enter", b"\x7f": "erase", b"\x08": "erase",
    b"\x15": "erase all", b"\x0c": "redraw", b"\x1b": "escape", b"\x03": "q", b"\x04": "q",
    b"\x1b[0n": "answered",  # by the terminal, to the question whether it has shown everything
}  # fmt: skip
END = 1_000_000  # more lines than any text has; see dashboard.kept_scroll
LONGEST = max(map(len, KEYS))


@dataclass(frozen=True, kw_only=True)
class Sight:
    """A page, the place on it, and what is being typed."""

    page: str = "overview"
    chosen: int = 0  # row of the whole list
    first: int = 0  # row at the top
    where: str = ""
    typing: str | None = None  # a filter that is not finished
    opened: str | None = None  # run
    scroll: int = 0  # lines of the opened run or of the help
    help: bool = False
    leaving: bool = False


def keys(typed: bytes) -> tuple[list[str], bytes]:
    """The keys of what arrived, and the beginning of one that has not arrived whole."""
    found: list[str] = []
    while typed:
        size = next((size for size in range(LONGEST, 0, -1) if typed[:size] in KEYS), 0)
        if typed[:1] == b"\x1b" and size <= 1 and len(typed) > 1:
            size = _unknown(typed)  # a sequence that means nothing here
            if not size:
                return found, typed
            typed = typed[size:]
            continue
        if size:
            found.append(KEYS[typed[:size]])
            typed = typed[size:]
            continue
        length = _letter(typed[0])
        if len(typed) < length:
            return found, typed
        letter = typed[:length].decode(errors="replace")
        found += [letter] if letter.isprintable() else []
        typed = typed[length:]
    return found, b""


def _unknown(typed: bytes) -> int:
    """How long a sequence of the terminal is that stands at the beginning; 0 while it is not whole."""
    if typed[1:2] not in (b"[", b"O"):
        return 1
    for at in range(2, len(typed)):
        if 0x40 <= typed[at] <= 0x7E:
            return at + 1
    return 0


def _letter(first: int) -> int:
    """Bytes of a UTF-8 letter."""
    return 1 if first < 0xC0 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4


def request(sight: Sight, rows: int) -> Request:
    """What has to be read for it, where so many rows fit."""
    return Request(page=sight.page, where=sight.where, first=sight.first, rows=rows, run=sight.opened)


def press(sight: Sight, key: str, scene: Scene, rows: int) -> Sight:
    """What is looked at after a key; `rows` fit on a page."""
    if sight.typing is not None:
        return _type(sight, sight.typing, key)
    if key == "q":
        return replace(sight, leaving=True)
    if sight.help or sight.opened:
        return _inside(sight, key, rows)
    if key in ("?", "h"):
        return replace(sight, help=True, scroll=0)
    if key == "/":
        return replace(sight, typing=sight.where)
    if key == "c" and sight.where:
        return replace(sight, where="", chosen=0, first=0)
    page = _page(sight, key)
    if page is not None:
        return replace(sight, page=page, chosen=0, first=0)
    if key == "enter" and sight.page in LISTS:
        return replace(sight, opened=_run_at(sight, scene), scroll=0)
    return _moved(sight, key, total(sight, scene), rows)


def total(sight: Sight, scene: Scene) -> int:
    """Rows of the page's whole list."""
    match sight.page:
        case "running":
            return scene.running_total
        case "failures":
            return scene.failed.total
        case "board":
            return len(scene.board or ())
        case "runs":
            return scene.listed.total
        case "hours":
            return len(scene.spent or ())
        case _:
            return 0


def _type(sight: Sight, text: str, key: str) -> Sight:
    match key:
        case "enter":
            return replace(sight, typing=None, where=text.strip(), chosen=0, first=0)
        case "escape":
            return replace(sight, typing=None)
        case "erase":
            return replace(sight, typing=text[:-1])
        case "erase all":
            return replace(sight, typing="")
        case _:
            return replace(sight, typing=text + key) if len(key) == 1 else sight


def _inside(sight: Sight, key: str, rows: int) -> Sight:
    """Keys while a run or the help is open."""
    steps = {"down": 1, "j": 1, "up": -1, "k": -1, "page down": rows, " ": rows, "page up": -rows}
    if key in steps:
        return replace(sight, scroll=max(0, sight.scroll + steps[key]))
    if key in ("home", "g"):
        return replace(sight, scroll=0)
    if key in ("end", "G"):
        return replace(sight, scroll=END)
    if key in ("escape", "erase", "left", "enter", "?", "h"):
        return replace(sight, help=False, opened=None if not sight.help else sight.opened, scroll=0)
    page = _page(sight, key)
    return (
        sight
        if page is None
        else replace(sight, help=False, opened=None, page=page, chosen=0, first=0, scroll=0)
    )


def _page(sight: Sight, key: str) -> str | None:
    at = PAGES.index(sight.page)
    if key in ("tab", "right", "l"):
        return PAGES[(at + 1) % len(PAGES)]
    if key in ("back tab", "left"):
        return PAGES[at - 1]
    if key.isdecimal() and 0 < int(key) <= len(PAGES):
        return PAGES[int(key) - 1]
    return None


def _moved(sight: Sight, key: str, size: int, rows: int) -> Sight:
    steps = {"down": 1, "j": 1, "up": -1, "k": -1, "page down": rows, " ": rows, "page up": -rows}
    match key:
        case "home" | "g":
            chosen = 0
        case "end" | "G":
            chosen = size - 1
        case _ if key in steps:
            chosen = sight.chosen + steps[key]
        case _:
            return sight
    return kept_in_view(replace(sight, chosen=chosen), size, rows)


def kept_in_view(sight: Sight, size: int, rows: int) -> Sight:
    """The same, with the chosen row one that is there and that is seen."""
    chosen = max(0, min(sight.chosen, size - 1))
    first = min(max(sight.first, chosen - rows + 1), chosen)
    first = max(0, min(first, size - rows))
    return (
        sight
        if (chosen, first) == (sight.chosen, sight.first)
        else replace(sight, chosen=chosen, first=first)
    )


def _run_at(sight: Sight, scene: Scene) -> str | None:
    """The chosen row's run, where its page has been read already."""
    ids: Sequence[str]
    match sight.page:
        case "running":
            ids, first = [doing.row.run_id for doing in scene.running], scene.running_first
        case "failures":
            ids, first = [row.run_id for row in scene.failed.rows], scene.failed.first
        case "board":
            ids, first = [rank.row.run_id for rank in scene.board or ()], 0
        case _:
            ids, first = [row.run_id for row in scene.listed.rows], scene.listed.first
    at = sight.chosen - first
    return ids[at] if 0 <= at < len(ids) else None
