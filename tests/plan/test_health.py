from __future__ import annotations

import pytest

from sgonz.plan.health import at_majority_level, collapsed, suspect


@pytest.mark.parametrize(
    ("metric", "best", "expected"),
    [
        (70.0, 85.0, True),
        (70.001, 85.0, False),
        (65.3, 80.3, True),  # 15.000000000000000 or a hair less in binary
        (66.1, 81.1, True),
        (57.65, 88.45, True),
        (85.0, 85.0, False),
        (90.0, 85.0, False),
        (float("nan"), 85.0, True),
    ],
)
def test_run_15_points_below_the_best_of_its_group_is_collapsed(metric, best, expected):
    assert collapsed(metric, best) is expected


@pytest.mark.parametrize(
    ("metric", "best", "expected"),
    [
        (60.0, 85.0, True),
        (60.001, 85.0, False),
        (51.62, 82.42, True),
        (73.65, 82.55, False),
        (71.0, 71.0, False),
    ],
)
def test_model_25_points_below_the_best_model_is_suspect(metric, best, expected):
    assert suspect(metric, best) is expected


def test_only_the_three_failures_of_one_model_are_suspect_among_published_results():
    xnli = {"beto": 81.98, "distilbeto": 76.59, "tiny": 73.43, "xxlarge": 82.42, "bne-large": 51.62}
    pos = {"beto-uncased": 97.81, "tiny": 97.34, "bertin": 99.02, "bne-large": 61.83}
    ner = {"beto-cased": 87.14, "tiny": 75.42, "distilbeto": 78.13, "bne-large": 21.47}
    for scores in (xnli, pos, ner):
        assert [name for name, score in scores.items() if suspect(score, max(scores.values()))] == [
            "bne-large"
        ]


@pytest.mark.parametrize(
    ("accuracy", "share", "expected"),
    [
        (57.65, 57.65, True),
        (59.65, 57.65, True),
        (59.66, 57.65, False),
        (30.0, 57.65, True),
        (float("nan"), 50, True),
    ],
)
def test_accuracy_within_2_points_of_the_majority_share_is_at_its_level(accuracy, share, expected):
    assert at_majority_level(accuracy, share) is expected
