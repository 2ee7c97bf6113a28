"""What commands answer: which choice was made, what another one would have been, and what is not to be trusted."""

from __future__ import annotations

from typing import Any

from sgonz.looking import answers
from sgonz.plan.runs import Kind, State
from sgonz.plan.state import RunRow

METRICS = {"xnli": "accuracy"}


def done(run_id: str, loss: float, score: float, *, model: str = "beto", **facts: Any) -> RunRow:
    facts = {"kind": Kind.FINETUNE, "state": State.COMPLETED} | facts
    return RunRow(
        run_id=run_id,
        dataset="xnli",
        model=model,
        validation_loss=loss,
        validation={"accuracy": score},
        **facts,
    )


def told(*rows: RunRow, **more: Any) -> dict[str, dict[str, Any]]:
    return {row["run_id"]: row for row in answers.results(rows, METRICS, **more)}


def test_what_the_score_would_have_selected_is_marked_beside_what_the_loss_did() -> None:
    found = told(done("a", 0.3, 80.0, selected=True), done("b", 0.4, 81.0))
    assert [found[name]["selected"] for name in "ab"] == [True, False]
    assert [found[name]["selected_by_metric"] for name in "ab"] == [False, True]


def test_no_score_selects_while_the_grid_is_open() -> None:
    found = told(done("a", 0.3, 80.0), done("b", 0.4, 81.0, state=State.RUNNING))
    assert not found["a"]["selected_by_metric"]


def test_a_run_far_below_its_group_is_flagged_and_so_is_one_that_flagged_itself() -> None:
    found = told(done("a", 0.3, 80.0), done("b", 0.1, 60.0), done("c", 0.2, 79.0, flags=("majority_level",)))
    assert found["a"]["flags"] == []
    assert found["b"]["flags"] == ["collapsed"]
    assert found["c"]["flags"] == ["majority_level", "collapsed"]


def test_a_selected_result_far_below_the_best_model_is_suspect_on_either_split() -> None:
    rows = [done("a", 0.3, 80.0, model="beto", selected=True), done("b", 0.9, 54.0, model="bne", selected=True),
            done("c", 0.3, 79.0, model="tiny", selected=True),
            done("d", 0.9, 10.0, model="tiny", kind=Kind.DISTILL, selected=True)]  # fmt: skip
    tests = [RunRow(run_id=f"t{need}", kind=Kind.EVALUATE, dataset="xnli", model="x", state=State.COMPLETED,
                    needs=(need,), test={"accuracy": score}) for need, score in (("a", 80.0), ("c", 50.0))]  # fmt: skip
    found = told(*rows, *tests)
    assert {name for name, row in found.items() if "suspect" in row["flags"]} == {"b", "c"}


def test_what_a_run_counted_stands_with_its_result() -> None:
    found = told(done("a", 0.3, 80.0), done("b", 0.3, 80.0), notes={"a": {"coverage": 0.998}})
    assert found["a"]["notes"] == {"coverage": 0.998}
    assert found["b"]["notes"] == {}
