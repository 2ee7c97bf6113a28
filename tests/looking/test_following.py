"""Logs that grow while they are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sgonz.looking.following import Followed, follow


def test_lines_come_whole_with_their_run_and_from_runs_that_start_later(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("old\nolder\nlast\n")
    steps: list[Callable[[], object]] = [
        lambda: one.write_text(one.read_text() + "first ha"),
        lambda: one.write_bytes(one.read_bytes() + b"lf\n 10%\r 20%\r 30%\r\n"),
        lambda: other.write_text("hello\nno end"),
        lambda: None,
    ]

    def wanted() -> tuple[dict[str, Followed], bool]:
        logs = {"one": Followed("1 | ", one)} | ({"other": Followed("2 | ", other)} if other.exists() else {})
        return logs, not steps

    def wait() -> None:
        steps.pop(0)()

    found = list(follow(wanted, 1, wait))
    assert found == ["1 | last", "1 | first half", "1 |  30%", "2 | hello", "2 | no end"]


def test_a_log_that_begins_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = Followed("", tmp_path / "log")
    assert list(log.lines()) == []  # not there yet
    log.path.write_text("a long first line\n")
    assert list(log.lines()) == ["a long first line"]
    log.path.write_text("short\n")
    assert list(log.lines()) == ["short"]
