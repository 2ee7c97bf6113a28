"""A run that stores a teacher's logits on the training split."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from transformers import PreTrainedConfig

from sgonz.events import Progress, RunEnded
from sgonz.plan.runs import Outcome, RunSpec
from sgonz.rundir import still_holds
from sgonz.train import batches, models, precision, preparation, tokenise
from sgonz.train.cache_format import Storage
from sgonz.train.checkpoint import TakenOver
from sgonz.train.inference import answering, say_ready
from sgonz.train.memory import in_fitting_parts
from sgonz.train.report import PROGRESS_EVERY
from sgonz.train.running import Running, Stopped
from sgonz.train.tasks.tagging import word_logits
from sgonz.train.tasks.task import Batch, Task, flat, list_lengths
from sgonz.train.teacher_cache import Writer, is_complete
from sgonz.train.tokenise import Split
from sgonz.train.unit_rows import windows_of

CHUNK = 2000  # examples at a time: enough to sort by length, few enough to hold their logits
OUTPUT_FIELDS = (
    "model_type",
    "hidden_act",
    "num_hidden_layers",
    "num_attention_heads",
    "hidden_size",
    "id2label",
)

Forward = Callable[[Batch], tuple[Batch, Any]]


def logits(running: Running) -> RunEnded:
    """Load the teacher, let it answer every training example once, and keep what it says."""
    spec, folder = running.spec, running.run.output / "logits"
    if is_complete(folder):
        return running.ended(notes=stored(folder))
    model, tokenizer, labels, _ = preparation.saved_model(running, "teacher")
    task = preparation.task_for(spec, model.config, tokenizer, labels)
    train = preparation.split(running, task, tokenizer, "train")
    arithmetic = precision.resolve(
        spec.precision, kind=spec.kind, switches=spec.switches, device=running.device
    )
    say_ready(running, model, arithmetic, len(train.rows))
    manifest = {
        "teacher": teacher_hash(running.run.workdir.run(spec.need("teacher")).output / "model", model.config),
        "data": hashlib.sha256(b"".join(train.examples.data.column("key").to_pylist())).hexdigest(),
        "tokenizer": models.tokenizer_hash(tokenizer),
        "preprocessing": preprocessing(spec, task),
        "precision": arithmetic,
        "counted": preparation.counted(train=train),
    }
    dtype: Storage = "float32" if spec.switches.get("logits_dtype") == "float32" else "float16"
    try:
        with Writer(folder, task=spec.dataset.task, labels=labels, dtype=dtype, manifest=manifest) as writer:
            fill(writer, running, task, train, answering(running, model, arithmetic))
            if not still_holds(running.run, running.attempt):
                raise TakenOver(f"attempt {running.attempt} no longer holds {spec.run_id}")
    except Stopped:
        return running.ended(Outcome.PREEMPTED)
    return running.ended(notes=stored(folder))


def preprocessing(spec: RunSpec, task: Task) -> dict[str, Any]:
    """Everything beside text and tokenizer that decides a row's pieces; equal on both sides for use token by token."""
    stripped = tokenise.strips_questions(spec.switches, spec.kind)
    return {"version": tokenise.VERSION, **task.parameters, "stripped": stripped}


def teacher_hash(folder: Path, config: PreTrainedConfig) -> str:
    """What the teacher's answers depend on: the bytes of its weights and its config's shape and labels."""
    digest = hashlib.sha256(
        json.dumps({name: getattr(config, name, None) for name in OUTPUT_FIELDS}).encode()
    )
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def stored(folder: Path) -> models.Notes:
    """What is noted of an entry, by whoever finds it whole: its writer may have been killed before it could say so."""
    manifest = json.loads((folder / "manifest.json").read_bytes())["manifest"]
    return manifest["source"].get("counted", {}) | {
        "precision": manifest["source"]["precision"],
        "cache_rows": manifest["rows"],
        "cache_bytes": sum(file.stat().st_size for file in folder.iterdir()),
    }


def fill(writer: Writer, running: Running, task: Task, train: Split, forward: Forward) -> None:
    """Write every example's logits, in the order of the split."""
    said, since = time.monotonic(), 0
    for examples, owners, rows, answers in answered(running, task, train, forward):
        for key, mine in zip(examples, owners, strict=True):
            add(writer, running.spec.dataset.task, key, rows, answers, mine)
        since += len(answers)
        if (now := time.monotonic()) - said > PROGRESS_EVERY:
            size = running.spec.settings.batch_size
            running.emit(
                Progress(time=time.time(), run_id=running.spec.run_id, epoch=1, step=-(-writer.examples // size),
                         steps=-(-len(train.examples) // size), loss=0.0, rows_per_second=since / (now - said))
            )  # fmt: skip
            said, since = now, 0


def answered(
    running: Running, task: Task, train: Split, forward: Forward
) -> Iterator[tuple[list[bytes], list[np.ndarray], pa.Table, list[Any]]]:
    """Some examples at a time: their keys, which of the rows belong to each, the rows, the logits of each row."""
    owner = train.rows.data.column("example").to_numpy()
    settings = running.spec.settings
    micro_batch = settings.batch_size

    def answer(part: np.ndarray) -> list[Any]:
        table = train.take(part)
        batch, outputs = forward(task.collate(table))
        return row_logits(running.spec.dataset.task, outputs, batch, table)

    for first in range(0, len(train.examples), CHUNK):
        end = min(first + CHUNK, len(train.examples))
        rows = np.arange(*np.searchsorted(owner, [first, end]))
        answers: list[Any] = [None] * len(rows)
        order = batches.order_of(running.spec.switches)
        for chosen in batches.reading_batches(
            train.lengths[rows], batch_size=settings.batch_size, order=order
        ):
            running.go_on()
            parts, micro_batch = in_fitting_parts(rows[chosen], micro_batch, answer, running.read_smaller)
            for at, row_answer in zip(chosen, chain.from_iterable(parts), strict=True):
                answers[at] = row_answer
        keys = train.examples[np.arange(first, end)].column("key").to_pylist()
        mine = [np.flatnonzero(owner[rows] == example) for example in range(first, end)]
        yield keys, mine, train.take(rows), answers


def row_logits(task: str, outputs: Any, batch: Batch, table: pa.Table) -> list[Any]:
    """What is kept of each row: logits [C], words and their logits [w, C], or start and end logits [S]."""
    if task == "classification":
        return list(outputs.logits.float().cpu().numpy())
    if task == "tagging":
        borders = np.cumsum(list_lengths(table.column("word")))[:-1]
        words = np.split(flat(table.column("word")), borders)
        return list(
            zip(words, np.split(word_logits(outputs, batch).float().cpu().numpy(), borders), strict=True)
        )
    starts, ends = outputs.start_logits.float().cpu().numpy(), outputs.end_logits.float().cpu().numpy()
    lengths = table.column("length").to_pylist()
    return [(starts[at, :length], ends[at, :length]) for at, length in enumerate(lengths)]


def add(writer: Writer, task: str, key: bytes, rows: pa.Table, answers: list[Any], mine: np.ndarray) -> None:
    """Hand one example, made of these rows, to the writer."""
    if task == "classification":
        writer.add_classification(key, answers[mine[0]])
    elif task == "tagging":
        words = np.concatenate([np.empty(0, dtype=np.int64), *(answers[at][0] for at in mine)]).astype(
            np.int64
        )
        values = np.concatenate([np.empty((0, len(writer.labels))), *(answers[at][1] for at in mine)])
        writer.add_tagging(key, values[np.argsort(words)])
    else:
        windows = windows_of(rows.take(mine))
        writer.add_question(key, windows, [answers[at][0] for at in mine], [answers[at][1] for at in mine])
