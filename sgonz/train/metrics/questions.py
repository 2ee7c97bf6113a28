"""Scores of question answering: SQuAD v1.1, and the same with the normalisation that suits Spanish."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

ENGLISH_ARTICLES = re.compile(r"\b(a|an|the)\b")
SPANISH_ARTICLES = re.compile(r"\b(un|una|unos|unas|el|la|los|las)\b")
ASCII_PUNCTUATION = frozenset(string.punctuation)
WITHOUT_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)


def question_scores(predictions: Sequence[str], golds: Sequence[Sequence[str]]) -> dict[str, float]:
    """F1 and exact match, each the best over a question's gold answers, averaged over the questions.

    Without a suffix as in SQuAD v1.1 (English articles, ASCII punctuation), with `_es` as in MLQA for
    Spanish. As in SQuAD v1.1, texts that both normalise to nothing match exactly and share no word: F1 is 0.
    A question without a gold answer scores 0.
    """
    f1, exact_match = _mean_scores(predictions, golds, normalise)
    f1_es, exact_match_es = _mean_scores(predictions, golds, normalise_es)
    return {"f1": f1, "exact_match": exact_match, "f1_es": f1_es, "exact_match_es": exact_match_es}


def normalise(text: str) -> str:
    """Lower case, without ASCII punctuation, English articles and superfluous spaces (SQuAD v1.1)."""
    return _without(ENGLISH_ARTICLES, text.lower().translate(WITHOUT_ASCII_PUNCTUATION))


def normalise_es(text: str) -> str:
    """Lower case, without any punctuation, Spanish articles and superfluous spaces (MLQA)."""
    return _without(SPANISH_ARTICLES, "".join(sign for sign in text.lower() if not _is_punctuation(sign)))


def _is_punctuation(sign: str) -> bool:
    return sign in ASCII_PUNCTUATION or unicodedata.category(sign).startswith("P")


def _without(articles: re.Pattern[str], text: str) -> str:
    return " ".join(articles.sub(" ", text).split())


def _mean_scores(
    predictions: Sequence[str], golds: Sequence[Sequence[str]], normal: Callable[[str], str]
) -> tuple[float, float]:
    f1 = exact_match = 0.0
    for prediction, answers in zip(predictions, golds, strict=True):
        ours, theirs = normal(prediction), [normal(answer) for answer in answers]
        f1 += max((_f1(ours.split(), answer.split()) for answer in theirs), default=0.0)
        exact_match += ours in theirs
    questions = max(len(predictions), 1)
    return 100 * f1 / questions, 100 * exact_match / questions


def _f1(predicted: list[str], gold: list[str]) -> float:
    shared = (Counter(predicted) & Counter(gold)).total()
    if not shared:
        return 0.0
    precision, recall = shared / len(predicted), shared / len(gold)
    return 2 * precision * recall / (precision + recall)
