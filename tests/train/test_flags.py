from __future__ import annotations

import numpy as np
import pytest

from sgonz.train.flags import majority_share, run_flags
from sgonz.train.metrics import classification_scores, question_scores, tagging_scores

GOLD = ["no"] * 6 + ["yes"] * 4


def flags_of_labels(predicted, gold=GOLD):
    return run_flags("classification", gold, predicted, classification_scores(gold, predicted))


def flags_of_tags(gold, predicted):
    return run_flags("tagging", gold, predicted, tagging_scores(gold, predicted))


def flags_of_answers(gold, predicted):
    return run_flags("qa", gold, predicted, question_scores(predicted, gold))


def test_one_label_everywhere_is_constant_and_at_majority_level():
    assert flags_of_labels(["no"] * 10) == ("constant_predictions", "majority_level")
    assert flags_of_labels(["yes"] * 10) == ("constant_predictions", "majority_level")


def test_varied_predictions_at_majority_level_are_flagged_as_such_only():
    swapped = ["yes", *["no"] * 5, "yes", *["no"] * 3]
    assert flags_of_labels(swapped) == ("majority_level",)


def test_two_points_above_the_majority_share_is_the_last_flagged_accuracy():
    gold = ["no"] * 50 + ["yes"] * 50
    assert flags_of_labels(["no"] * 52 + ["yes"] * 48, gold) == ()  # 98 % right
    assert flags_of_labels(["no"] * 49 + ["yes"] + ["no"] * 47 + ["yes"] * 3, gold) == ("majority_level",)
    assert flags_of_labels(["no"] * 50 + ["no"] * 48 + ["yes"] * 2, gold) == ("majority_level",)
    assert flags_of_labels(["no"] * 50 + ["no"] * 47 + ["yes"] * 3, gold) == ()


def test_healthy_run_has_no_flag():
    assert flags_of_labels([*GOLD[:-1], "no"]) == ()


def test_label_ids_in_arrays_are_judged_like_names():
    gold, predicted = np.array([0, 0, 1]), np.array([0, 0, 0])
    assert flags_of_labels(predicted, gold) == ("constant_predictions", "majority_level")


def test_run_that_is_right_everywhere_has_no_flag_on_a_split_with_one_label():
    assert flags_of_labels(["no"] * 3, ["no"] * 3) == ()
    assert flags_of_tags([["O", "O"]], [["O", "O"]]) == ()


def test_tagging_is_judged_word_by_word():
    gold = [["O", "B-PER"], [], ["O", "O", "B-LOC", "I-LOC"]]
    assert majority_share([tag for tags in gold for tag in tags]) == 50.0
    nothing = [["O"] * len(tags) for tags in gold]
    assert flags_of_tags(gold, nothing) == ("constant_predictions", "majority_level")
    assert flags_of_tags(gold, [["O", "B-PER"], [], ["O", "O", "B-LOC", "O"]]) == ()


@pytest.mark.parametrize("predicted", [["", "", ""], ["Madrid", "Madrid", "Madrid"]])
def test_same_answer_to_every_question_is_constant(predicted):
    gold = [["Madrid"], ["1984"], ["el rey"]]
    assert flags_of_answers(gold, predicted) == ("constant_predictions",)
    assert flags_of_answers(gold, ["Madrid", "", ""]) == ()


def test_single_question_is_constant_only_if_unanswered():
    assert flags_of_answers([["Madrid"]], ["Roma"]) == ()
    assert flags_of_answers([["Madrid"]], [""]) == ("constant_predictions",)


@pytest.mark.parametrize("task", ["classification", "tagging", "qa"])
def test_empty_split_says_nothing(task):
    assert run_flags(task, [], [], {"accuracy": 0.0}) == ()


def test_split_without_words_says_nothing():
    assert flags_of_tags([[], []], [[], []]) == ()
