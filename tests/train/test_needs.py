"""What a run reads is damaged or gone: it is marked, taken away whole, and the run is not to blame."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sgonz.plan.runs import Kind, Outcome

LIGHT = {"epochs": 1}


@pytest.fixture
def teacher(bench):
    run = bench.run("teacher", Kind.FINETUNE, "text", "albert", settings=LIGHT)
    assert bench.do(run).outcome is Outcome.COMPLETED
    return run


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


@pytest.mark.parametrize("harm", [flipped, cut, Path.unlink])
@pytest.mark.parametrize("file", ["logits", "keys", "manifest.json"])
def test_a_student_waits_for_logits_that_are_damaged(bench, teacher, harm, file):
    logits = bench.run("logits", Kind.LOGITS, "text", "albert", needs={"teacher": "teacher"})
    assert bench.do(logits).outcome is Outcome.COMPLETED
    student = bench.run("student", Kind.DISTILL, "text", "albert", needs={"logits": "logits"}, settings=LIGHT)
    harm(logits.output / "logits" / file)
    ended = bench.do(student)
    assert ended.outcome is Outcome.PREEMPTED
    assert "logits makes it again first" in ended.error
    assert logits.removed.exists()
    assert not (logits.output / "logits").exists()

    logits.removed.unlink()  # as a turn does
    logits.result.unlink()
    assert bench.do(student, attempt=2).outcome is Outcome.PREEMPTED  # before they are there
    assert not logits.removed.exists()
    assert bench.do(logits, attempt=2).outcome is Outcome.COMPLETED
    assert bench.do(student, attempt=3).outcome is Outcome.COMPLETED


@pytest.mark.parametrize("gone", ["model", "model/model.safetensors", "model/config.json"])
def test_a_run_waits_for_weights_that_are_gone(bench, teacher, gone):
    scored = bench.run("scored", Kind.EVALUATE, "text", "albert", needs={"model": "teacher"})
    place = teacher.output / gone
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink()
    assert bench.do(scored).outcome is Outcome.PREEMPTED
    assert teacher.removed.exists()
    assert not (teacher.output / "model").exists()
