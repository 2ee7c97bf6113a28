"""The live screen, sign by sign: files in screens/ hold what is drawn. Look at them, then write them anew with
SGONZ_WRITE_SCREENS=1."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import scenes
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from sgonz.looking.scene import Scene
from sgonz.view.dashboard import kept_scroll, screen
from sgonz.view.sight import LISTS, PAGES, Sight, press

SCREENS = Path(__file__).parent / "screens"
SIZES = ((80, 24), (200, 60))
CASES: dict[str, tuple[Scene, Sight]] = {
    **{page: (scenes.scene(), Sight(page=page, chosen=1 if page in LISTS else 0)) for page in PAGES},
    "large": (scenes.large(), Sight()),
    "large-running": (scenes.large(), Sight(page="running", chosen=3)),
    "opened": (scenes.opened(), Sight(page="running", opened="00000002")),
    "help": (scenes.scene(), Sight(help=True)),
    "typing": (scenes.scene(), Sight(page="runs", typing="dataset = po")),
    "before-the-first-turn": (
        Scene(sweep="new", cluster="local", now=scenes.NOW, running=(), wrong="the database is locked"),
        Sight(where="state = FAILED"),
    ),
}


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("case", CASES)
def test_screen_is_as_it_was_looked_at(case: str, size: tuple[int, int]) -> None:
    scene, sight = CASES[case]
    drawn = "\n".join(line.plain.rstrip() for line in screen(scene, sight, *size)) + "\n"
    path = SCREENS / f"{case}-{size[0]}x{size[1]}.txt"
    if os.environ.get("SGONZ_WRITE_SCREENS"):
        path.write_text(drawn)
    assert drawn == path.read_text()


@given(
    case=st.sampled_from(sorted(CASES)),
    width=st.integers(20, 220),
    height=st.integers(6, 70),
    plain=st.booleans(),
    scroll=st.integers(0, 50),
)
def test_every_size_is_filled_and_never_exceeded(
    case: str, width: int, height: int, plain: bool, scroll: int
) -> None:
    scene, sight = CASES[case]
    lines = screen(scene, sight, width, height, plain=plain)
    assert len(lines) == height
    assert all(cell_len(line.plain) <= width for line in lines)
    assert all(line.plain.isprintable() or not line.plain for line in lines)


@pytest.mark.parametrize("case", ["help", "opened"])
def test_what_does_not_fit_is_announced_and_can_be_scrolled_to(case: str) -> None:
    scene, sight = CASES[case]
    whole = [line.plain for line in screen(scene, sight, 80, 70) if line.plain]
    assert any("more lines: arrow down" in line.plain for line in screen(scene, sight, 80, 20))
    end = kept_scroll(scene, press(sight, "end", scene, 10), 80, 20)
    below = [line.plain for line in screen(scene, end, 80, 20)]
    assert below[-2:] == whole[-2:]
    assert not any("more lines" in line for line in below)
    assert kept_scroll(scene, press(end, "up", scene, 10), 80, 20).scroll == end.scroll - 1


def test_plain_signs_are_used_where_the_terminal_knows_no_others() -> None:
    for scene in (scenes.scene(), scenes.opened()):
        for page in ("overview", "running", "hours"):
            lines = screen(scene, Sight(page=page), 200, 60, plain=True)
            signs = {sign for line in lines for sign in line.plain if not sign.isascii()}
            assert signs <= set("–…·")
