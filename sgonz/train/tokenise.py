"""Tokenised splits on the shared disk: built once under a lock, mapped into memory by every run that asks.

A split is two tables: `rows` (what a model is fed: examples, or windows of them) and `examples` (what is
scored). Both are Arrow files in one folder, which is renamed into place when it is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
from datasets.arrow_writer import ArrowWriter

from sgonz import catalog
from sgonz.errors import DataError
from sgonz.plan.protocol import SwitchValue
from sgonz.plan.runs import Dataset
from sgonz.train import readers
from sgonz.train.built_once import built_once
from sgonz.train.examples import Reading
from sgonz.train.tasks.task import Task
from sgonz.workdir.fingerprints import FINGERPRINTS, Fingerprints

VERSION = 1  # raised when the same text and tokenizer would give other rows
CHUNK = 1000  # examples at a time: bounds memory, and keeps the tokenizer's batches long
READING_SWITCHES = ("qa_answers", "test_overlap", "placeholder_rows")


@dataclass(frozen=True)
class Split:
    """One split, tokenised and mapped; `beside` holds more columns for the same rows."""

    key: str
    rows: datasets.Dataset
    examples: datasets.Dataset
    notes: Mapping[str, int]
    beside: datasets.Dataset | None = field(default=None)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Tokens of every row."""
        return self.rows.data.column("length").to_numpy()

    @cached_property
    def counts(self) -> np.ndarray:
        """How often every row counts in the loss: once, or for each of its words."""
        return self.rows.data.column("count").to_numpy()

    def take(self, rows: np.ndarray) -> pa.Table:
        """Some rows, in the order asked for."""
        table = self.rows[rows]
        if self.beside is not None:
            more = self.beside[rows]
            for name in more.column_names:
                table = table.append_column(name, more.column(name))
        return table


def tokenised(
    dataset: Dataset,
    split: str,
    task: Task,
    *,
    switches: Mapping[str, SwitchValue],
    kind: str,
    tokenizer: str,
    cache: Path,
) -> Split:
    """One split as this task and tokenizer (its hash) cut it, built now if nobody has yet."""
    identity = [VERSION, content(dataset), split, dataset.limit.get(split), tokenizer, task.labels,
                dict(task.parameters), reading_choices(switches, kind)]  # fmt: skip
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:24]

    def build(folder: Path) -> None:
        check_unchanged(dataset, split, cache)
        reading = readers.read(dataset, split, switches, kind=kind)
        counts: Counter[str] = Counter()
        with (
            ArrowWriter(path=str(folder / "rows.arrow"), features=task.row_features) as rows,
            ArrowWriter(path=str(folder / "examples.arrow"), features=task.example_features) as examples,
        ):
            for first in range(0, len(reading.examples), CHUNK):
                chunk = task.tokenise(reading.examples[first : first + CHUNK], first)
                rows.write_batch(chunk.rows)
                examples.write_batch(chunk.examples)
                counts += chunk.counts
            rows.finalize()
            examples.finalize()
        for warning in unlike_published(dataset, split, reading):
            print(f"warning: {warning}", file=sys.stderr)
        notes = {"rows_read": reading.rows, "examples": len(reading.examples)}
        notes |= {f"dropped: {reason}": many for reason, many in reading.dropped.items()}
        notes |= {f"remark: {remark}": many for remark, many in reading.remarks.items()}
        (folder / "notes.json").write_text(json.dumps(notes | counts))

    folder = built_once(cache / "tokenised" / key, build)
    return Split(
        key=key,
        rows=mapped(folder / "rows.arrow"),
        examples=mapped(folder / "examples.arrow"),
        notes=json.loads((folder / "notes.json").read_text()),
    )


def check_unchanged(dataset: Dataset, split: str, cache: Path) -> None:
    """Raise DataError where the files hold something else than when the run was planned: it would pass for that."""
    if not dataset.files or not dataset.fingerprint:
        return
    if Fingerprints(cache / FINGERPRINTS).of_dataset(dataset.files) != dataset.fingerprint:
        raise DataError(
            dataset.files[split], None, f"the files of data set {dataset.name} are not those that this run was planned with",
            hint="Put those back and `sgonz retry`; or `sgonz run` the sweep again, which plans new runs for what they hold now.",
        )  # fmt: skip


def unlike_published(dataset: Dataset, split: str, reading: Reading) -> list[str]:
    """How a hub's data set differs from the published one; files were compared before anything was sent."""
    published = catalog.datasets().get(dataset.catalog or "")
    if published is None or not dataset.hub:
        return []
    sizes = {str(name): (size, *published.also.get(name, ())) for name, size in published.sizes.items()}
    return readers.differences(dataset, split, reading, sizes)


def mapped(file: Path) -> datasets.Dataset:
    """An Arrow file, mapped into memory; rows come out as Arrow tables."""
    return datasets.Dataset.from_file(str(file)).with_format("arrow")


def content(dataset: Dataset) -> Any:
    """What the data set's text depends on: its fingerprint, or its files' names, sizes and times."""
    if dataset.fingerprint:
        return [dataset.fingerprint, dataset.format, dataset.language]
    if dataset.files:
        stats = {split: os.stat(path) for split, path in dataset.files.items()}
        return [
            [split, dataset.files[split], stat.st_size, stat.st_mtime_ns] for split, stat in stats.items()
        ]
    return [dataset.hub, dataset.hub_config, dataset.revision, dataset.hub_splits]


def reading_choices(switches: Mapping[str, SwitchValue], kind: str) -> dict[str, SwitchValue]:
    """The switches that change which examples a reader gives, and whether it strips questions."""
    choices = {name: switches[name] for name in READING_SWITCHES if name in switches}
    return choices | {"stripped": int(strips_questions(switches, kind))}


def strips_questions(switches: Mapping[str, SwitchValue], kind: str) -> bool:
    """Whether spaces before a question go: always, or as published only where logits are concerned."""
    return switches.get("qa_questions") != "published" or kind in ("distill", "logits")
