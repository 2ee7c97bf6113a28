"""Questions answered by a span of a context, read in windows of tokens; columns are positions, or units of text."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import torch
from datasets import Features, List, Value
from torch import Tensor

from sgonz.errors import RunError
from sgonz.plan.protocol import SwitchValue
from sgonz.plan.runs import Settings
from sgonz.train import flags, losses, metrics
from sgonz.train.alignment import CONTEXT, QUESTION, SPECIAL, Pool
from sgonz.train.examples import QuestionExample
from sgonz.train.pieces import Offsets
from sgonz.train.qa_spans import SpanWindow, best_answer
from sgonz.train.tasks.task import Batch, Chunk, Columns, Feeding, flat, list_lengths, padded
from sgonz.train.teacher_cache import example_key
from sgonz.train.unit_pool import pool_units

CLS = 0  # position and column of [CLS], where a window without the answer points
NOWHERE = (-1, -1)  # an answer without a place in its context


class Questions:
    """Rows are windows; the loss counts them and is the mean of the start's and the end's.

    With `units` a column is a unit of the raw text, and rows must come with their unit columns beside them.
    """

    row_features = Features(
        {
            "input_ids": List(Value("int32")),
            "token_type_ids": List(Value("int8")),
            "length": Value("int32"),
            "count": Value("int32"),
            "example": Value("int32"),
            "window": Value("int32"),  # number of this window in its example
            "offset_start": List(Value("int32")),
            "offset_end": List(Value("int32")),
            "part": List(Value("int8")),
            "start": Value("int32"),  # gold positions
            "end": Value("int32"),
        }
    )
    example_features = Features(
        {
            "key": Value("binary"),
            "id": Value("string"),
            "question": Value("large_string"),
            "context": Value("large_string"),
            "answers": List(Value("large_string")),
            "answer_start": Value("int32"),  # characters of the answer to train on; -1 for none
            "answer_end": Value("int32"),
        }
    )
    labels: tuple[str, ...] = ()

    def __init__(
        self,
        feeding: Feeding,
        settings: Settings,
        *,
        switches: Mapping[str, SwitchValue],
        answer_limit: int,
        units: Pool | None = None,
    ) -> None:
        self.feeding, self.settings, self.answer_limit, self.units = feeding, settings, answer_limit, units
        self.whole_row = switches.get("qa_columns") == "all"
        self.parameters: Mapping[str, Any] = {
            "max_length": feeding.splitter.max_length,
            "overlap": settings.overlap,
        }

    def tokenise(self, examples: Sequence[QuestionExample], first: int) -> Chunk:
        chunk = Chunk(rows={name: [] for name in self.row_features},
                      examples={name: [] for name in self.example_features})  # fmt: skip
        questions = self.feeding.splitter.texts([example.question for example in examples])
        contexts = self.feeding.splitter.texts([example.context for example in examples])
        for at, example in enumerate(examples):
            answer = span_of(example)
            values = (example_key(example), example.id, example.question, example.context,
                      [text for text, _ in example.answers], *answer)  # fmt: skip
            for name, value in zip(self.example_features, values, strict=True):
                chunk.examples[name].append(value)
            chunk.counts += self._add_windows(chunk.rows, first + at, questions[at], contexts[at], answer)
        return chunk

    def _add_windows(
        self,
        rows: Columns,
        example: int,
        question: tuple[list[int], Offsets],
        context: tuple[list[int], Offsets],
        answer: tuple[int, int],
    ) -> Counter[str]:
        frame = self.feeding.splitter.pair
        free, overlap = self.feeding.splitter.max_length - frame.length, self.settings.overlap
        most = free - overlap - 1  # so that every window brings at least one new piece of the context
        if most < 1:
            raise RunError(
                f"max_length {self.feeding.splitter.max_length} leaves no room for an overlap of {overlap}",
                hint="Raise max_length or lower overlap.",
            )
        asked, asked_spans = question[0][:most], question[1][:most]
        begin = len(frame.specials[0]) + len(asked) + len(frame.specials[1])
        for number, (first, end) in enumerate(token_windows(len(context[0]), free - len(asked), overlap)):
            ids, types = frame.put(asked, context[0][first:end])
            spans = context[1][first:end]
            offsets = [(0, 0)] * len(ids)
            part = [SPECIAL] * len(ids)
            for place, inside, what in (
                (len(frame.specials[0]), asked_spans, QUESTION),
                (begin, spans, CONTEXT),
            ):
                offsets[place : place + len(inside)] = inside
                part[place : place + len(inside)] = [what] * len(inside)
            gold = gold_positions(spans, answer)
            start, stop = (CLS, CLS) if gold is None else (gold[0] + begin, gold[1] + begin)
            values = (ids, types, len(ids), 1, example, number, [start for start, _ in offsets],
                      [end for _, end in offsets], part, start, stop)  # fmt: skip
            for name, value in zip(self.row_features, values, strict=True):
                rows[name].append(value)
        return Counter(questions_cut=int(len(question[0]) > most), windows=number + 1)

    def collate(self, table: pa.Table) -> Batch:
        inputs = self.feeding.inputs(table)
        targets = {
            name: torch.from_numpy(
                table.column(f"unit_{name}" if self.units else name).to_numpy().astype(np.int64)
            )
            for name in ("start", "end")
        }
        width = inputs["input_ids"].shape[1]
        if self.units:
            columns = padded(table.column("columns"), width, -1)
            targets["columns"] = torch.from_numpy(columns)
            if "taught" in table.column_names:  # the units that the teacher owns too
                targets["mask"] = torch.from_numpy(
                    padded(table.column("taught"), unit_width(table), False, bool)
                )
        elif self.whole_row:
            targets["mask"] = torch.ones(len(table), width, dtype=torch.bool)
        else:
            parts = padded(table.column("part"), width, SPECIAL)
            parts[:, CLS] = QUESTION
            targets["mask"] = torch.from_numpy(parts != SPECIAL)
        return Batch(inputs, targets, len(table))

    def columns(self, outputs: Any, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Start and end logits over the columns, and which columns are allowed: [B, K] each."""
        start, end = outputs.start_logits, outputs.end_logits
        if self.units is None:
            return start, end, batch.targets["mask"]
        at = batch.targets["columns"]
        width = batch.targets["mask"].shape[1] if "mask" in batch.targets else int(at.max()) + 1
        start, owned = pool_units(start, at, width, self.units, "start")
        end, _ = pool_units(end, at, width, self.units, "end")
        return start, end, batch.targets.get("mask", owned)

    def gold_sum(self, outputs: Any, batch: Batch) -> Tensor:
        start, end, mask = self.columns(outputs, batch)
        start_sum, _ = losses.gold_sum(start, batch.targets["start"], mask)
        end_sum, _ = losses.gold_sum(end, batch.targets["end"], mask)
        return (start_sum + end_sum) / 2

    def distilled_sum(self, outputs: Any, batch: Batch) -> Tensor:
        start, end, mask = self.columns(outputs, batch)
        if "taught_columns" in batch.targets:
            mask = mask & batch.targets["taught_columns"]
        sums = [
            losses.distillation_sum(
                student, batch.targets[f"teacher_{side}"], loss=self.settings.loss, mask=mask,
                temperature=self.settings.temperature, teacher_is_log_probs=self.units is not None,
            )[0]
            for side, student in (("start", start), ("end", end))
        ]  # fmt: skip
        return (sums[0] + sums[1]) / 2

    def predictions(self, outputs: Any, batch: Batch, table: pa.Table) -> list[SpanWindow]:
        start, end, _ = self.columns(outputs, batch)
        starts, ends = start.float().cpu().numpy(), end.float().cpu().numpy()
        names = ("char_start", "char_end") if self.units else ("offset_start", "offset_end")
        lengths = list_lengths(table.column(names[0]))
        borders = np.cumsum(lengths)[:-1]
        offsets = np.split(np.stack([flat(table.column(name)) for name in names], axis=1), borders)
        if self.units:
            inside = [offset[:, 0] >= 0 for offset in offsets]
        else:
            inside = np.split(flat(table.column("part")) == CONTEXT, borders)
        return [
            SpanWindow(start_logits=starts[at, :length].copy(), end_logits=ends[at, :length].copy(),
                       offsets=offsets[at], in_context=inside[at])
            for at, length in enumerate(lengths)
        ]  # fmt: skip

    def score(
        self, rows: datasets.Dataset, examples: datasets.Dataset, predictions: list[SpanWindow]
    ) -> tuple[dict[str, float], tuple[str, ...]]:
        windows: dict[int, list[SpanWindow]] = defaultdict(list)
        for example, window in zip(rows.data.column("example").to_pylist(), predictions, strict=True):
            windows[example].append(window)
        contexts, golds = (examples.data.column(name).to_pylist() for name in ("context", "answers"))
        texts = [
            best_answer(windows[at], context, n_best=self.settings.n_best, limit=self.answer_limit)
            for at, context in enumerate(contexts)
        ]
        scores = metrics.question_scores(texts, golds)
        return scores, tuple(flags.run_flags("qa", golds, texts, scores))


def span_of(example: QuestionExample) -> tuple[int, int]:
    """Characters [start, end) of the answer to train on: the first listed; NOWHERE if it has no place."""
    if not example.answers or example.answers[0][1] < 0:
        return NOWHERE
    text, start = example.answers[0]
    return start, start + len(text)


def token_windows(count: int, room: int, overlap: int) -> list[tuple[int, int]]:
    """Pieces [first, end) of every window over a context: at least one window, the last ends where the context does."""
    windows = [(0, min(room, count))]
    while windows[-1][1] < count:
        first = windows[-1][1] - overlap
        windows.append((first, min(first + room, count)))
    return windows


def gold_positions(spans: Offsets, answer: tuple[int, int]) -> tuple[int, int] | None:
    """First and last piece of the answer among a window's context pieces; None if it is not wholly inside.

    The start is the last piece that begins at or before the answer, the end the first that ends at or after it.
    """
    begin, stop = answer
    if answer == NOWHERE or not spans or spans[0][0] > begin or spans[-1][1] < stop:
        return None
    start = max(at for at, (piece_start, _) in enumerate(spans) if piece_start <= begin)
    end = min(at for at, (_, piece_end) in enumerate(spans) if piece_end >= stop)
    return start, max(start, end)  # pieces of one character share its span, and cross over


def unit_width(table: pa.Table) -> int:
    return int(list_lengths(table.column("char_start")).max())
