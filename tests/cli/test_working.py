"""The line that is shown while something takes long."""

from __future__ import annotations

import io
import threading

import pytest

from sgonz.cli.working import ERASE, Working, working


class Terminal(io.StringIO):
    """A terminal that tells when something was drawn on it."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn = threading.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.drawn.set()
        return super().write(text)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


def test_it_is_drawn_and_taken_away_again(terminal: Terminal) -> None:
    with Working("copying", terminal, delay=0) as shown:
        shown.at(5, 10)
        assert terminal.drawn.wait(300)
    assert "copying" in terminal.getvalue()
    assert terminal.getvalue().endswith(ERASE)


def test_without_a_delay_it_stands_there_before_the_work_begins(terminal: Terminal) -> None:
    with Working("drawing", terminal, delay=0):
        assert "drawing" in terminal.getvalue()
    assert terminal.getvalue().endswith(ERASE)


def test_what_is_quick_needs_none(terminal: Terminal) -> None:
    with Working("copying", terminal, delay=3600):
        pass
    assert terminal.getvalue() == ""


def test_nothing_is_drawn_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with working("copying") as shown:
        assert list(shown.through("abc")) == ["a", "b", "c"]
        shown.say("halfway")
    assert capsys.readouterr().err == "halfway\n"


def test_a_line_never_wraps() -> None:
    shown = Working("copying")
    shown.at(5, 10)
    assert shown.line(61, 80) == "copying  ############............ 5/10  1:01"
    assert len(shown.line(61, 20)) < 20
    shown.at(7)
    assert shown.line(0, 80) == "copying  7  0:00"


def test_a_failure_passes_through(terminal: Terminal) -> None:
    with pytest.raises(ValueError, match="no"), Working("copying", terminal, delay=0):
        raise ValueError("no")
