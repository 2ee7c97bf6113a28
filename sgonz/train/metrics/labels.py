"""Scores of classification."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from sklearn.metrics import f1_score


def accuracy(gold: Sequence[Hashable], predicted: Sequence[Hashable]) -> float:
    """Percentage of predictions that equal their gold label; 0 where there are none."""
    if not len(gold):
        return 0.0
    return 100 * sum(ours == theirs for ours, theirs in zip(predicted, gold, strict=True)) / len(gold)


def classification_scores(gold: Sequence[Hashable], predicted: Sequence[Hashable]) -> dict[str, float]:
    """Accuracy, and F1 averaged over the labels that occur in gold or predicted."""
    if not len(gold):
        return {"accuracy": 0.0, "f1_macro": 0.0}
    f1_macro = f1_score(gold, predicted, average="macro", zero_division=0)
    return {"accuracy": accuracy(gold, predicted), "f1_macro": 100 * float(f1_macro)}
