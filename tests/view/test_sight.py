"""Keys, and what they make of what is looked at."""

from __future__ import annotations

import pytest
import scenes
from hypothesis import given
from hypothesis import strategies as st

from sgonz.view.sight import PAGES, Sight, keys, press, request, total

ROWS = 10


def typed(*names: str, sight: Sight | None = None, scene: scenes.Scene | None = None) -> Sight:
    found = sight or Sight()
    for name in names:
        found = press(found, name, scene or scenes.large(), ROWS)
    return found


@pytest.mark.parametrize(
    ("arrived", "names", "rest"),
    [
        (b"q", ["q"], b""),
        (b"\x1b[A\x1b[6~2", ["up", "page down", "2"], b""),
        (b"\x1bOB\r", ["down", "enter"], b""),
        ("ñ".encode(), ["ñ"], b""),
        ("ñ".encode()[:1], [], "ñ".encode()[:1]),
        (b"a\x1b[", ["a"], b"\x1b["),
        (b"\x1b[15;2~x", ["x"], b""),
        (b"\x1b[<0;10;10Mj", ["j"], b""),
        (b"\x01\x02z", ["z"], b""),
    ],
)
def test_bytes_become_keys(arrived: bytes, names: list[str], rest: bytes) -> None:
    assert keys(arrived) == (names, rest)


@given(st.binary(max_size=40))
def test_no_bytes_are_an_error_and_a_rest_is_short(arrived: bytes) -> None:
    found, rest = keys(arrived)
    assert all(found)
    assert arrived.endswith(rest)


def test_pages_go_round() -> None:
    assert typed("3").page == "failures"
    assert typed("tab").page == PAGES[1]
    assert typed("left").page == PAGES[-1]


def test_chosen_row_stays_in_view_and_in_the_list() -> None:
    down = typed("2", *["down"] * 12)
    assert (down.chosen, down.first) == (12, 3)
    assert typed("G", sight=down).chosen == 399
    assert typed("g", sight=down) == Sight(page="running")
    assert typed("page up", sight=down).chosen == 2


def test_no_more_is_asked_for_than_is_seen() -> None:
    asked = request(typed("3", "page down", "page down"), ROWS)
    assert (asked.page, asked.first, asked.rows) == ("failures", 11, ROWS)


def test_filter_is_typed_and_taken_back() -> None:
    typing = typed("5", "/", *"state = X", "erase", *"FAILED")
    assert (typing.where, typing.typing) == ("", "state = FAILED")
    assert typed("escape", sight=typing).where == ""
    chosen = typed("enter", sight=typing)
    assert (chosen.where, chosen.typing) == ("state = FAILED", None)
    assert typed("c", sight=chosen).where == ""


def test_q_in_a_filter_is_a_letter() -> None:
    assert typed("/", "q").typing == "q"
    assert typed("q").leaving


def test_run_is_opened_from_a_list_and_left_again() -> None:
    opened = typed("2", "down", "enter")
    assert opened.opened == scenes.doing(1, "").row.run_id
    assert typed("down", sight=opened).scroll == 1
    assert typed("escape", sight=opened).opened is None
    assert typed("4", sight=opened).page == "board"


def test_row_that_was_not_read_yet_cannot_be_opened() -> None:
    assert typed("2", "G", "enter").opened is None


@pytest.mark.parametrize("page", PAGES)
def test_every_page_knows_its_size(page: str) -> None:
    assert total(Sight(page=page), scenes.large()) >= 0
