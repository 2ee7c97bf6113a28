"""Words with one tag each; a sentence too long for the model is read in windows over its words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import torch
from datasets import Features, List, Value
from torch import Tensor

from sgonz.plan.protocol import SwitchValue
from sgonz.plan.runs import Settings
from sgonz.train import flags, losses, metrics
from sgonz.train.alignment import max_context_windows, owned_words
from sgonz.train.examples import TaggedExample
from sgonz.train.tasks.task import IGNORED, Batch, Chunk, Columns, Feeding, flat, list_lengths, padded
from sgonz.train.teacher_cache import example_key

OVERLAP_WORDS = 64  # that two windows of one sentence share
PUBLISHED_WORDS = 128  # where the published distillation cut sentences
UNSCORED = -1  # a word beyond that cut


class Tagging:
    """Rows are windows of a sentence; each word is read from one of them, at its first piece.

    The loss counts words (pieces, where the published fine-tuning labels every one of them).
    """

    row_features = Features(
        {
            "input_ids": List(Value("int32")),
            "token_type_ids": List(Value("int8")),
            "length": Value("int32"),
            "count": Value("int32"),
            "example": Value("int32"),
            "word": List(Value("int32")),  # number of each word read here, in its sentence
            "first": List(Value("int32")),  # position of its first piece
            "tag": List(Value("int32")),
            "piece_tags": List(Value("int32")),  # empty where only first pieces are labelled
        }
    )
    example_features = Features({"key": Value("binary"), "tags": List(Value("int32"))})

    def __init__(
        self,
        labels: Sequence[str],
        feeding: Feeding,
        settings: Settings,
        *,
        switches: Mapping[str, SwitchValue],
        distilling: bool,
    ) -> None:
        self.labels, self.feeding, self.settings = tuple(labels), feeding, settings
        self.every_piece = switches.get("tagging_labels") == "all_pieces"
        self.cut = switches.get("tagging_length") == "cut"
        self.most_words = PUBLISHED_WORDS if self.cut and distilling else None
        self.parameters: Mapping[str, Any] = {
            "max_length": feeding.splitter.max_length, "overlap_words": OVERLAP_WORDS,
            "every_piece": self.every_piece, "cut": self.cut, "most_words": self.most_words,
        }  # fmt: skip

    def tokenise(self, examples: Sequence[TaggedExample], first: int) -> Chunk:
        ids = {label: at for at, label in enumerate(self.labels)}
        chunk = Chunk(rows={name: [] for name in self.row_features},
                      examples={name: [] for name in self.example_features})  # fmt: skip
        sentences = [example.words[: self.most_words] for example in examples]
        split = self.feeding.splitter.words(sentences)
        for at, (example, pieces) in enumerate(zip(examples, split, strict=True)):
            tags = [ids[tag] for tag in example.tags]
            chunk.examples["key"].append(example_key(example))
            chunk.examples["tags"].append(tags)
            windows = self.windows([len(word) for word in pieces])
            chunk.counts += Counter(windowed=int(len(windows) > 1))
            owned = windows if self.cut else owned_words(windows)
            for window, mine in zip(windows, owned, strict=True):
                self._add_row(chunk.rows, first + at, pieces, tags, window, mine)
            chunk.counts["words_cut"] += len(example.words) - (owned[-1][1] if owned else 0)
        return chunk

    def windows(self, piece_counts: Sequence[int]) -> list[tuple[int, int]]:
        """Windows over words; under the published rule a single one that ends where the model does."""
        room = self.feeding.splitter.max_length - self.feeding.splitter.single.length
        if not piece_counts:
            return []
        if not self.cut:
            return max_context_windows(piece_counts, room, OVERLAP_WORDS)
        begins = [0, *accumulate(piece_counts)][:-1]
        return [(0, sum(begin < room for begin in begins))]

    def _add_row(
        self,
        rows: Columns,
        example: int,
        pieces: Sequence[Sequence[int]],
        tags: Sequence[int],
        window: tuple[int, int],
        owned: tuple[int, int],
    ) -> None:
        frame = self.feeding.splitter.single
        room = self.feeding.splitter.max_length - frame.length
        begin = len(frame.specials[0])
        starts = list(accumulate((len(word) for word in pieces[slice(*window)]), initial=begin))
        inside = [piece for word in pieces[slice(*window)] for piece in word][:room]
        ids, types = frame.put(inside)
        words = range(*owned)
        piece_tags = [IGNORED] * (len(ids) if self.every_piece else 0)
        if self.every_piece:
            for word in words:
                at = starts[word - window[0]]
                until = min(at + len(pieces[word]), begin + len(inside))
                piece_tags[at:until] = [tags[word]] * (until - at)
        labelled = sum(tag != IGNORED for tag in piece_tags) if self.every_piece else len(words)
        values = (ids, types, len(ids), labelled, example, list(words),
                  [starts[word - window[0]] for word in words], [tags[word] for word in words], piece_tags)  # fmt: skip
        for name, value in zip(self.row_features, values, strict=True):
            rows[name].append(value)

    def collate(self, table: pa.Table) -> Batch:
        inputs = self.feeding.inputs(table)
        counts = list_lengths(table.column("first"))
        targets = {
            "row": torch.from_numpy(np.repeat(np.arange(len(counts)), counts)),  # [W]
            "position": torch.from_numpy(flat(table.column("first")).astype(np.int64)),
            "tag": torch.from_numpy(flat(table.column("tag")).astype(np.int64)),
        }
        if self.every_piece:
            width = inputs["input_ids"].shape[1]
            targets["piece_tags"] = torch.from_numpy(padded(table.column("piece_tags"), width, IGNORED))
        return Batch(inputs, targets, int(table.column("count").to_numpy().sum()))

    def gold_sum(self, outputs: Any, batch: Batch) -> Tensor:
        if self.every_piece:
            return losses.gold_sum(outputs.logits.flatten(0, 1), batch.targets["piece_tags"].flatten())[0]
        return losses.gold_sum(word_logits(outputs, batch), batch.targets["tag"])[0]

    def distilled_sum(self, outputs: Any, batch: Batch) -> Tensor:
        return losses.distillation_sum(word_logits(outputs, batch), batch.targets["teacher"],
                                       loss=self.settings.loss, temperature=self.settings.temperature)[0]  # fmt: skip

    def predictions(self, outputs: Any, batch: Batch, table: pa.Table) -> list[tuple[np.ndarray, np.ndarray]]:
        """Per row the words read there and the tag of each."""
        tags = word_logits(outputs, batch).argmax(dim=-1).cpu().numpy()
        ends = np.cumsum(list_lengths(table.column("word")))[:-1]
        words = np.split(flat(table.column("word")), ends)
        return list(zip(words, np.split(tags, ends), strict=True))

    def score(
        self, rows: datasets.Dataset, examples: datasets.Dataset, predictions: list[Any]
    ) -> tuple[dict[str, float], tuple[str, ...]]:
        gold = [np.asarray(tags, dtype=np.int64) for tags in examples.data.column("tags").to_pylist()]
        predicted = [np.full(len(tags), UNSCORED) for tags in gold]
        for example, (words, tags) in zip(rows.data.column("example").to_pylist(), predictions, strict=True):
            predicted[example][words] = tags
        names = np.asarray(self.labels, dtype=object)
        kept = [tags != UNSCORED for tags in predicted]
        gold_names = [names[tags[keep]].tolist() for tags, keep in zip(gold, kept, strict=True)]
        predicted_names = [names[tags[keep]].tolist() for tags, keep in zip(predicted, kept, strict=True)]
        scores = metrics.tagging_scores(gold_names, predicted_names)
        return scores, tuple(flags.run_flags("tagging", gold_names, predicted_names, scores))


def word_logits(outputs: Any, batch: Batch) -> Tensor:
    """Logits at the first piece of every word of the batch: [words, labels]."""
    return outputs.logits[batch.targets["row"], batch.targets["position"]]
