"""Failures as groups: what is counted, and what helps."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from sgonz.plan.remedy import Failure, grouped, remedy, said
from sgonz.plan.runs import Outcome

ONE = Failure(run_id="a", kind="finetune", dataset="pos", model="beto", attempt=1, outcome=Outcome.FAILED,
              signature="KeyError in readers", error="KeyError: 'x'", gpu_hours=0.5, ended=1.0, is_open=True)  # fmt: skip


def test_failures_are_grouped_by_how_they_ended_and_what_is_open_comes_first():
    solved = replace(ONE, run_id="c", signature=None, outcome=Outcome.TIMEOUT, gpu_hours=9.0, is_open=False)
    again = replace(ONE, attempt=2, ended=2.0, error="KeyError: 'y'")
    other = replace(ONE, run_id="b", dataset="ner", ended=1.5)
    first, second = grouped([ONE, solved, again, other])
    assert (first.signature, first.runs, first.unsolved, first.attempts) == ("KeyError in readers", 2, 2, 3)
    assert (first.gpu_hours, first.datasets, first.example, first.error) == (
        1.5,
        ("ner", "pos"),
        "a",
        "KeyError: 'y'",
    )
    assert (second.signature, second.unsolved) == ("TIMEOUT", 0)


def test_nodes_do_not_part_a_group():
    ends = [replace(ONE, run_id=node, signature=f"job ended FAILED on {node}") for node in ("n1", "n2")]
    (group,) = grouped(ends)
    assert (group.signature, group.runs) == ("job ended FAILED", 2)


@pytest.mark.parametrize(
    ("signature", "error", "outcome", "advice"),
    [
        ("OutOfMemoryError in loop", "CUDA out of memory", "OUT_OF_MEMORY", "a larger device"),
        (
            "job ended OUT_OF_MEMORY",
            None,
            "OUT_OF_MEMORY",
            "--signature 'job ended OUT_OF_MEMORY' --memory GB",
        ),
        ("OSError in rundir", "No space left on device", "FAILED", "free space (sgonz clean)"),
        ("SpecError", "x", "FAILED", "change the sweep"),
        ("TIMEOUT", None, "TIMEOUT", "a longer max_minutes"),
        ("job ended FAILED", "exit 1", "FAILED", "a set-up line"),
        ("Strange: it's new", "what", "FAILED", "sgonz logs run1); then sgonz retry --signature 'Strange'"),
    ],
)
def test_every_failure_has_a_remedy(signature: str, error: str | None, outcome: str, advice: str):
    assert advice in remedy(signature, error, outcome, "run1")


def test_a_signature_is_told_without_the_place_and_the_error_named_twice():
    assert said("RunError in loop.finish: RunError: no finite loss") == "RunError: no finite loss"
    assert said("ValueError in place 3") == "ValueError in place 3"
    assert said("job ended FAILED on n1") == "job ended FAILED on n1"
