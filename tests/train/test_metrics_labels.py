from __future__ import annotations

import numpy as np
import pytest

from sgonz.train.metrics import accuracy, classification_scores


def test_accuracy_is_an_unrounded_percentage():
    assert accuracy(["a", "b", "a"], ["a", "b", "b"]) == 100 * 2 / 3


def test_macro_f1_weighs_every_label_alike():
    scores = classification_scores(["a", "a", "a", "b"], ["a", "a", "b", "b"])
    # a: precision 1, recall 2/3; b: precision 1/2, recall 1
    assert scores == pytest.approx({"accuracy": 75.0, "f1_macro": 100 * (0.8 + 2 / 3) / 2})


def test_label_never_predicted_or_never_gold_counts_as_zero_without_a_warning():
    assert classification_scores(["a", "b"], ["a", "a"])["f1_macro"] == pytest.approx(100 * (2 / 3) / 2)
    assert classification_scores(["a", "a"], ["a", "c"])["f1_macro"] == pytest.approx(100 * (2 / 3) / 2)


def test_label_ids_and_arrays_score_like_names():
    gold, predicted = np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2])
    names = np.array(["a", "b", "c"])
    assert classification_scores(gold, predicted) == classification_scores(
        names[gold].tolist(), names[predicted].tolist()
    )


def test_no_examples_score_zero():
    assert classification_scores([], []) == {"accuracy": 0.0, "f1_macro": 0.0}


def test_unequal_lengths_are_an_error():
    with pytest.raises(ValueError, match="zip"):
        accuracy(["a", "b"], ["a"])
