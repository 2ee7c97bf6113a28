"""A small sweep half done, and consoles of a fixed size to look at it."""

from __future__ import annotations

import io
import tomllib
from typing import Any

from rich.console import Console

from sgonz.looking import answers
from sgonz.plan.decide import Decision
from sgonz.plan.runs import Kind, State
from sgonz.plan.spec import Sweep, decode
from sgonz.plan.state import RunRow

NOON = 1_700_000_000.0 - 80_000  # 2023-11-14 00:00:00 UTC
METRICS = {"mldoc": "accuracy", "pos": "f1"}
SWEEP = """
name = "small"
datasets = ["mldoc", "pos"]
[finetune]
models = ["beto", "albeto-xlarge"]
grid.learning_rate = [1e-5, 2e-5]
[distill]
students = ["albeto-tiny"]
"""


def sweep() -> Sweep:
    return decode(tomllib.loads(SWEEP), "small.toml")


def finetune(run_id: str, dataset: str, model: str, state: State, **facts: Any) -> RunRow:
    return RunRow(run_id=run_id, kind=Kind.FINETUNE, dataset=dataset, model=model, learning_rate=2e-5, batch_size=16, epochs=4,
                  state=state, **facts)  # fmt: skip


def distill(run_id: str, state: State, **facts: Any) -> RunRow:
    return RunRow(run_id=run_id, kind=Kind.DISTILL, dataset="pos", model="albeto-tiny", teacher="beto", learning_rate=5e-4,
                  batch_size=32, epochs=50, state=state, **facts)  # fmt: skip


def rows() -> list[RunRow]:
    done, scores = State.COMPLETED, {"precision": 90.0, "f1": 91.256, "accuracy": 96.0}
    return [
        finetune("a1", "mldoc", "beto", done, validation_loss=0.25, validation={"accuracy": 95.004, "f1_macro": 94.0},
                 best_epoch=2, selected=True, attempts=1),
        finetune("a2", "mldoc", "albeto-xlarge", State.FAILED, reason="DataError: [bold]train.jsonl[/bold]:7: no label\n\x1b[31mred",
                 attempts=2, ended=NOON + 60),
        finetune("a3", "mldoc", "albeto-xlarge", State.RUNNING, attempts=1, tag="sgonz-1", element=0),
        finetune("b1", "pos", "beto", done, validation_loss=0.1032, validation=scores, best_epoch=3, selected=True, attempts=1),
        finetune("b2", "pos", "albeto-xlarge", done, validation_loss=0.2, validation={**scores, "f1": 88.0}, best_epoch=4,
                 selected=True, attempts=1, flags=("majority_level",)),
        RunRow(run_id="c1", kind=Kind.LOGITS, dataset="pos", model="beto", state=done, attempts=1),
        distill("d1", done, validation_loss=0.31, validation={**scores, "f1": 86.5}, best_epoch=17, selected=True, attempts=1),
        distill("d2", State.PENDING),
        RunRow(run_id="e1", kind=Kind.EVALUATE, dataset="pos", model="beto", state=done, needs=("b1",), test={"f1": 90.1},
               attempts=1),
        RunRow(run_id="e2", kind=Kind.EVALUATE, dataset="pos", model="albeto-tiny", state=State.SUBMITTED, needs=("d1",)),
    ]  # fmt: skip


def status(found: list[RunRow] | None = None, *, teacher: str | None = "b1") -> dict[str, Any]:
    waiting = {"d2": "no free slot"}
    decision = Decision(actions=(), waiting=waiting, teachers={"mldoc": None, "pos": teacher}, finished=False)
    return answers.status(sweep(), rows() if found is None else found, decision)


def results() -> list[dict[str, Any]]:
    return answers.results(rows(), METRICS)


def console(width: int, height: int = 24, *, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=width, height=height, force_terminal=terminal, legacy_windows=False,
                   color_system="truecolor" if terminal else None, highlight=False, _environ={})  # fmt: skip


def printed(at: Console) -> str:
    """What the console shows, without the blanks at the ends of its lines."""
    assert isinstance(at.file, io.StringIO)
    return "\n".join(line.rstrip() for line in at.file.getvalue().splitlines())
