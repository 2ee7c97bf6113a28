"""The scores of the three tasks, all as unrounded percentages."""

from __future__ import annotations

from sgonz.train.metrics.labels import accuracy, classification_scores
from sgonz.train.metrics.questions import question_scores
from sgonz.train.metrics.tags import tagging_scores

__all__ = ["accuracy", "classification_scores", "question_scores", "tagging_scores"]
