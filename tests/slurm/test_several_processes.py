"""The largest model of the study, at a fraction of its width, trained by two processes under DeepSpeed on a real cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from job_folders import eventually
from slurm_sweeps import DevCluster, restart_soon
from typed import Prompt

from sgonz import events
from sgonz.events import AnyEvent, EpochEnded, RunEnded, RunReady
from sgonz.plan.runs import Outcome
from sgonz.rundir import Workdir

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
ROOT = Path(__file__).resolve().parents[2]
SWEEP = f"""
extends = "{ROOT}/jobs/column.toml"
name = "largest"
[finetune]
models = ["albeto-xxlarge"]
grid.learning_rate = [5e-4]
grid.epochs = [4]
[distill]
students = ["albeto-tiny"]
epochs = 1
"""
PROFILE = """
scheduler = "slurm"
requests_per_minute = 100000
environment = {{ SLURM_CONF = "{conf}" }}
[resources.one]
partition = "normal"
gres = "gpu:a100:1"
max_minutes = 30
[resources.two]                # may be preempted
partition = "low"
gres = "gpu:a100:2"
max_minutes = 30
engine = "deepspeed"
deepspeed = "zero2.json"
[assign]
default = "one"
albeto-xxlarge = "two"
"""


def slow(folder: Path) -> dict[str, str]:
    """Steps take their time until a file is there, so that there is something to interrupt."""
    return {"PYTHONPATH": str(ROOT / "tests/small_device"), "SLOW_DEVICE": "0.3", "FAST_DEVICE": str(folder / "fast")}  # fmt: skip


def told(folder: Path, restart: int) -> list[AnyEvent]:
    """What the job that fine-tunes has said since it was started for the so many-th time."""
    files = (folder / "work" / "jobs").glob(f"*/events/0.{restart}.jsonl")
    found = [event for file in files for event, _ in events.read(file, 0) if event is not None]
    mine = {event.run_id for event in found if isinstance(event, EpochEnded)}
    return [event for event in found if getattr(event, "run_id", "") in mine]


def test_it_is_preempted_goes_on_and_teaches(dev: DevCluster, tmp_path: Path) -> None:
    (tmp_path / "largest.toml").write_text(SWEEP)
    (tmp_path / "two.toml").write_text(PROFILE.format(conf=dev.environment["SLURM_CONF"]))
    prompt = Prompt(tmp_path, **slow(tmp_path))
    prompt.say("submit", "largest.toml", "--cluster", "two.toml", "--yes")
    eventually(lambda: told(tmp_path, 0), patience=600)
    (tmp_path / "fast").write_text("0.7")  # slower, or it is done before Slurm takes its nodes
    (job,) = dev.queue("--partition=low")
    steps = dev.ask("squeue", "-h", "-s", "-j", job, "-o", "%i").split()
    assert any(step.endswith(".0") for step in steps)  # srun's, beside the batch script
    dev.take_both_nodes()
    eventually(lambda: any(isinstance(event, RunEnded) for event in told(tmp_path, 0)), patience=600)
    (tmp_path / "fast").write_text("")
    (interrupted,) = [event for event in told(tmp_path, 0) if isinstance(event, RunEnded)]
    assert interrupted.outcome is Outcome.PREEMPTED, interrupted.error
    eventually(lambda: not dev.queue("--name", "high"))
    restart_soon(dev, job)
    prompt.say("run", "largest.toml", "--cluster", "two.toml", "--yes")
    ready = next(event for event in told(tmp_path, 1) if isinstance(event, RunReady))
    assert ready.epoch >= 1
    status = prompt.answer("status")
    assert status["finished"]
    assert status["datasets"]["pos"]["teacher_model"] == "albeto-xxlarge"
    rows: list[dict[str, Any]] = prompt.answer("results", "--all")
    by_kind = {row["kind"]: row for row in rows}
    assert (by_kind["finetune"]["notes"]["engine"], by_kind["finetune"]["notes"]["processes"]) == (
        "deepspeed",
        2,
    )
    assert by_kind["distill"]["state"] == "COMPLETED"
    model = Workdir(tmp_path / "work").run(by_kind["finetune"]["run_id"]).output / "model"
    assert (model / "model.safetensors").exists()
