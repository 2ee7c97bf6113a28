"""What is sent to a terminal: enough to show the new lines, and little more."""

from __future__ import annotations

import pyte
import pytest
import scenes
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from sgonz.view.dashboard import screen
from sgonz.view.paint import Painter
from sgonz.view.sight import Sight

WIDTH, HEIGHT = 30, 4
# An accent on a wide sign is left out: terminals do not agree on its place.
texts = st.lists(st.sampled_from([*"ab─é漢 ", "e\u0301", "x\u0301"]), max_size=WIDTH).map("".join)
styles = st.sampled_from(["", "bold", "red", "bold green on blue", "reverse"])
line = st.lists(st.tuples(texts, styles), max_size=3).map(lambda parts: _line(parts))


def _line(parts: list[tuple[str, str]]) -> Text:
    made = Text(end="")
    for text, style in parts:
        made.append(text, style)
    made.truncate(WIDTH)
    return made


def console(**options: object) -> Console:
    known = {"force_terminal": True, "color_system": "standard", "width": WIDTH, "_environ": {}}
    return Console(**{**known, **options})  # type: ignore[arg-type]


def seen(terminal: pyte.Screen) -> list[list[tuple[str, str, bool]]]:
    return [[(cell.data, cell.fg, cell.bold) for cell in (terminal.buffer[y][x] for x in range(terminal.columns))]
            for y in range(terminal.lines)]  # fmt: skip


@example(
    first=[_line([("a" * 21 + "漢" * 4 + "x\u0301", "")])] * HEIGHT, second=[_line([])] * HEIGHT
)  # an accent behind the last column
@given(
    first=st.lists(line, min_size=HEIGHT, max_size=HEIGHT),
    second=st.lists(line, min_size=HEIGHT, max_size=HEIGHT),
)
def test_changes_lead_to_what_drawing_everything_gives(first: list[Text], second: list[Text]) -> None:
    painter, terminal = Painter(console()), pyte.Screen(WIDTH, HEIGHT)
    stream = pyte.Stream(terminal)
    for lines in (first, second):
        stream.feed(painter.paint(lines, WIDTH))
    fresh = pyte.Screen(WIDTH, HEIGHT)
    pyte.Stream(fresh).feed(Painter(console()).paint(second, WIDTH))
    assert seen(terminal) == seen(fresh)
    assert painter.paint(second, WIDTH) == ""


def test_a_second_later_costs_a_few_bytes() -> None:
    painter = Painter(console(width=200))
    whole = painter.paint(screen(scenes.scene(), Sight(), 200, 60), 200)
    later = painter.paint(screen(scenes.scene(now=scenes.NOW + 1), Sight(), 200, 60), 200)
    assert 0 < len(later) <= 20 < len(whole)


@pytest.mark.parametrize("options", [{"no_color": True}, {"color_system": None}])
def test_without_colour_no_colour_is_sent(options: dict[str, object]) -> None:
    sent = Painter(console(**options)).paint([_line([("a", "bold red"), ("b", "green")])], WIDTH)
    assert "\x1b[1ma" in sent
    assert "3" not in sent
