"""Answers as people see them, sign by sign."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from shown import console, printed, results, rows, status

from sgonz.looking import answers
from sgonz.plan.runs import Kind, State
from sgonz.view.tables import show_leaderboard, show_plan, show_results, show_rows, show_status

PLAN: Mapping[str, Any] = {
    "sweep": "[b]small",
    "protocol": "sound",
    "runs": {"finetune": 1200, "logits": 2, "distill": 8, "evaluate": 4, "total": 1214},
    "new": 12,
    "datasets": ["mldoc", "pos"],
    "models": ["beto", "albeto-xlarge"],
    "students": ["albeto-tiny"],
    "predicted_hours": 36.4,
    "estimated_by": "size of models and data",
    "matrix": [
        {"dataset": dataset, "model": model, "runs": 300}
        for dataset in ("mldoc", "pos")
        for model in ("beto", "albeto-xlarge")
    ],
    "warnings": ["data set pos: no folder [x]"],
}

STATUS_80 = """\
small: 7 of 10 runs done, 9 attempts
1 pending, 1 submitted, 1 running, 6 completed, 1 failed
 ───────────────────────────────────────────────────────────────────
 data set    finetune  teacher  logits     distill  evaluate  failed
 ───────────────────────────────────────────────────────────────────
 mldoc     ━      1/3  –             –           –         –       1
 pos       ━━━━   2/2  beto        1/1  ━━     1/2       1/2       –
 ───────────────────────────────────────────────────────────────────
waiting: 1 no free slot
 ──────────────────────────────────────────────────────────────────────────────
 run  kind      data set  model          reason
 ──────────────────────────────────────────────────────────────────────────────
 a2   finetune  mldoc     albeto-xlarge  DataError: [bold]train.jsonl[/bold]:7:
                                         no label [31mred
 ──────────────────────────────────────────────────────────────────────────────
sgonz failures says what helps; sgonz logs prints the end of their logs"""
LEADERBOARD_80 = """\
 ─────────────────────────────────────────────────────────────────────
 data set  model          teacher    loss  metric    validation   test
 ─────────────────────────────────────────────────────────────────────
 mldoc     beto           –        0.2500  accuracy       95.00      –
 ─────────────────────────────────────────────────────────────────────
 pos       beto           –        0.1032  f1             91.26  90.10
           albeto-xlarge  –        0.2000  f1             88.00      –
           albeto-tiny    beto     0.3100  f1             86.50      –
 ─────────────────────────────────────────────────────────────────────"""
RESULTS_80 = """\
 ──────────────────────────────────────────────────────────────────────────────
 run     data set  model           lr    loss  validation   test  remark
 ──────────────────────────────────────────────────────────────────────────────
 a1   *  mldoc     beto          2e-5  0.2500       95.00      –
 a2      mldoc     albeto-xlar…  2e-5       –           –      –  DataError: […
 ──────────────────────────────────────────────────────────────────────────────
 b1   *  pos       beto          2e-5  0.1032       91.26  90.10
 b2   *  pos       albeto-xlar…  2e-5  0.2000       88.00      –  majority_lev…
 d1   *  pos       albeto-tiny   5e-4  0.3100       86.50      –
 ──────────────────────────────────────────────────────────────────────────────"""
STATUS_120 = """\
small: 7 of 10 runs done, 9 attempts
1 pending, 1 submitted, 1 running, 6 completed, 1 failed
 ───────────────────────────────────────────────────────────────────────────────────────────
 data set            finetune  teacher    loss  logits             distill  evaluate  failed
 ───────────────────────────────────────────────────────────────────────────────────────────
 mldoc     ━━━            1/3  –             –       –                   –         –       1
 pos       ━━━━━━━━━━     2/2  beto     0.1032     1/1  ━━━━━          1/2       1/2       –
 ───────────────────────────────────────────────────────────────────────────────────────────
waiting: 1 no free slot
 ───────────────────────────────────────────────────────────────────────────────────────────────────────
 run  state   kind      data set  model          reason
 ───────────────────────────────────────────────────────────────────────────────────────────────────────
 a2   FAILED  finetune  mldoc     albeto-xlarge  DataError: [bold]train.jsonl[/bold]:7: no label [31mred
 ───────────────────────────────────────────────────────────────────────────────────────────────────────
sgonz failures says what helps; sgonz logs prints the end of their logs"""
LEADERBOARD_120 = """\
 ───────────────────────────────────────────────────────────────────────────────────────────────────
 data set  kind      model          teacher    lr  batch  epoch    loss  metric    validation   test
 ───────────────────────────────────────────────────────────────────────────────────────────────────
 mldoc     finetune  beto           –        2e-5     16      2  0.2500  accuracy       95.00      –
 ───────────────────────────────────────────────────────────────────────────────────────────────────
 pos       finetune  beto           –        2e-5     16      3  0.1032  f1             91.26  90.10
           finetune  albeto-xlarge  –        2e-5     16      4  0.2000  f1             88.00      –
           distill   albeto-tiny    beto     5e-4     32     17  0.3100  f1             86.50      –
 ───────────────────────────────────────────────────────────────────────────────────────────────────"""
RESULTS_120 = """\
 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
 run     kind      data set  model         teacher    lr  batch  epochs  best    loss  validation   test  remark
 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
 a1   *  finetune  mldoc     beto          –        2e-5     16       4     2  0.2500       95.00      –
 a2      finetune  mldoc     albeto-xlar…  –        2e-5     16       4     –       –           –      –  DataError: […
 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
 b1   *  finetune  pos       beto          –        2e-5     16       4     3  0.1032       91.26  90.10
 b2   *  finetune  pos       albeto-xlar…  –        2e-5     16       4     4  0.2000       88.00      –  majority_lev…
 d1   *  distill   pos       albeto-tiny   beto     5e-4     32      50    17  0.3100       86.50      –
 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────"""
PLAN_80 = """\
[b]small: 1,214 runs (1,200 finetune, 2 logits, 8 distill, 4 evaluate), 12 of
the first 1,200 new, protocol sound
 ─────────────────────────
 model          mldoc  pos
 ─────────────────────────
 beto             300  300
 albeto-xlarge    300  300
 ─────────────────────────
students: albeto-tiny
predicted: 36.4 hours (size of models and data)
warning: data set pos: no folder [x]"""


def board() -> list[dict[str, Any]]:
    return answers.leaderboard(results())


@pytest.mark.parametrize(("width", "expected"), [(80, STATUS_80), (120, STATUS_120)])
def test_status_has_a_bar_for_each_data_set_and_the_failures(width: int, expected: str) -> None:
    at = console(width)
    show_status(status(), console=at)
    assert printed(at) == expected


def test_another_choice_of_teacher_is_told_where_it_differs():
    def lines(**facts):
        answer = status()
        answer["datasets"]["pos"] |= {"teacher_by_loss": "b1", "teacher_by_metric": "b2"} | facts
        at = console(100)
        show_status(answer, console=at)
        return [line for line in printed(at).splitlines() if "would be" in line]

    assert lines() == []
    other = {"other_teacher_model": "albeto-xlarge"}
    assert lines(**other) == ["pos: by score the teacher would be albeto-xlarge"]
    assert lines(teacher="b2", **other) == ["pos: by validation loss the teacher would be albeto-xlarge"]


def test_models_that_tell_nothing_apart_are_named_where_they_teach_and_where_they_lead():
    answer = status()
    answer["datasets"]["pos"]["teacher_flags"] = ["constant_predictions"]
    at = console(100)
    show_status(answer, console=at)
    assert "pos: its teacher beto gives one answer to everything" in printed(at)
    flagged = [
        {**row, "flags": ["constant_predictions"]} if row["dataset"] == "pos" else row for row in board()
    ]
    at = console(100)
    show_leaderboard(flagged, console=at)
    assert (
        printed(at).splitlines()[-1] == "pos: one answer to everything from beto, albeto-xlarge, albeto-tiny"
    )


@pytest.mark.parametrize(("width", "expected"), [(80, LEADERBOARD_80), (120, LEADERBOARD_120)])
def test_leaderboard_has_a_rule_between_data_sets(width: int, expected: str) -> None:
    at = console(width)
    show_leaderboard(board(), console=at)
    assert printed(at) == expected


@pytest.mark.parametrize(("width", "expected"), [(80, RESULTS_80), (120, RESULTS_120)])
def test_results_cut_text_and_keep_numbers(width: int, expected: str) -> None:
    at = console(width)
    show_results(results(), console=at)
    assert printed(at) == expected


def test_plan_is_a_matrix_of_models_and_data_sets() -> None:
    at = console(80)
    show_plan(PLAN, console=at)
    assert printed(at) == PLAN_80


def test_plan_that_fits_in_no_matrix_is_a_list() -> None:
    names = [f"data-set-{number}" for number in range(12)]
    cells = [{"dataset": name, "model": f"model-{at}", "runs": 36} for name in names for at in range(12)]
    at = console(80)
    show_plan({**PLAN, "matrix": cells}, console=at)
    assert "data-set-11  model-11    36" in printed(at)


def test_best_validation_score_is_bold_and_the_best_test_score_is_not() -> None:
    better_on_test = [{**row, "test": 99.0} if row["model"] == "albeto-xlarge" else row for row in board()]
    at = console(120, terminal=True)
    show_leaderboard(better_on_test, console=at)
    assert "\x1b[1m     91.26\x1b[0m" in printed(at)
    assert "\x1b[1m     86.50\x1b[0m" in printed(at)  # the best, and only, student
    assert "\x1b[1m     88.00" not in printed(at)
    assert "\x1b[1m99.00" not in printed(at)


def test_nothing_to_show_is_said() -> None:
    at = console(80)
    show_leaderboard([], console=at)
    show_results([], console=at)
    assert printed(at) == "no run is selected yet\nno run has ended yet"


def test_missing_scores_are_dashes() -> None:
    at = console(120)
    unscored = [{**row, "validation": None, "validation_loss": None, "test": None} for row in board()]
    show_leaderboard(unscored, console=at)
    assert "–  f1                 –     –" in printed(at)


def test_rows_of_any_kind_break_long_text_and_lose_none() -> None:
    path = "/a/long/folder" * 9
    at = console(60)
    show_rows(["field", "value"], [{"field": "[b]folder", "value": path}], title="[red]a run", console=at)
    text = printed(at)
    assert "[red]a run" in text
    assert "[b]folder" in text
    assert "".join(text.split("[b]folder")[1].replace("─", "").split()) == path


def test_rows_with_more_columns_than_the_width_holds_leave_out_empty_and_late_ones_and_say_which() -> None:
    names = ["model", "empty", *(f"figure_{number}" for number in range(9)), "run_id"]
    values = {
        **dict.fromkeys(names, 123456789),
        "model": "sample-albert-2",
        "empty": None,
        "run_id": "9f" * 8,
    }
    at = console(80)
    show_rows(names, [values], console=at)
    text = printed(at)
    table, left_out = text.split("not shown for want of width: ")
    assert "sample-albert-2" in table
    assert "9f" * 8 in table
    assert "empty" in left_out
    assert "figure_8" in left_out
    assert "figure_0" in table
    assert "--format csv" in left_out


def test_rows_of_any_kind_show_every_value_in_words() -> None:
    values = {
        "none": None,
        "yes": True,
        "share": 0.25,
        "states": {"FAILED": 2},
        "needs": ["a", "b"],
        "count": 12345,
    }
    at = console(80)
    show_rows(list(values), [values], console=at)
    assert printed(at).splitlines()[3].split() == ["–", "yes", "0.25", "FAILED", "2", "a,", "b", "12345"]


def every_answer(at: Console, name: str) -> None:
    """All tables, with a name of somebody else's making."""
    found = [row for row in rows() if row.kind is not Kind.EVALUATE]
    answer = status(found)
    answer["sweep"], answer["datasets"] = name, {name: answer["datasets"]["pos"]}
    answer["failures"][0] |= {"reason": name, "model": name}
    named = [{**row, "dataset": name, "model": name} for row in results()]
    show_status(answer, console=at)
    show_results(named, console=at)
    show_leaderboard(answers.leaderboard(named), console=at)
    show_rows(["name", name], [{"name": name, name: 1}], console=at)
    show_plan({**PLAN, "sweep": name, "matrix": [{"dataset": name, "model": name, "runs": 1}]}, console=at)


@pytest.mark.parametrize("name", ["[bold]", "[/nothing]", "[link=x]y", ":smile:"])
def test_markup_in_names_is_printed_as_it_stands(name: str) -> None:
    at = console(120)
    every_answer(at, name)
    assert printed(at).count(name) >= 12


@settings(max_examples=30)
@given(st.text(min_size=1, max_size=40), st.integers(1, 130))
def test_no_name_and_no_width_breaks_a_table(name: str, width: int) -> None:
    at = console(width)
    every_answer(at, name)
    if width > 30:
        assert max(map(cell_len, printed(at).splitlines())) <= width


@pytest.mark.parametrize(
    "show",
    [
        lambda: show_status(status()),
        lambda: show_leaderboard(board()),
        lambda: show_results(results()),
        lambda: show_plan(PLAN),
    ],
)
def test_piped_output_has_no_codes(
    show: Callable[[], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    show()
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert 60 < max(map(cell_len, text.splitlines())) <= 100


def test_signs_that_the_stream_cannot_write_are_replaced(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "out").open("w", encoding="ascii") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        show_leaderboard(board())
    assert "91.26" in (tmp_path / "out").read_text(encoding="ascii")


def test_long_list_of_failures_says_how_many_more_there_are() -> None:
    answer = status()
    answer["failures"] = answer["failures"] * 25
    at = console(80)
    show_status(answer, console=at)
    assert printed(at).endswith("and 5 more")


def test_superseded_and_failed_runs_say_why_they_do_not_count() -> None:
    found = [{**row, "superseded": row["run_id"] == "d1"} for row in results()]
    at = console(120)
    show_results(found, console=at)
    assert "superseded" in printed(at)
    assert [row["state"] for row in found].count(State.FAILED) == 1
