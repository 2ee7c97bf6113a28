from __future__ import annotations

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgonz.train.metrics import tagging_scores

NOMINAL = ["NOUN", "PROPN", "PRON", "ADJ", "DET", "NUM"]
UPOS = [*NOMINAL, "VERB", "AUX", "ADV", "ADP", "PART", "PUNCT", "SYM", "SCONJ", "CCONJ", "INTJ", "X", "_"]


def scores(gold: str, predicted: str) -> dict[str, float]:
    """Scores of sentences written as words of tags, sentences apart by a slash."""
    return tagging_scores(
        [sentence.split() for sentence in gold.split("/")],
        [sentence.split() for sentence in predicted.split("/")],
    )


def test_scores_are_unrounded_percentages_over_chunks_and_words():
    found = scores("O O B-MISC I-MISC O / B-PER I-PER O", "O B-MISC I-MISC I-MISC O / B-PER I-PER B-LOC")
    # gold 2 chunks, predicted 3, one of them right; 5 of 8 words right
    assert found == pytest.approx({"precision": 100 / 3, "recall": 50, "f1": 40, "accuracy": 100 * 5 / 8})


def test_inside_tag_without_a_begin_opens_a_chunk():
    assert scores("O I-PER I-PER", "O B-PER I-PER")["f1"] == 100.0
    assert scores("B-PER I-LOC", "B-PER B-LOC")["f1"] == 100.0


def test_chunk_with_one_wrong_end_is_wholly_wrong():
    assert scores("B-PER I-PER O", "B-PER O O")["f1"] == 0.0


def test_run_of_one_raw_tag_is_one_chunk():
    # gold: one chunk of two nouns; a verb in the middle breaks it
    found = scores("NOUN NOUN NOUN", "NOUN VERB NOUN")
    assert (found["precision"], found["recall"], found["accuracy"]) == (0.0, 0.0, pytest.approx(200 / 3))
    assert scores("NOUN NOUN VERB", "NOUN NOUN ADJ")["recall"] == 50.0


@pytest.mark.parametrize("tag", ["SYM", "SCONJ"])
def test_each_tag_that_begins_with_s_is_a_chunk_of_its_own(tag):
    found = scores(f"{tag} {tag} {tag} NOUN", f"{tag} {tag} NOUN NOUN")
    assert found["recall"] == 50.0  # 2 of 4 chunks; a run would have been 0 of 2
    assert found["precision"] == pytest.approx(200 / 3)


def test_interjection_acts_as_an_inside_tag():
    assert scores("I-NTJ PUNCT", "INTJ PUNCT")["f1"] == 100.0
    assert scores("B-NTJ I-NTJ", "B-NTJ INTJ")["f1"] == 100.0  # it goes on with a chunk of its type
    assert scores("B-NTJ B-NTJ", "B-NTJ INTJ")["f1"] == 0.0


def test_subordinating_and_coordinating_conjunctions_share_a_type():
    found = scores("NOUN SCONJ VERB", "NOUN CCONJ VERB")
    assert found["f1"] == 100.0
    assert found["accuracy"] == pytest.approx(200 / 3)


def test_x_and_underscore_share_a_type():
    found = scores("NOUN X VERB", "NOUN _ VERB")
    assert found["f1"] == 100.0
    assert found["accuracy"] == pytest.approx(200 / 3)


@pytest.mark.parametrize("tag", ["X", "_"])
def test_chunk_of_x_at_the_end_of_a_sentence_is_dropped(tag):
    found = scores(f"NOUN {tag}", f"NOUN {tag}")
    assert found["f1"] == 100.0
    assert scores(f"VERB {tag}", f"NOUN {tag}")["f1"] == 0.0  # only the verb is there to be found
    assert scores(f"{tag}", f"{tag}") == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "accuracy": 100.0}


def test_x_that_opens_a_later_sentence_keeps_an_old_start():
    # Its start is that of the last chunk before it: move that one, and the X is no longer found.
    same = scores("NOUN NOUN / X VERB", "NOUN NOUN / X VERB")
    moved = scores("NOUN NOUN / X VERB", "NOUN ADJ / X VERB")
    assert same["f1"] == 100.0
    assert (moved["precision"], moved["recall"]) == (pytest.approx(100 / 4), pytest.approx(100 / 3))


def test_every_upos_tag_is_scored_without_a_warning():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tagging_scores([UPOS], [UPOS[::-1]])
    assert caught == []


def test_other_warnings_are_not_silenced():
    class Loud(list):
        def __iter__(self):
            warnings.warn("something else", UserWarning, stacklevel=1)
            return super().__iter__()

    with pytest.warns(UserWarning, match="something else"):
        tagging_scores(Loud([["O"]]), [["O"]])


@pytest.mark.parametrize("sentences", [[], [[]], [[], []]])
def test_split_without_words_scores_zero(sentences):
    assert set(tagging_scores(sentences, sentences).values()) == {0.0}


def test_split_without_chunks_scores_zero_but_for_accuracy():
    assert scores("O O", "O O") == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "accuracy": 100.0}


def test_unequal_sentences_are_an_error():
    with pytest.raises(ValueError, match="inconsistent"):
        tagging_scores([["O", "O"]], [["O"]])


pairs = st.lists(
    st.lists(st.tuples(st.sampled_from([*UPOS, "O", "B-PER", "I-PER"]), st.sampled_from(UPOS)), max_size=5),
    max_size=5,
)


@settings(deadline=None)
@given(sentences=pairs, place=st.integers(0, 5))
def test_empty_sentence_changes_no_score(sentences, place):
    gold = [[first for first, _ in sentence] for sentence in sentences]
    predicted = [tuple(second for _, second in sentence) for sentence in sentences]
    with_empty = tagging_scores(
        [*gold[:place], [], *gold[place:]], [*predicted[:place], (), *predicted[place:]]
    )
    assert tagging_scores(gold, predicted) == with_empty
