"""From a teacher's outputs to a student's targets: every word hears what was said of it, whatever the two vocabularies."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from aligned_texts import ODD, WORDS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sgonz.plan.runs import Kind
from sgonz.train import distill, preparation
from sgonz.train.examples import TaggedExample
from sgonz.train.logits import add, answered
from sgonz.train.tasks.task import Batch, Task
from sgonz.train.teacher_cache import Entry, Writer
from sgonz.train.tokenise import Split

LABELS = ("O", "B-LOC", "B-ANI")
FAMILIES = ("bert", "roberta", "albert")
# As files give them: no spaces inside, but multi-word tokens beside their parts, signs, and words of no piece at all.
words = (
    st.sampled_from(WORDS)
    | st.sampled_from([*ODD, "del", "de", "el", "celebrarlos", "", "ñ" * 400])
    | st.text(max_size=5)
)
sentences = st.lists(st.lists(words, max_size=40), min_size=1, max_size=4)


def side(bench: Any, family: str, kind: Kind) -> tuple[Any, Task]:
    run_id = f"{kind}-{family}"
    run = bench.workdir.run(run_id)
    if not run.root.exists():
        run = bench.run(run_id, kind, "tagging", family, needs={"logits": "x", "teacher": "x"})
    running = bench.preparing(run)
    tokenizer = preparation.tokenizer_of(running.spec, running.spec.model)
    model, _ = preparation.new_model(running.spec, LABELS, tokenizer)
    return running, preparation.task_for(running.spec, model.config, tokenizer, LABELS)


def split_of(task: Task, made: list[list[str]]) -> Split:
    examples = [TaggedExample(tuple(sentence), ("O",) * len(sentence)) for sentence in made]
    chunk = task.tokenise(examples, 0)
    tables = [
        datasets.Dataset.from_dict(columns, features=features).with_format("arrow")
        for columns, features in ((chunk.rows, task.row_features), (chunk.examples, task.example_features))
    ]
    return Split(key="x", rows=tables[0], examples=tables[1], notes={})


def speaks_of_pieces(batch: Batch) -> tuple[Batch, Any]:
    """A model whose logits at a position [B, S, 3] name the piece there and the two after it."""
    ids = batch.inputs["input_ids"].float()
    ahead = torch.nn.functional.pad(ids, (0, 2))
    return batch, SimpleNamespace(
        logits=torch.stack([ahead[:, at : at + ids.shape[1]] for at in range(3)], dim=-1)
    )


@pytest.mark.parametrize(("teacher", "student"), [(a, b) for a in FAMILIES for b in FAMILIES])
def test_every_word_hears_the_pieces_that_the_teacher_made_of_it(bench, tmp_path, teacher, student) -> None:
    hearing, hears = side(bench, student, Kind.DISTILL)
    speaking, speaks = side(bench, teacher, Kind.LOGITS)

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(sentences)
    def every_word(made: list[list[str]]) -> None:
        if not any(made):
            made = [["sola"]]
        told, heard = split_of(speaks, made), split_of(hears, made)
        manifest = dict.fromkeys(("teacher", "data", "tokenizer", "preprocessing", "precision"), "x")
        with Writer(
            tmp_path / "said", task="tagging", labels=LABELS, dtype="float32", manifest=manifest
        ) as writer:
            for keys, owners, rows, answers in answered(speaking, speaks, told, speaks_of_pieces):
                for key, mine in zip(keys, owners, strict=True):
                    add(writer, "tagging", key, rows, answers, mine)
        teach = distill.teacher(hearing.spec, Entry.open(tmp_path / "said"), heard, LABELS, None)
        pieces = speaks.feeding.splitter.words(made)  # type: ignore[attr-defined]
        count = 0
        for first in range(0, len(heard.rows), 8):
            table = heard.take(np.arange(first, min(first + 8, len(heard.rows))))
            said = iter(teach(hears.collate(table), table).targets["teacher"].int().tolist())
            for example, numbers in zip(
                table.column("example").to_pylist(), table.column("word").to_pylist(), strict=True
            ):
                for number in numbers:
                    mine = pieces[example][number][:3]
                    assert next(said)[: len(mine)] == mine
                    count += 1
            assert next(said, None) is None
        assert count == sum(map(len, made))

    every_word()
