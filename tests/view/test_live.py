"""The live view: lines where nobody draws, a screen where somebody looks, and no work where nothing changed."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import msgspec
import pytest
from shown import NOON, console, distill, finetune, printed, rows, status, sweep

from sgonz import events
from sgonz.events import EpochEnded, Progress
from sgonz.plan.runs import State
from sgonz.plan.state import RunRow
from sgonz.rundir import Workdir
from sgonz.view.changes import look
from sgonz.view.live import Live
from sgonz.view.standing import TAIL, standing

HERE = Workdir(Path("nowhere"))
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

    def __init__(self, *, interactive: bool = False, width: int = 80) -> None:
        self.time = NOON
        self.console = console(width, terminal=interactive)
        self.live = Live(sweep(), interactive=interactive, console=self.console, now=lambda: self.time)

    def update(
        self,
        found: Sequence[RunRow],
        *problems: str,
        seconds: float = 1,
        workdir: Workdir = HERE,
        **facts: Any,
    ) -> str:
        """What one more update prints."""
        before = len(printed(self.console))
        self.time += seconds
        self.live.update(status(list(found), **facts), found, problems, workdir)
        return printed(self.console)[before:].strip("\n")


def changed(run_id: str, **facts: Any) -> list[RunRow]:
    return [replace(row, **facts) if row.run_id == run_id else row for row in rows()]


def test_first_line_says_where_the_sweep_stands() -> None:
    with Watched().live as live:
        live.update(status(), rows(), (), HERE)
    lines = printed(live.console).splitlines()
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
    watched.live.update(answer, ended, (), HERE)
    before = printed(watched.console)
    watched.live.update(answer, ended, (), HERE)
    assert printed(watched.console) == before


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


@pytest.mark.parametrize("interactive", [False, True])
def test_rows_are_not_looked_at_while_the_status_is_the_same(interactive: bool) -> None:
    watched = Watched(interactive=interactive)
    with watched.live:
        watched.update(rows())
        watched.time += 60
        watched.live.update(status(), Unread(), (), HERE)


class Standings(msgspec.Struct, frozen=True):
    """All of a row that may be read where nothing is shown of it: it has no model to print."""

    run_id: str
    state: State
    failures: int = 0
    ended: float | None = None


@pytest.mark.parametrize("interactive", [False, True])
def test_hundred_thousand_rows_are_compared_and_not_formatted(interactive: bool) -> None:
    before: list[Any] = [Standings(str(number), State.PENDING) for number in range(100_000)]
    last = finetune("100000", "pos", "beto", State.RUNNING)
    after = [*before, replace(last, state=State.COMPLETED)]
    watched = Watched(interactive=interactive, width=120)
    with watched.live:
        watched.live.update(status([last]), [*before, last], (), HERE)
        watched.time += 1
        watched.live.update(status(after[-1:]), after, (), HERE)
    assert ("finetune  pos  beto" in printed(watched.console)) or interactive


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


def test_screen_is_drawn_at_most_four_times_a_second() -> None:
    watched = Watched(interactive=True)
    with watched.live:
        watched.update(rows())
        assert watched.update(rows(), seconds=0.2) == ""
        assert watched.update(rows(), seconds=0.1) != ""


def test_screen_goes_when_all_is_well_and_stays_when_it_is_interrupted() -> None:
    well, ill = Watched(interactive=True), Watched(interactive=True)
    with well.live:
        well.update(rows())
    with contextlib.suppress(KeyboardInterrupt), ill.live:
        ill.update(rows())
        raise KeyboardInterrupt
    erase = "\x1b[1A\x1b[2K"
    assert printed(well.console).endswith(erase)
    assert not printed(ill.console).endswith(erase)


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    with Live(sweep(), interactive=True) as live:
        live.update(status(), rows(), (), HERE)
    text = capsys.readouterr().err
    assert "small" in text
    assert "\x1b[3" not in text  # colours; bold is none


def test_pipe_gets_lines_without_codes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with Live(sweep()) as live:
        live.update(status(), rows(), (), HERE)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "\x1b" not in captured.err


def test_stdout_is_left_alone_while_the_screen_is_up() -> None:
    watched, stdout = Watched(interactive=True), sys.stdout
    with watched.live:
        assert sys.stdout is stdout


def write(path: Path, *lines: events.Event, torn: bytes = b"") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        for line in lines:
            events.append(stream, line)
        stream.write(torn)


def progress(run_id: str, epoch: int, step: int) -> Progress:
    return Progress(
        time=NOON, run_id=run_id, epoch=epoch, step=step, steps=200, loss=0.5, rows_per_second=9.0
    )


def test_standing_is_the_last_word_of_the_run_in_the_last_start(tmp_path: Path) -> None:
    row = finetune("a3", "pos", "beto", State.RUNNING, tag="sgonz-1", element=1)
    folder = Workdir(tmp_path).job("sgonz-1") / "events"
    write(folder / "1.9.jsonl", progress("a3", 1, 10))
    write(folder / "11.12.jsonl", progress("a3", 9, 190))
    write(folder / "1.10.jsonl", progress("a3", 2, 60), progress("other", 3, 120), torn=b'{"type":"progr')
    found = standing(Workdir(tmp_path), row)
    assert found is not None
    assert (found.epoch, found.share, found.loss) == (2, 0.3, 0.5)


def test_standing_after_an_epoch_has_its_training_loss(tmp_path: Path) -> None:
    row = finetune("a3", "pos", "beto", State.RUNNING, tag="sgonz-1", element=0)
    ended = EpochEnded(time=NOON, run_id="a3", attempt=1, epoch=2, step=100, train_loss=0.4, validation_loss=0.3,
                       learning_rate=1e-5, seconds=3.0, improved=True)  # fmt: skip
    write(Workdir(tmp_path).job("sgonz-1") / "events" / "0.0.jsonl", progress("a3", 1, 40), ended)
    found = standing(Workdir(tmp_path), row)
    assert found is not None
    assert (found.epoch, found.loss) == (2, 0.4)


def test_only_the_end_of_a_long_event_file_is_read(tmp_path: Path) -> None:
    row = finetune("a3", "pos", "beto", State.RUNNING, tag="sgonz-1", element=0)
    path = Workdir(tmp_path).job("sgonz-1") / "events" / "0.0.jsonl"
    write(path, progress("a3", 1, 40), *(progress("other", 1, step) for step in range(100)))
    assert path.stat().st_size > TAIL
    assert standing(Workdir(tmp_path), row) is None


def test_run_without_a_job_stands_nowhere(tmp_path: Path) -> None:
    assert standing(Workdir(tmp_path), finetune("a3", "pos", "beto", State.RUNNING)) is None


def test_standing_of_running_runs_is_on_the_screen(tmp_path: Path) -> None:
    write(Workdir(tmp_path).job("sgonz-1") / "events" / "0.0.jsonl", progress("a3", 2, 100))
    watched = Watched(interactive=True)
    with watched.live:
        text = watched.update(rows(), workdir=Workdir(tmp_path))
    assert "2/4   50%      0.5000" in text
