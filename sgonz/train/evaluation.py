"""One pass over a split without training: loss, scores and flags."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
import torch

from sgonz.train import batches
from sgonz.train.crew import Crew
from sgonz.train.memory import in_fitting_parts
from sgonz.train.tasks.task import Batch, Task
from sgonz.train.tokenise import Split


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a model is worth on a split; the loss is that of the gold labels alone."""

    loss: float
    scores: dict[str, float]
    flags: tuple[str, ...]

    def value(self, criterion: str) -> float:
        """The loss, or the score that is chosen by."""
        name = criterion.removeprefix("validation_")
        return self.loss if name == "loss" else self.scores[name]


def always() -> None:
    """Never leave."""


def unheard(micro_batch: int) -> None:
    """Nobody asks."""


@dataclass(frozen=True, kw_only=True)
class Pass:
    """How to go over a split."""

    batch_size: int
    order: batches.Order
    mean_of_batches: bool = False  # published: a short last batch weighs as much as a full one
    go_on: Callable[[], None] = always  # raises to leave in the middle
    crew: Crew = field(default_factory=Crew)  # among whom the batches are dealt out
    shrunk: Callable[[int], None] = unheard  # told of every smaller part that memory makes it try


@torch.no_grad()
def evaluate(
    task: Task, forward: Callable[[Batch], Any], split: Split, going: Pass, *, micro_batch: int
) -> Evaluation:
    """Loss and scores over every row; `forward` moves a batch to the device and returns the model's outputs.

    Where memory runs out, this and the following batches are read in smaller parts.
    """
    predictions: list[Any] = [None] * len(split.rows)
    sums, counts = [], []

    def read(part: np.ndarray) -> tuple[float, int, np.ndarray, list[Any]]:
        table = split.take(part)
        batch, outputs = forward(task.collate(table))
        found = task.predictions(outputs, batch, table)
        return task.gold_sum(outputs, batch).item(), batch.count, part, list(found)

    every = batches.reading_batches(split.lengths, batch_size=going.batch_size, order=going.order)
    mine = []
    for number, rows, counts_here in going.crew.deal(every):
        going.go_on()
        parts, micro_batch = in_fitting_parts(
            rows, micro_batch, read, going.shrunk, repeat=going.crew.is_alone
        )
        mine += [(number, parts)] if counts_here else []
    for _, parts in sorted(chain(*going.crew.gathered(mine)), key=itemgetter(0)):
        for _, _, part, found in parts:
            for row, prediction in zip(part, found, strict=True):
                predictions[row] = prediction
        sums.append(math.fsum(loss for loss, *_ in parts))
        counts.append(sum(count for _, count, *_ in parts))
    scores, flags = task.score(split.rows, split.examples, predictions)
    return Evaluation(loss=mean_loss(sums, counts, going.mean_of_batches), scores=scores, flags=flags)


def mean_loss(sums: list[float], counts: list[int], of_batches: bool) -> float:
    """The mean over rows, or the mean of batch means; NaN where no row has a label."""
    if not sum(counts):
        return math.nan
    if not of_batches:
        return math.fsum(sums) / sum(counts)
    return float(np.mean([total / count for total, count in zip(sums, counts, strict=True) if count]))
