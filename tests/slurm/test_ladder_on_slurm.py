"""A run that fits nowhere at first climbs on a real cluster, step by step, and ends as where there is room enough."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from slurm_sweeps import DevCluster
from typed import Prompt, said

from sgonz import events
from sgonz.events import AnyEvent, MemoryShort
from sgonz.rundir import Workdir

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
SWEEP = """
name = "ladder"
datasets = ["pos"]
evaluate = false
[sample]
size = 60
[finetune]
models = ["sample-roberta"] # has no dropout: its numbers do not depend on how a batch is cut
max_length = 32
grid.learning_rate = [5e-4]
grid.batch_size = 4
grid.epochs = 2
"""
# The device of `narrow` takes no row at all, that of `wide` two at a time; a step takes 3 GiB of the host's memory.
PROFILE = """
scheduler = "slurm"
requests_per_minute = 100000
environment = {{ SLURM_CONF = "{conf}" }}
setup = [
    "export PYTHONPATH='{small}'",
    "case $SLURM_JOB_PARTITION in low) export SMALL_DEVICE=0 ;; *) export SMALL_DEVICE=2 SMALL_HOST=3 ;; esac",
]
[resources.narrow]
partition = "low"
memory_gb = 1
max_minutes = 30
[resources.wide]
partition = "normal"
memory_gb = 2
max_memory_gb = 5
max_minutes = 30
[assign]
default = "narrow"
"""


def trained(prompt: Prompt) -> dict[str, Any]:
    (row,) = prompt.answer("results", "--all")
    return row


def told(folder: Path) -> list[AnyEvent]:
    """What every job said, in the order in which they were sent."""
    files = sorted((folder / "work" / "jobs").glob("*/events/0.*.jsonl"))
    return [event for file in files for event, _ in events.read(file, 0) if event is not None]


def test_it_climbs_to_where_it_fits_and_ends_as_if_it_had_started_there(
    dev: DevCluster, tmp_path: Path
) -> None:
    profile = PROFILE.format(conf=dev.environment["SLURM_CONF"], small=ROOT / "tests/small_device")
    (tmp_path / "rungs.toml").write_text(profile)
    prompts = Prompt(tmp_path / "roomy"), Prompt(tmp_path / "tight")
    begun = []
    for prompt, cluster in zip(prompts, ("local", str(tmp_path / "rungs.toml")), strict=True):
        (prompt.folder / "ladder.toml").write_text(SWEEP)
        begun.append(prompt.begin("run", "ladder.toml", "--cluster", cluster))
    for process in begun:
        said(process)
    roomy, tight = map(trained, prompts)
    assert tight["validation_loss"] == pytest.approx(roomy["validation_loss"], rel=1e-3)
    assert tight["validation"] == pytest.approx(roomy["validation"], rel=1e-2)

    split = [(event.micro_batch, event.recompute) for event in told(tmp_path / "tight") if isinstance(event, MemoryShort)]  # fmt: skip
    down = [
        (2, False),
        (1, False),
        (4, True),
        (2, True),
        (1, True),
    ]  # activations go before the resource class
    assert split[:5] == down
    assert split[-1] == (2, False)
    assert tight["notes"]["micro_batch"] == 2
    lines = Workdir(tmp_path / "tight" / "work").journal.read_text().splitlines()
    climbs = [line for line in map(json.loads, lines) if line["type"] == "climbed"]
    assert [(step["to"]["resource"], step["to"]["memory_gb"]) for step in climbs] == [
        ("wide", None),
        ("wide", 4.0),
    ]
    asked = dev.ask("sacct", "-X", "-n", "-P", "-o", "Partition,ReqMem", "-S", "now-1hour").split()
    assert {"low|1G", "normal|2G", "normal|4G"} <= set(asked)
    status = prompts[1].say("status")
    assert "starts in wide with 4 GB, after narrow and wide: the host had too little memory in wide" in " ".join(status.split())  # fmt: skip
