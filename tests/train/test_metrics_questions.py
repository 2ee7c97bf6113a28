from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgonz.train.metrics import question_scores
from sgonz.train.metrics.questions import normalise, normalise_es


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Cat, a\tdog!", "cat dog"),
        ("El perro", "el perro"),
        ("¿Qué?", "¿qué"),  # not ASCII
        ("«Quijote»", "«quijote»"),
        ("a Madrid", "madrid"),  # the Spanish preposition goes too, as published
        ("3.1416", "31416"),
        ("canción", "canción"),
        ("The", ""),
        ("theatre", "theatre"),
    ],
)
def test_squad_normalisation(text, expected):
    assert normalise(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("El  perro, LA gata y los niños", "perro gata y niños"),
        ("¿Qué?", "qué"),
        ("«¡Hola!» —dijo", "hola dijo"),
        ("unas rosas", "rosas"),
        ("lago del sur", "lago del sur"),  # del is no article
        ("a the an", "a the an"),
        ("Él llegó", "él llegó"),  # a pronoun: accents are never removed
        ("50 % + $3", "50 3"),  # ASCII signs go even where they are symbols
        ("10 €", "10 €"),
    ],
)
def test_spanish_normalisation(text, expected):
    assert normalise_es(text) == expected


def test_best_gold_answer_counts_and_questions_are_averaged():
    scores = question_scores(
        ["la ciudad de Madrid", "1984"],
        [["Madrid", "ciudad de Madrid"], ["en 1985"]],
    )
    # against "ciudad de Madrid": 3 shared, precision 3/4, recall 1; the Spanish rule drops "la"
    assert scores == pytest.approx(
        {"f1": 100 * (6 / 7) / 2, "exact_match": 0.0, "f1_es": 50.0, "exact_match_es": 50.0}
    )


def test_words_are_counted_as_often_as_they_occur():
    scores = question_scores(["sol sol sol"], [["sol luna sol"]])
    assert scores["f1"] == pytest.approx(100 * 2 / 3)


@pytest.mark.parametrize(
    ("prediction", "gold", "f1", "exact_match"),
    [
        ("", "Madrid", 0.0, 0.0),
        ("the", "Madrid", 0.0, 0.0),
        ("Madrid", "...", 0.0, 0.0),
        ("the", "...", 0.0, 100.0),  # SQuAD v1.1: equal texts, no word in common
        ("", "", 0.0, 100.0),
    ],
)
def test_texts_that_normalise_to_nothing_score_as_in_squad(prediction, gold, f1, exact_match):
    scores = question_scores([prediction], [[gold]])
    assert (scores["f1"], scores["exact_match"]) == (f1, exact_match)


def test_question_without_gold_answer_scores_nothing_but_counts():
    assert question_scores(["sol", "sol"], [["sol"], []])["f1"] == 50.0


def test_no_questions_score_zero():
    assert set(question_scores([], []).values()) == {0.0}


def test_unequal_lengths_are_an_error():
    with pytest.raises(ValueError, match="zip"):
        question_scores(["sol"], [])


texts = st.text(alphabet="ab elLAs.¿é", max_size=8)


@settings(deadline=None)
@given(questions=st.lists(st.tuples(texts, st.lists(texts, min_size=1, max_size=3)), min_size=1, max_size=5))
def test_scores_stay_percentages_and_the_order_of_questions_does_not_matter(questions):
    forwards = question_scores(*map(list, zip(*questions, strict=True)))
    backwards = question_scores(*map(list, zip(*questions[::-1], strict=True)))
    assert forwards == pytest.approx(backwards)
    assert all(0 <= score <= 100 + 1e-9 for score in forwards.values())
