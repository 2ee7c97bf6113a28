"""A run that trains a student on a teacher's stored logits; the teacher itself is never loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from sgonz.errors import RunError
from sgonz.events import RunEnded
from sgonz.plan.runs import RunSpec
from sgonz.train import loop, models, preparation
from sgonz.train.alignment import UNOWNED, Pool, check_coverage
from sgonz.train.cache_format import CorruptEntry
from sgonz.train.logits import preprocessing
from sgonz.train.needs import made_again
from sgonz.train.running import Running
from sgonz.train.step import Teach
from sgonz.train.tasks.task import Batch, Task, flat, list_lengths, padded
from sgonz.train.teacher_cache import Entry, permutation
from sgonz.train.tokenise import Split
from sgonz.train.unit_rows import with_units

# What rows of logits are matched by where nothing can be missing: another count of words, or other pieces, is an error.
ALIGNED_BY = {"classification": "examples", "tagging": "words", "qa": "tokens"}


def distill(running: Running) -> RunEnded:
    """Load the student, open the stored logits, line them up, then train."""
    return loop.train(prepare(running))


def prepare(running: Running) -> loop.Training:
    """All that the loop needs."""
    spec = running.spec
    entry = stored_logits(running)
    labels = preparation.labels(spec)
    tokenizer = preparation.tokenizer_of(spec, spec.model)
    preparation.check_unchanged(spec.model, running.run.workdir.cache)
    model, notes = preparation.new_model(spec, labels, tokenizer)
    task = preparation.task_for(spec, model.config, tokenizer, labels)
    units = None if by_token(spec, entry, task, tokenizer) else spec.settings.pool
    if units:
        model.config.sgonz = preparation.record(spec, units)
        task = preparation.task_for(spec, model.config, tokenizer, labels, units)
    train = preparation.split(running, task, tokenizer, "train")
    validation = preparation.split(running, task, tokenizer, "validation")
    notes |= preparation.counted(train=train, validation=validation)
    notes |= {"alignment": "units" if units else ALIGNED_BY[spec.dataset.task], "coverage": 1.0}
    if units:
        train, (owned, total) = with_stored_units(running, train, entry, units)
        validation, _ = with_units(validation, running.run.workdir.cache, pool=units)
        notes |= {"coverage": owned / max(total, 1), "units_aligned": owned, "units": total}
    return loop.Training(
        running=running, task=task, model=model, tokenizer=tokenizer, train=train, validation=validation,
        teach=teacher(spec, entry, train, labels, units), notes=notes,
    )  # fmt: skip


def stored_logits(running: Running) -> Entry:
    """The teacher's logits. Raises NotYet where they are damaged or gone."""
    logits = running.run.workdir.run(running.spec.need("logits"))
    folder = logits.output / "logits"
    try:
        return Entry.open(folder)
    except CorruptEntry as damage:
        raise made_again(running, logits, folder, damage.message) from damage


def by_token(spec: RunSpec, entry: Entry, task: Task, tokenizer: PreTrainedTokenizerFast) -> bool:
    """Whether the student's columns are the teacher's own: always so for examples and for words.

    For questions that takes one tokenizer, and windows that are cut alike.
    """
    if spec.dataset.task != "qa":
        return True
    stored = entry.manifest
    return (
        spec.settings.alignment == "auto"
        and stored["tokenizer"] == models.tokenizer_hash(tokenizer)
        and stored["preprocessing"] == preprocessing(spec, task)
    )


def with_stored_units(
    running: Running, train: Split, entry: Entry, pool: Pool
) -> tuple[Split, tuple[int, int]]:
    """The training rows joined with the teacher's windows; how many context units both sides own, of how many.

    Raises RunError where these are too few to teach by.
    """
    if running.spec.settings.loss == "mse":
        raise RunError("loss mse needs teacher and student to share vocabulary and windows in question answering",
                       hint="Use kl or ce, or a teacher with the student's tokenizer, max_length and overlap.")  # fmt: skip
    manifest = running.run.workdir.run(running.spec.need("logits")).output / "logits" / "manifest.json"
    train, (owned, total) = with_units(
        train, running.run.workdir.cache, pool=pool, entry=entry,
        entry_hash=hashlib.sha256(manifest.read_bytes()).hexdigest(),
    )  # fmt: skip
    taught_by = running.spec.teacher.name if running.spec.teacher else "the teacher"
    check_coverage(owned, total, teacher=taught_by, student=running.spec.model.name)
    return train, (owned, total)


def teacher(spec: RunSpec, entry: Entry, train: Split, labels: Sequence[str], units: Pool | None) -> Teach:
    """The function that lays the teacher's logits beside a batch."""
    stored = entry.rows(train.examples.data.column("key").to_pylist())  # raises where an example is missing
    if spec.dataset.task == "qa":
        return question_teacher(entry, stored, units)
    order = permutation(entry.labels, labels)
    columns = slice(None) if order is None else order
    if spec.dataset.task == "classification":
        return lambda batch, table: beside(batch, entry.classification(stored[owner(table)])[:, columns])
    check_words(entry, stored, train)

    def teach_words(batch: Batch, table: pa.Table) -> Batch:
        words = table.column("word")
        logits = entry.tagging(stored[owner(table)], list_lengths(words), flat(words))
        return beside(batch, logits[:, columns])

    return teach_words


def owner(table: pa.Table) -> np.ndarray:
    return table.column("example").to_numpy()


def beside(batch: Batch, logits: np.ndarray) -> Batch:
    """The batch with logits [rows, C] as its target, in float32."""
    # torch widens half numbers many times as fast as numpy.
    targets = batch.targets | {"teacher": torch.from_numpy(np.ascontiguousarray(logits)).float()}
    return replace(batch, targets=targets, entries=logits.size)


def check_words(entry: Entry, stored: np.ndarray, train: Split) -> None:
    """Both sides must have read the same number of words of every sentence."""
    mine = np.zeros(len(train.examples), dtype=np.int64)
    rows = train.rows.data
    np.add.at(mine, rows.column("example").to_numpy(), list_lengths(rows.column("word")))
    wrong = np.flatnonzero(entry.word_counts(stored) < mine)
    if len(wrong):
        raise RunError(f"sentence {wrong[0] + 1} of the training split has {mine[wrong[0]]} words here and "
                       f"{entry.word_counts(stored[wrong[:1]])[0]} in the stored logits",
                       hint="Teacher and student must read the same words: compare their tagging_length.")  # fmt: skip


def question_teacher(entry: Entry, stored: np.ndarray, units: Pool | None) -> Teach:
    """By units the logits lie beside the rows already; by tokens they come from the entry, ids compared."""

    def teach_units(batch: Batch, table: pa.Table) -> Batch:
        width = batch.targets["mask"].shape[1]
        sides = {
            f"teacher_{side}": sided(table.column(f"teacher_{side}"), width) for side in ("start", "end")
        }
        return replace(batch, targets=batch.targets | sides)

    def teach_tokens(batch: Batch, table: pa.Table) -> Batch:
        width = batch.inputs["input_ids"].shape[1]
        start, end = (np.zeros((len(table), width), dtype=np.float32) for _ in range(2))
        for at, (example, window) in enumerate(
            zip(owner(table), table.column("window").to_pylist(), strict=True)
        ):
            windows, starts, ends = entry.windows(int(stored[example]))
            ids = table.column("input_ids")[at].values.to_numpy()
            if window >= len(windows) or not np.array_equal(windows[window].ids, ids):
                raise RunError(f"question {example + 1} of the training split has other pieces in the stored logits",
                               hint="Store the teacher's logits again, or set alignment = 'word'.")  # fmt: skip
            start[at, : len(ids)], end[at, : len(ids)] = starts[window], ends[window]
        real = batch.inputs["attention_mask"].bool()  # the entry knows nothing of padding
        entries = int((batch.targets["mask"] & real).sum())
        sides: dict[str, Tensor] = {"teacher_start": torch.from_numpy(start), "teacher_end": torch.from_numpy(end),
                                    "taught_columns": real}  # fmt: skip
        return replace(batch, targets=batch.targets | sides, entries=entries)

    return teach_units if units else teach_tokens


def sided(column: pa.ChunkedArray, width: int) -> Tensor:
    return torch.from_numpy(padded(column, width, UNOWNED, np.float32))
