"""One text or a pair of texts, one label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import torch
from datasets import Features, List, Value
from torch import Tensor

from sgonz.plan.runs import Settings
from sgonz.train import flags, losses, metrics, readers
from sgonz.train.examples import TextExample
from sgonz.train.tasks.task import Batch, Chunk, Feeding
from sgonz.train.teacher_cache import example_key


class Classification:
    """Rows are examples; the loss counts them."""

    row_features = Features(
        {
            "input_ids": List(Value("int32")),
            "token_type_ids": List(Value("int8")),
            "length": Value("int32"),
            "count": Value("int32"),
            "example": Value("int32"),
            "label": Value("int32"),
        }
    )
    example_features = Features(
        {"key": Value("binary"), "label": Value("int32"), "placeholder": Value("bool")}
    )

    def __init__(self, labels: Sequence[str], feeding: Feeding, settings: Settings) -> None:
        self.labels, self.feeding, self.settings = tuple(labels), feeding, settings
        self.parameters: Mapping[str, Any] = {"max_length": feeding.splitter.max_length}

    def tokenise(self, examples: Sequence[TextExample], first: int) -> Chunk:
        paired = examples[0].pair is not None
        framed = self.feeding.splitter.framed(
            [(example.text, example.pair or "") if paired else example.text for example in examples]
        )
        labels = [self.labels.index(example.label) for example in examples]
        count = len(examples)
        return Chunk(
            rows={
                "input_ids": [ids for ids, _ in framed],
                "token_type_ids": [types for _, types in framed],
                "length": [len(ids) for ids, _ in framed],
                "count": [1] * count,
                "example": list(range(first, first + count)),
                "label": labels,
            },
            examples={
                "key": [example_key(example) for example in examples],
                "label": labels,
                "placeholder": [readers.is_placeholder(example) for example in examples],
            },
        )

    def collate(self, table: pa.Table) -> Batch:
        labels = table.column("label").to_numpy().astype(np.int64)
        return Batch(self.feeding.inputs(table), {"label": torch.from_numpy(labels)}, len(labels))

    def gold_sum(self, outputs: Any, batch: Batch) -> Tensor:
        return losses.gold_sum(outputs.logits, batch.targets["label"])[0]

    def distilled_sum(self, outputs: Any, batch: Batch) -> Tensor:
        return losses.distillation_sum(outputs.logits, batch.targets["teacher"], loss=self.settings.loss,
                                       temperature=self.settings.temperature)[0]  # fmt: skip

    def predictions(self, outputs: Any, batch: Batch, table: pa.Table) -> list[int]:
        return outputs.logits.argmax(dim=-1).tolist()

    def score(
        self, rows: datasets.Dataset, examples: datasets.Dataset, predictions: list[int]
    ) -> tuple[dict[str, float], tuple[str, ...]]:
        gold = examples.data.column("label").to_pylist()
        scores = metrics.classification_scores(gold, predictions)
        real = ~examples.data.column("placeholder").to_numpy()
        if not real.all():
            without = metrics.classification_scores(
                np.asarray(gold)[real].tolist(), np.asarray(predictions)[real].tolist()
            )
            scores["accuracy_without_placeholders"] = without["accuracy"]
        return scores, tuple(flags.run_flags("classification", gold, predictions, scores))
