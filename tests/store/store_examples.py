"""Small runs and events for the tests of the store."""

from __future__ import annotations

from typing import Any

from sgonz.events import EpochEnded, JobEnded, JobStarted, RunEnded, RunReady, RunStarted
from sgonz.plan.runs import Dataset, Kind, Model, Need, Outcome, RunSpec, Settings
from sgonz.store.rows import BenchmarkRow, EndedJob, UsageRow
from sgonz.store.store import Store

POS = Dataset(name="pos", task="tagging", format="conllu", files={"train": "/texts/pos.conllu"}, metric="f1")
BETO = Model(name="beto-cased", path="/models/beto-cased")
TINY = Model(name="albeto-tiny", path="/models/albeto-tiny")


def a_run(run_id: str, kind: Kind = Kind.FINETUNE, **fields: Any) -> RunSpec:
    values: dict[str, Any] = {"dataset": POS, "model": BETO, "settings": Settings(), **fields}
    return RunSpec(run_id=run_id, kind=kind, **values)


def a_family() -> list[RunSpec]:
    """A teacher, its logits, a student of it, and the student's evaluation."""
    return [
        a_run("teacher"),
        a_run("logits", Kind.LOGITS, needs=(Need(role="teacher", run_id="teacher"),)),
        a_run("student", Kind.DISTILL, model=TINY, teacher=BETO, needs=(Need(role="logits", run_id="logits"),)),
        a_run(
            "exam", Kind.EVALUATE, model=TINY, teacher=BETO, needs=(Need(role="model", run_id="student"),)
        ),
    ]  # fmt: skip


def a_sweep(store: Store, runs: list[RunSpec], name: str = "first", time: float = 1.0) -> int:
    sweep = store.add_sweep(
        name=name,
        text=f"name = '{name}'",
        spec_json="{}",
        cluster="local",
        time=time,
        provenance={"sgonz": "0.1"},
    )
    store.add_runs(sweep, runs)
    return sweep


def send(store: Store, sweep: int, tag: str, *elements: list[str], time: float = 10.0) -> None:
    """A submission that the cluster has taken."""
    sequence = store.next_sequence()
    store.add_submission(
        tag=tag, sequence=sequence, sweep_id=sweep, cluster="local", elements=elements, time=time
    )
    store.mark_sent(tag, [f"{tag}_{element}" for element in range(len(elements))], time)


def started(run_id: str, attempt: int = 1, time: float = 20.0) -> list[Any]:
    return [
        JobStarted(time=time, host="n1", pid=7, device="cuda"),
        RunStarted(time=time, run_id=run_id, attempt=attempt),
    ]


def epoch(run_id: str, number: int, attempt: int = 1, **fields: Any) -> EpochEnded:
    values: dict[str, Any] = {
        "train_loss": 1.0 / number,
        "validation_loss": 2.0 / number,
        "validation": {"f1": number / 10},
        "learning_rate": 1e-5,
        "seconds": 3.0,
        "improved": True,
        "time": 20.0 + number,
        "step": 10 * number,
        **fields,
    }
    return EpochEnded(run_id=run_id, attempt=attempt, epoch=number, **values)


def ended(run_id: str, outcome: Outcome, attempt: int = 1, time: float = 50.0, **fields: Any) -> RunEnded:
    return RunEnded(run_id=run_id, attempt=attempt, outcome=outcome, time=time, seconds=30.0, **fields)


def completed(run_id: str, attempt: int = 1, **fields: Any) -> RunEnded:
    values: dict[str, Any] = {
        "best_epoch": 2,
        "epochs_done": 3,
        "validation_loss": 0.5,
        "validation": {"f1": 0.8, "precision": 0.7},
        **fields,
    }
    return ended(run_id, Outcome.COMPLETED, attempt, **values)


def left() -> JobEnded:
    return JobEnded(time=60.0)


def ready(run_id: str, parameters: int) -> RunReady:
    return RunReady(run_id=run_id, attempt=1, device="cuda", precision="fp32", epoch=0, steps=9, rows=9, micro_batch=16,
                    parameters=parameters, time=21.0)  # fmt: skip


def a_study(store: Store) -> None:
    """A teacher with a worse rival, a student that failed once, and its test score: something for every named query."""
    rival = a_run("rival", settings=Settings(learning_rate=1e-4))
    sweep = a_sweep(store, [rival, *a_family()])
    send(store, sweep, "t", ["rival", "teacher", "logits", "student", "exam"])
    lines = [
        *started("rival"),
        completed("rival", validation_loss=0.9),
        *started("teacher"),
        ready("teacher", 1000),
        epoch("teacher", 1),
        completed("teacher", left={"model": 2**20}),
        *started("logits"),
        completed("logits", validation={}, validation_loss=None),
        *started("student"),
        ended("student", Outcome.FAILED, signature="E:1", error="boom", time=40.0),
        *started("student", attempt=2),
        completed("student", attempt=2, flags=("suspect",)),
        *started("exam"),
        completed("exam", validation={}, validation_loss=None, test={"f1": 0.75}),
        left(),
    ]
    store.apply("f", lines, 1000, tag="t", element=0)
    store.end_jobs([EndedJob(tag="t", element=0, outcome=Outcome.COMPLETED, evidence="sacct")], 70.0)
    store.account_jobs(
        [UsageRow(tag="t", element=0, elapsed=180.0, gpus=1, counted_by="sacct", node="n1")], 80.0
    )
    store.mark_selected({"teacher", "student"}, set(), sweep_id=sweep)
    point = BenchmarkRow(
        run_id="teacher", model="beto-cased", device="cpu", batch_size=1, length=128, latency_ms=9.5
    )
    store.add_benchmarks([point])
