"""What every task type offers to the loop: rows for a model, batches of them, losses, predictions, scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import datasets
import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from sgonz.train import batches
from sgonz.train.pieces import Splitter

IGNORED = -100  # a label that no loss looks at
Columns = dict[str, list[Any]]


@dataclass
class Chunk:
    """Some examples, tokenised: columns of the two tables, and what was counted on the way."""

    rows: Columns
    examples: Columns
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Batch:
    """Rows on their way through a model."""

    inputs: dict[str, Tensor]  # [B, S] each
    targets: dict[str, Tensor]  # what the loss compares with
    count: int  # rows of the loss: examples, words or windows
    entries: int = 0  # logits in them that have a teacher's beside them

    def to(self, device: torch.device) -> Batch:
        return replace(
            self,
            inputs={name: tensor.to(device, non_blocking=True) for name, tensor in self.inputs.items()},
            targets={name: tensor.to(device, non_blocking=True) for name, tensor in self.targets.items()},
        )


@dataclass(frozen=True, kw_only=True)
class Feeding:
    """How rows become the tensors of one model."""

    splitter: Splitter
    pad: int
    segments: bool  # whether the model takes token_type_ids
    order: batches.Order

    def inputs(self, table: pa.Table) -> dict[str, Tensor]:
        """input_ids, attention_mask and, where the model has segments, token_type_ids: [B, S] int64."""
        lengths = table.column("length").to_numpy()
        width = batches.width(lengths, order=self.order, limit=self.splitter.max_length)
        inputs = {
            "input_ids": torch.from_numpy(padded(table.column("input_ids"), width, self.pad)),
            "attention_mask": torch.from_numpy((np.arange(width) < lengths[:, None]).astype(np.int64)),
        }
        if self.segments:
            inputs["token_type_ids"] = torch.from_numpy(padded(table.column("token_type_ids"), width, 0))
        return inputs


class Task(Protocol):
    """One task type for one model's tokenizer and one label list."""

    labels: tuple[str, ...]
    row_features: datasets.Features
    example_features: datasets.Features
    parameters: Mapping[str, Any]  # what, beside text and tokenizer, decides the rows

    def tokenise(self, examples: Sequence[Any], first: int) -> Chunk:
        """Rows and scored examples of some examples, the first of which has this number."""
        ...

    def collate(self, table: pa.Table) -> Batch:
        """Rows as tensors."""
        ...

    def gold_sum(self, outputs: Any, batch: Batch) -> Tensor:
        """Cross-entropy with the gold labels, summed over the batch's count."""
        ...

    def distilled_sum(self, outputs: Any, batch: Batch) -> Tensor:
        """Loss against the teacher's logits in the batch's targets, summed over the batch's count."""
        ...

    def predictions(self, outputs: Any, batch: Batch, table: pa.Table) -> list[Any]:
        """What the model says of each row, small enough to keep for a whole split."""
        ...

    def score(
        self, rows: datasets.Dataset, examples: datasets.Dataset, predictions: list[Any]
    ) -> tuple[dict[str, float], tuple[str, ...]]:
        """Scores in percent, and flags, of predictions for every row in order."""
        ...


def flat(column: pa.ChunkedArray) -> np.ndarray:
    """The values of a column of lists, end to end."""
    return pa.concat_arrays([chunk.flatten() for chunk in column.chunks]).to_numpy(zero_copy_only=False)


def list_lengths(column: pa.ChunkedArray) -> np.ndarray:
    return np.concatenate([chunk.value_lengths().to_numpy(zero_copy_only=False) for chunk in column.chunks])


def padded(column: pa.ChunkedArray, width: int, fill: int | float, dtype: Any = np.int64) -> np.ndarray:
    """A column of lists as one array [B, width], filled up on the right."""
    lengths = list_lengths(column)
    filled = np.full((len(lengths), width), fill, dtype=dtype)
    filled[np.arange(width) < lengths[:, None]] = flat(column)
    return filled
