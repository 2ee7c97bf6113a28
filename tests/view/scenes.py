"""Scenes of a sweep half done, small and large, as the live screen is given them."""

from __future__ import annotations

import math
from typing import Any

from shown import NOON

from sgonz.looking.scene import Doing, LastTurn, Opened, Part, Rank, Rows, Scene, Spent, Tried
from sgonz.plan.runs import Kind, State
from sgonz.plan.state import RunRow, ScoreRow

NOW = NOON + 13 * 3600
MODELS = ("beto-cased", "albeto-xlarge", "roberta-bne-large")


def row(number: int, dataset: str, state: State, **facts: Any) -> RunRow:
    known = {
        "kind": Kind.FINETUNE,
        "model": MODELS[number % 3],
        "learning_rate": 5e-5,
        "batch_size": 32,
        "epochs": 4,
        "attempts": 1,
    }
    return RunRow(run_id=f"{number:08x}c0ffee00", dataset=dataset, state=state, **{**known, **facts})


def falling(start: float, size: int) -> tuple[float, ...]:
    return tuple(start * math.exp(-number / 3) + 0.2 + 0.03 * (number % 2) for number in range(size))


def doing(number: int, dataset: str) -> Doing:
    curve = falling(1.0, 2 + number)
    return Doing(
        row=row(number, dataset, State.RUNNING, epochs=10), host=f"gpu{number:02d}", device="NVIDIA A100-SXM4-80GB",
        job=f"8812{number}_{number}", began=NOW - 900, epoch=2 + number, share=0.21 + number / 10, loss=0.41 + number / 7,
        best=min(curve), patience_left=10 - number, micro_batch=16, per_second=812.5 / (number + 1),
        seconds_left=3000.0 * (number + 1), curve=curve,
    )  # fmt: skip


def failed(number: int, dataset: str) -> RunRow:
    reason = "OutOfMemoryError: CUDA out of memory: tried to allocate 2.5 GiB\n\x1b[31m(GPU 0)" if number % 2 else \
             "DataError: train.jsonl:7: no label"  # fmt: skip
    return row(number, dataset, State.FAILED, reason=reason, attempts=2, failures=2, ended=NOW - 300 * number)


def ranks(datasets: tuple[str, ...]) -> tuple[Rank, ...]:
    return tuple(
        Rank(row=row(number, dataset, State.COMPLETED, validation_loss=0.1 + 0.01 * number, best_epoch=3, selected=True),
             metric="f1", validation=91.25 - number, test=90.5 - number if number else None)
        for dataset in datasets for number in range(3)
    )  # fmt: skip


def scene(**changes: Any) -> Scene:
    """Three data sets, two running runs, two failures."""
    states = State
    known: dict[str, Any] = {
        "sweep": "spanish", "cluster": "patagon", "now": NOW, "tags": ("paper",), "requests": 3, "ceiling": 4.0,
        "turn": LastTurn(time=NOW - 41, by="job 88120", user="ada", host="login1", pid=77, sent=2),
        "problems": ("squeue does not answer: timed out; asked again in 20 s",),
        "finish": NOW + 7 * 3600,
        "parts": (
            Part(kind=Kind.FINETUNE, dataset="mldoc", states={states.COMPLETED: 36}),
            Part(kind=Kind.FINETUNE, dataset="pos", states={states.COMPLETED: 20, states.RUNNING: 2, states.FAILED: 2,
                 states.PENDING: 10, states.SUBMITTED: 2}, seconds_left=18_000.0, finish=NOW + 9000),
            Part(kind=Kind.FINETUNE, dataset="ner", states={states.PENDING: 36}, seconds_left=50_400.0, finish=NOW + 25_200),
            Part(kind=Kind.LOGITS, dataset="mldoc", states={states.COMPLETED: 1}),
            Part(kind=Kind.DISTILL, dataset="mldoc", states={states.COMPLETED: 3, states.SKIPPED: 3}),
        ),
        "running": (doing(1, "pos"), doing(2, "pos")), "running_total": 2,
        "failed": Rows(rows=(failed(4, "pos"), failed(5, "pos")), total=2),
        "board": ranks(("mldoc", "pos")),
        "spent": (Spent(kind=Kind.FINETUNE, model="beto-cased", used=12.5, wasted=1.25, left=6.0),
                  Spent(kind=Kind.FINETUNE, model="albeto-xlarge", used=40.25, wasted=0.0, left=13.0),
                  Spent(kind=Kind.DISTILL, model="albeto-tiny", used=0.75, wasted=0.0)),
        "listed": Rows(rows=tuple(row(number, "pos", state) for number, state in enumerate(State)), total=7),
    }  # fmt: skip
    return Scene(**{**known, **changes})


def large() -> Scene:
    """A hundred thousand runs, of which only a page is there."""
    datasets = tuple(f"dataset-{number:02d}" for number in range(40))
    parts = tuple(
        Part(kind=kind, dataset=dataset, states={State.COMPLETED: 900, State.FAILED: 25, State.RUNNING: 5, State.PENDING: 320},
             seconds_left=4e5, finish=NOW + 86_400 * (2 + number))
        for number, dataset in enumerate(datasets) for kind in (Kind.FINETUNE, Kind.DISTILL)
    )  # fmt: skip
    return scene(
        sweep="a-study-with-a-rather-long-name", parts=parts, finish=NOW + 86_400 * 41, problems=(),
        running=tuple(doing(number, f"dataset-{number:02d}") for number in range(9)), running_total=400,
        failed=Rows(rows=tuple(failed(number, "dataset-07") for number in range(60)), total=2000),
        board=ranks(datasets),
    )  # fmt: skip


def opened() -> Scene:
    """A run that failed twice before it ran."""
    run = doing(2, "pos")
    curve = tuple(ScoreRow(run_id=run.row.run_id, epoch=number + 1, train_loss=value * 0.8, validation_loss=value, validation={})
                  for number, value in enumerate(falling(1.5, 12)))  # fmt: skip
    tried = (
        Tried(attempt=1, host="gpu07", device="NVIDIA A100-SXM4-80GB", job="88101_3", started=NOW - 9000, seconds=800.0,
              outcome="OUT_OF_MEMORY", error="CUDA out of memory", peak_memory_mb=80_123.0, splits=("8", "4", "16r", "8s")),
        Tried(attempt=2, host="gpu02", device="NVIDIA A100-SXM4-80GB", job="88122_2", started=NOW - 900, seconds=None,
              outcome=None, error=None, peak_memory_mb=None),
    )  # fmt: skip
    log = tuple(f"epoch {number}: loss {value:.4f}" for number, value in enumerate(falling(1.5, 12), 1))
    return scene(
        opened=Opened(
            row=run.row,
            doing=run,
            why=None,
            curve=curve,
            tried=tried,
            log=log,
            folder="/data/runs/00/00000002c0ffee00",
        )
    )
