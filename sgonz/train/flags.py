"""Signs in a run's own predictions that it learned nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from sgonz.plan.health import CONSTANT, MAJORITY, at_majority_level
from sgonz.plan.runs import Task


def run_flags(
    task: Task, gold: Sequence[Any], predicted: Sequence[Any], scores: Mapping[str, float]
) -> tuple[str, ...]:
    """What is wrong with the predictions on one split, in the order constant, majority.

    Labels for classification, lists of tags for tagging (judged word by word), texts for question answering
    (only whether they are all the same). A tagger or classifier that is right everywhere has no flag, however
    plain its split.
    """
    if task == "qa":
        # One question has one answer: that is constant only if it is empty.
        return (CONSTANT,) if _same(predicted) and (len(predicted) > 1 or not predicted[0]) else ()
    if task == "tagging":
        gold, predicted = list(chain.from_iterable(gold)), list(chain.from_iterable(predicted))
    if not len(gold) or scores["accuracy"] == 100:
        return ()
    found = {
        CONSTANT: _same(predicted),
        MAJORITY: at_majority_level(scores["accuracy"], majority_share(gold)),
    }
    return tuple(name for name, holds in found.items() if holds)


def majority_share(gold: Sequence[Hashable]) -> float:
    """Percentage of the most common label."""
    return 100 * max(Counter(gold).values()) / len(gold)


def _same(predicted: Iterable[Hashable]) -> bool:
    return len(set(predicted)) == 1
