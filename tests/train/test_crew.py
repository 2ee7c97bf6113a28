"""A worker and the two members beside it: interrupted, short of memory, one of them killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bench import Bench
from job_folders import PATIENCE, ends, eventually, job_list, told, write_job
from safetensors.torch import load_file

from sgonz.events import EpochEnded, Event, MemoryShort, RunReady
from sgonz.plan.runs import Kind, Outcome
from sgonz.resources import shipped
from sgonz.rundir import RunDir

TAG = "sgonz-test-000001"
LIGHT = {"epochs": 2, "learning_rate": 1e-4}
SMALL_DEVICE = Path(__file__).resolve().parents[1] / "small_device"
Play = Callable[..., "subprocess.Popen[bytes]"]


def engine(name: str) -> dict[str, Any] | None:
    return None if name == "plain" else json.loads((shipped("cluster_configs") / "deepspeed" / f"{name}.json").read_text())  # fmt: skip


@pytest.fixture
def play(bench: Bench) -> Iterator[Play]:
    """Start a worker and its members for some runs, as a cluster would; none is left afterwards."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*run_ids: str, name: str = "plain", processes: int = 2, sequence: int = 1, **environment: str):
        jobs = msgspec.structs.replace(
            job_list(f"{TAG[:-1]}{sequence}", run_ids, sequence=sequence),
            processes=processes, deepspeed=engine(name),
        )  # fmt: skip
        folder = write_job(bench.workdir, jobs)
        ranks = range(processes if processes > 1 else 0)
        for rank, module in [*((rank, "member") for rank in ranks), (None, "worker")]:
            started.append(
                subprocess.Popen(
                    [sys.executable, "-m", f"sgonz.train.{module}", str(folder), "0"],
                    env={**os.environ, "SGONZ_RANK": str(rank), **environment}, start_new_session=True,
                )
            )  # fmt: skip
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def events_of(bench: Bench, kind: type[Event], sequence: int = 1) -> list[Any]:
    folder = bench.workdir.job(f"{TAG[:-1]}{sequence}")
    if not (folder / "events" / "0.0.jsonl").exists():
        return []
    return [event for event in told(folder) if isinstance(event, kind)]


def losses(bench: Bench, sequence: int = 1) -> list[float | None]:
    found = told(bench.workdir.job(f"{TAG[:-1]}{sequence}"))
    return [event.validation_loss for event in found if isinstance(event, EpochEnded)]


def weights(run: RunDir) -> dict[str, bytes]:
    found = load_file(run.output / "model" / "model.safetensors")
    return {name: tensor.numpy().tobytes() for name, tensor in found.items()}


def test_interrupted_run_goes_on_bit_by_bit(bench: Bench, play: Play) -> None:
    settings = {
        "epochs": 3,
        "learning_rate": 1e-3,
        "batch_size": 7,
    }  # the last batch is short, and shares are uneven
    whole = bench.run("whole", Kind.FINETUNE, "text", "bert", settings=settings)  # has dropout
    cut = bench.run("cut", Kind.FINETUNE, "text", "bert", settings=settings)
    worker = play("cut", name="zero2", PYTHONPATH=str(SMALL_DEVICE), SLOW_DEVICE="0.1")
    eventually(lambda: events_of(bench, EpochEnded))
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(PATIENCE) == 0
    (stopped,) = ends(told(bench.workdir.job(TAG)))
    assert stopped.outcome is Outcome.PREEMPTED, stopped.error
    assert play("cut", "whole", name="zero2", sequence=2).wait(PATIENCE) == 0
    assert [end.outcome for end in ends(told(bench.workdir.job(f"{TAG[:-1]}2")))] == [Outcome.COMPLETED] * 2
    ready = events_of(bench, RunReady, sequence=2)[0]
    assert ready.epoch >= 1
    assert weights(cut) == weights(whole)


def test_memory_that_ends_on_one_process_ends_the_attempt_and_halves_the_next(
    bench: Bench, play: Play
) -> None:
    alone = bench.run("alone", Kind.FINETUNE, "text", "albert", settings=LIGHT)
    bench.do(alone)
    expected = [event.validation_loss for event in bench.events if isinstance(event, EpochEnded)]
    bench.run("short", Kind.FINETUNE, "text", "albert", settings=LIGHT)
    assert play("short", PYTHONPATH=str(SMALL_DEVICE), SMALL_DEVICE="3@1").wait(PATIENCE) == 0
    found = ends(told(bench.workdir.job(TAG)))
    assert [(end.outcome, end.attempt) for end in found] == [(Outcome.PREEMPTED, 1), (Outcome.COMPLETED, 2)]
    assert "out of memory" in (found[0].error or "")
    assert [event.micro_batch for event in events_of(bench, MemoryShort)] == [2]
    assert [event.micro_batch for event in events_of(bench, RunReady)] == [4, 2]
    assert losses(bench) == pytest.approx(expected, rel=2e-2)  # AdamW makes much of rounding at first
