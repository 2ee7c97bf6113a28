"""Unit columns for the rows of a question-answering split, and what a stored teacher says about them.

Made once per (split, pool, stored logits), kept beside the tokenised split and shared like it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Features, List, Value
from datasets.arrow_writer import ArrowWriter

from sgonz.train.alignment import Pool, Target, UnitColumns, Window, join, unit_columns
from sgonz.train.built_once import built_once
from sgonz.train.tasks.task import Columns, flat, list_lengths
from sgonz.train.teacher_cache import Entry
from sgonz.train.tokenise import Split, mapped
from sgonz.train.units import UNITS_VERSION, segment

VERSION = 1  # raised when the same rows and logits would give other columns
CHUNK = 500  # examples at a time

FEATURES = {
    "columns": List(Value("int16")),  # per position its column, -1 for none
    "char_start": List(Value("int32")),  # per column, -1 outside of the context
    "char_end": List(Value("int32")),
    "unit_start": Value("int32"),  # gold columns
    "unit_end": Value("int32"),
}
TAUGHT = {
    "taught": List(Value("bool")),  # per column, whether the teacher owns it too
    "teacher_start": List(Value("float32")),  # log-probabilities
    "teacher_end": List(Value("float32")),
}


def with_units(
    split: Split, cache: Path, *, pool: Pool, entry: Entry | None = None, entry_hash: str = ""
) -> tuple[Split, tuple[int, int]]:
    """The split with unit columns beside its rows; and how many context units both sides own, of how many."""
    identity = json.dumps([VERSION, UNITS_VERSION, split.key, pool if entry else None, entry_hash])
    key = hashlib.sha256(identity.encode()).hexdigest()[:24]

    def build(folder: Path) -> None:
        owned = total = 0
        features = Features(FEATURES | (TAUGHT if entry else {}))
        with ArrowWriter(path=str(folder / "units.arrow"), features=features) as writer:
            for examples, rows in chunks(split):
                columns: Columns = {name: [] for name in features}
                stored = entry.rows(examples.column("key").to_pylist()) if entry else np.empty(0)
                for at, windows in enumerate(rows):
                    example = {name: examples.column(name)[at].as_py() for name in examples.column_names}
                    if entry is None:
                        made: Sequence[UnitColumns] = plain(windows, example)
                    else:
                        targets = taught(entry, int(stored[at]), windows, example, pool)
                        owned, total, made = owned + targets[0].owned, total + targets[0].total, targets
                    for one in made:
                        add_row(columns, one, (example["answer_start"], example["answer_end"]))
                writer.write_batch(columns)
            writer.finalize()
        (folder / "coverage.json").write_text(json.dumps([owned, total]))

    folder = built_once(cache / "aligned" / key, build)
    owned, total = json.loads((folder / "coverage.json").read_text())
    return replace(split, beside=mapped(folder / "units.arrow")), (owned, total)


def chunks(split: Split) -> Iterator[tuple[pa.Table, list[list[Window]]]]:
    """Some examples at a time, with the windows of each; the rows of an example lie together, in its order."""
    owner = split.rows.data.column("example").to_numpy()
    count = len(split.examples)
    for first in range(0, count, CHUNK):
        end = min(first + CHUNK, count)
        rows = np.arange(*np.searchsorted(owner, [first, end]))
        windows: list[list[Window]] = [[] for _ in range(first, end)]
        for example, window in zip(owner[rows], windows_of(split.rows[rows]), strict=True):
            windows[example - first].append(window)
        yield split.examples[np.arange(first, end)], windows


def windows_of(table: pa.Table) -> list[Window]:
    """The rows of a table as windows."""
    borders = np.cumsum(list_lengths(table.column("input_ids")))[:-1]
    parts = [
        np.split(flat(table.column(name)), borders)
        for name in ("input_ids", "offset_start", "offset_end", "part")
    ]
    return [Window(*arrays) for arrays in zip(*parts, strict=True)]


def plain(windows: Sequence[Window], example: dict[str, Any]) -> list[UnitColumns]:
    units = segment(example["question"]), segment(example["context"])
    return [unit_columns(window, *units, example["question"], example["context"]) for window in windows]


def taught(
    entry: Entry, row: int, windows: Sequence[Window], example: dict[str, Any], pool: Pool
) -> list[Target]:
    return join(*entry.windows(row), windows, example["question"], example["context"], pool=pool)


def add_row(columns: Columns, made: UnitColumns, answer: tuple[int, int]) -> None:
    allowed = made.mask if isinstance(made, Target) else np.ones(made.width, dtype=bool)
    start, end = gold_columns(made, allowed, answer)
    values: dict[str, Any] = {
        "columns": made.columns, "char_start": made.char_start, "char_end": made.char_end,
        "unit_start": start, "unit_end": end,
    }  # fmt: skip
    if isinstance(made, Target):
        values |= {"taught": made.mask, "teacher_start": made.start, "teacher_end": made.end}
    for name, value in values.items():
        columns[name].append(value)


def gold_columns(made: UnitColumns, allowed: np.ndarray, answer: tuple[int, int]) -> tuple[int, int]:
    """The columns where the answer starts and ends; those of [CLS] where it is not wholly inside."""
    begin, stop = answer
    columns = np.flatnonzero(allowed & (made.char_start >= 0))
    starts, ends = made.char_start[columns], made.char_end[columns]
    if begin < 0 or not len(columns) or starts[0] > begin or ends[-1] < stop:
        return 0, 0
    start = columns[np.flatnonzero(starts <= begin)[-1]]
    end = columns[np.flatnonzero(ends >= stop)[0]]
    return int(start), int(max(start, end))
