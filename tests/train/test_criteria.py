"""What a sweep may choose by is what runs are scored by."""

from __future__ import annotations

from sgonz.plan.selection import SCORES
from sgonz.train import metrics


def test_every_score_of_a_task_can_choose_and_no_other():
    found = {
        "classification": metrics.classification_scores(["a"], ["a"]),
        "tagging": metrics.tagging_scores([["O", "B-X"]], [["O", "B-X"]]),
        "qa": metrics.question_scores(["a"], [["a"]]),
    }
    assert {task: set(scores) for task, scores in found.items()} == {
        task: set(names) for task, names in SCORES.items()
    }
