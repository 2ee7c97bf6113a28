"""The live screen: what it shows, and that it fits."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from shown import NOON, console, distill, printed, rows, status

from sgonz.plan.runs import State
from sgonz.view.screen import FRAME, Scene, fit, screen
from sgonz.view.standing import Standing

SCREEN_80 = """\
small  7 of 10 runs done  0:03:12
1 pending, 1 submitted, 1 running, 6 completed, 1 failed

data set    finetune  teacher  logits     distill  evaluate  failed
mldoc     ━      1/3  –             –           –         –       1
pos       ━━━━   2/2  beto        1/1  ━━     1/2       1/2       –

running   data set  model            lr  epoch  done  train loss  attempt
finetune  mldoc     albeto-xlarge  2e-5    2/4   40%      0.5123        1

failed    run                           reason
00:01:00  finetune mldoc albeto-xlarge  DataError: [bold]train.jsonl[/bold]:7: …

problem
00:02:00  squeue does not answer"""
SCREEN_120 = """\
small  7 of 10 runs done  0:03:12
1 pending, 1 submitted, 1 running, 6 completed, 1 failed

data set            finetune  teacher    loss  logits             distill  evaluate  failed
mldoc     ━━━            1/3  –             –       –                   –         –       1
pos       ━━━━━━━━━━     2/2  beto     0.1032     1/1  ━━━━━          1/2       1/2       –

running   data set  model            lr  batch  epoch  done  train loss  attempt
finetune  mldoc     albeto-xlarge  2e-5     16    2/4   40%      0.5123        1

failed    run                           reason
00:01:00  finetune mldoc albeto-xlarge  DataError: [bold]train.jsonl[/bold]:7: no label [31mred

problem
00:02:00  squeue does not answer"""


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def scene(*, running: int = 1, failed: int = 1) -> Scene:
    found = rows()
    return Scene(
        status=status(),
        elapsed=192.5,
        running=[msgspec.structs.replace(found[2], run_id=f"a{3 + number}") for number in range(running)],
        standings={"a3": Standing(epoch=2, loss=0.51234, share=0.4)},
        failed=[found[1]] * failed,
        problems=[(NOON + 120, "squeue does not answer")],
    )


@pytest.mark.parametrize(("width", "expected"), [(80, SCREEN_80), (120, SCREEN_120)])
def test_screen_shows_data_sets_running_runs_failures_and_problems(width: int, expected: str) -> None:
    at = console(width)
    at.print(screen(scene(), width, 23))
    assert printed(at) == expected


def test_crowded_screen_says_how_much_it_leaves_out() -> None:
    at = console(80)
    at.print(screen(scene(running=3000, failed=50), 80, 23))
    lines = printed(at).splitlines()
    assert len(lines) == 23
    assert "and 2,996 more" in lines
    assert "and 46 more" in lines


def test_data_sets_with_work_left_stay_on_a_crowded_screen() -> None:
    answer = status()
    idle = {**answer["datasets"]["pos"], "runs": {State.COMPLETED: 5}}
    answer["datasets"] = {
        **{f"done-{number}": idle for number in range(40)},
        "open": answer["datasets"]["mldoc"],
    }
    at = console(80)
    at.print(screen(Scene(status=answer, elapsed=0), 80, 23))
    text = printed(at)
    assert "open" in text
    assert "done-0" in text
    assert "done-39" not in text


@settings(max_examples=40)
@given(st.integers(1, 130), st.integers(0, 40), st.integers(0, 60), st.integers(0, 60))
def test_screen_fits_any_terminal(width: int, height: int, running: int, failed: int) -> None:
    at = console(width, height)
    at.print(screen(scene(running=running, failed=failed), width, height), end="")
    lines = printed(at).splitlines()
    assert len(lines) <= height
    assert max(map(cell_len, lines), default=0) <= width


@given(st.lists(st.integers(0, 500), max_size=5), st.integers(-2, 60))
def test_sections_share_the_lines_and_waste_none(sizes: list[int], lines: int) -> None:
    given_lines = fit(sizes, lines)
    assert all(0 <= given <= size for given, size in zip(given_lines, sizes, strict=True))
    used = sum(given_lines) + FRAME * sum(map(bool, given_lines))
    assert used <= max(lines, 0)
    kept = [given for given in given_lines if given]
    if kept and len(kept) == sum(map(bool, sizes)) and used < lines:
        assert given_lines == sizes


def test_run_without_epochs_has_none() -> None:
    found = rows()
    evaluating = msgspec.structs.replace(found[-1], state=State.RUNNING)
    at = console(80)
    at.print(
        screen(Scene(status=status(), elapsed=0, running=[evaluating, distill("d9", State.RUNNING)]), 80, 23)
    )
    lines = printed(at).splitlines()
    assert next(line for line in lines if line.startswith("evaluate ")).split()[3:5] == ["–", "–"]
    assert "–/50" in next(line for line in lines if line.startswith("distill "))
