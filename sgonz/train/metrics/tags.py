"""Scores of tagging: seqeval in its default mode, which also scores part-of-speech tags as published."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from seqeval.metrics import accuracy_score
from seqeval.metrics.sequence_labeling import precision_recall_fscore_support


def tagging_scores(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, float]:
    """Precision, recall and F1 over chunks, and accuracy over words, of one list of tags per sentence.

    Tags without a B- or I- prefix are read as seqeval reads them: the first letter is the prefix. Sentences
    may be empty; where there is no word, or no chunk, the scores concerned are 0.
    """
    # seqeval takes lists and nothing else.
    gold, predicted = [list(tags) for tags in gold], [list(tags) for tags in predicted]
    if not any(gold) and not any(predicted):
        return {"precision": 0.0, "recall": 0.0, "f1": 0.0, "accuracy": 0.0}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".* seems not to be NE tag\.", category=UserWarning)
        precision, recall, f1, _ = precision_recall_fscore_support(
            gold, predicted, average="micro", zero_division=0
        )
    scores = {"precision": precision, "recall": recall, "f1": f1, "accuracy": accuracy_score(gold, predicted)}
    return {name: 100 * float(value) for name, value in scores.items()}
