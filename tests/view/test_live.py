"""What is told where nobody draws: a line for what happens, and no work where nothing changed."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from typing import Any, overload

import msgspec
import pytest
from shown import NOON, distill, finetune, rows, status, sweep

from sgonz.plan.runs import State
from sgonz.plan.state import RunRow
from sgonz.view.changes import look
from sgonz.view.live import Live

replace = msgspec.structs.replace


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class Watched:
    """A live view with a clock that tests move by hand."""

    def __init__(self) -> None:
        self.time = NOON
        self.stream = io.StringIO()
        self.live = Live(sweep(), stream=self.stream, now=lambda: self.time)

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def update(self, found: Sequence[RunRow], *problems: str, seconds: float = 1, **facts: Any) -> str:
        """What one more update prints."""
        before = len(self.text)
        self.time += seconds
        self.live.update(status(list(found), **facts), found, problems)
        return self.text[before:].strip("\n")


def changed(run_id: str, **facts: Any) -> list[RunRow]:
    return [replace(row, **facts) if row.run_id == run_id else row for row in rows()]


def test_first_line_says_where_the_sweep_stands() -> None:
    watched = Watched()
    watched.live.update(status(), rows(), ())
    lines = watched.text.splitlines()
    assert lines == [
        "00:00:00  small: 7 of 10 runs done (1 pending, 1 submitted, 1 running, 6 completed, 1 failed)"
    ]


def test_run_that_ends_is_one_line_with_its_scores() -> None:
    watched = Watched()
    watched.update(rows())
    ended = changed(
        "d2", state=State.COMPLETED, validation_loss=0.1234, validation={"precision": 1.0, "f1": 91.24}
    )
    assert (
        watched.update(ended) == "00:00:02  distill  pos  albeto-tiny  lr 5e-4  loss 0.1234  f1 91.2  (8/10)"
    )


def test_evaluation_that_ends_shows_its_test_score() -> None:
    watched = Watched()
    watched.update(rows())
    ended = changed("e2", state=State.COMPLETED, test={"f1": 85.55})
    assert watched.update(ended) == "00:00:02  evaluate  pos  albeto-tiny  test f1 85.5  (8/10)"


def test_failure_is_a_line_with_its_reason() -> None:
    watched = Watched()
    watched.update(rows())
    failed = changed("a3", state=State.FAILED, reason="DataError: no\nlabel")
    assert (
        watched.update(failed)
        == "00:00:02  FAILED  finetune  mldoc  albeto-xlarge  lr 2e-5  DataError: no label  (8/10)"
    )


def test_failure_that_is_tried_again_is_told_too() -> None:
    watched = Watched()
    watched.update(rows())
    again = changed("a3", state=State.PENDING, failures=1, signature="OSError in loop")
    assert (
        watched.update(again)
        == "00:00:02  tried again  finetune  mldoc  albeto-xlarge  lr 2e-5  OSError in loop"
    )


def test_runs_that_were_never_tried_share_a_line() -> None:
    waiting = [distill(f"d{number}", State.PENDING) for number in range(30)]
    watched = Watched()
    watched.update(waiting)
    skipped = [replace(row, state=State.SKIPPED, reason="its teacher failed") for row in waiting]
    assert watched.update(skipped) == "00:00:02  SKIPPED  30 runs of pos  its teacher failed  (30/30)"


def test_runs_that_end_together_are_told_in_their_order() -> None:
    waiting = [finetune(f"f{number}", "pos", f"model-{number}", State.RUNNING) for number in range(3)]
    watched = Watched()
    watched.update(waiting)
    ended = [replace(row, state=State.COMPLETED, ended=100.0 - at) for at, row in enumerate(waiting)]
    lines = watched.update(ended).splitlines()
    assert [line.split()[3] for line in lines] == ["model-2", "model-1", "model-0"]
    assert [line.split()[-1] for line in lines] == ["(1/3)", "(2/3)", "(3/3)"]


def test_chosen_teacher_is_a_line() -> None:
    watched = Watched()
    watched.update(rows(), teacher=None)
    assert watched.update(rows()) == "00:00:02  teacher of pos: beto (validation loss 0.1032)"


def test_each_problem_is_told_once() -> None:
    watched = Watched()
    watched.update(rows())
    assert watched.update(rows(), "squeue does\nnot answer") == "00:00:02  problem: squeue does not answer"
    assert watched.update(rows(), "squeue does\nnot answer") == ""


def test_nothing_happening_is_said_every_half_minute() -> None:
    watched = Watched()
    watched.update(rows())
    assert watched.update(rows(), seconds=29) == ""
    assert watched.update(rows(), seconds=1) == (
        "00:00:31  small: 7 of 10 runs done (1 pending, 1 submitted, 1 running, 6 completed, 1 failed)"
    )
    assert watched.update(rows(), seconds=29) == ""


def test_same_answer_given_twice_is_told_once() -> None:
    watched = Watched()
    watched.update(rows())
    ended = changed("d2", state=State.COMPLETED)
    answer = status(ended)
    watched.live.update(answer, ended, ())
    before = watched.text
    watched.live.update(answer, ended, ())
    assert watched.text == before


class Unread(Sequence[RunRow]):
    """Rows that must not be looked at."""

    @overload
    def __getitem__(self, at: int) -> RunRow: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[RunRow]: ...
    def __getitem__(self, at: int | slice) -> RunRow | Sequence[RunRow]:
        raise AssertionError("a row was looked at")

    def __len__(self) -> int:
        raise AssertionError("rows were counted")


def test_rows_are_not_looked_at_while_the_status_is_the_same() -> None:
    watched = Watched()
    watched.update(rows())
    watched.time += 60
    watched.live.update(status(), Unread(), ())


class Standings(msgspec.Struct, frozen=True):
    """All of a row that may be read where nothing is shown of it: it has no model to print."""

    run_id: str
    state: State
    failures: int = 0
    ended: float | None = None


def test_hundred_thousand_rows_are_compared_and_not_formatted() -> None:
    before: list[Any] = [Standings(str(number), State.PENDING) for number in range(100_000)]
    last = finetune("100000", "pos", "beto", State.RUNNING)
    after = [*before, replace(last, state=State.COMPLETED)]
    watched = Watched()
    watched.live.update(status([last]), [*before, last], ())
    watched.time += 1
    watched.live.update(status(after[-1:]), after, ())
    assert "finetune  pos  beto" in watched.text


def test_first_look_finds_nothing_new() -> None:
    found = look(None, rows())
    assert (found.ended, found.again) == ([], [])
    assert [row.run_id for row in found.running] == ["a3"]


def test_run_that_appears_finished_later_is_new() -> None:
    found = look(look(None, rows()[:-3]), rows())
    assert [row.run_id for row in found.ended] == ["e1"]


def test_newest_failure_comes_first() -> None:
    failed = [finetune(str(number), "pos", "beto", State.FAILED, ended=float(number)) for number in range(3)]
    assert [row.run_id for row in look(None, failed).failed] == ["2", "1", "0"]


def test_pipe_gets_lines_without_codes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    Live(sweep()).update(status(), rows(), ())
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "\x1b" not in captured.err
