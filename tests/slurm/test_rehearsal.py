"""What a dry run prints is what is sent."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from slurm_sweeps import ARRAY_LIMIT, DevCluster, Start

from sgonz.coordinator.rehearsal import scripts

TYPES = """
scheduler = "slurm"
environment = {{ SLURM_CONF = "{conf}" }}
[resources.t4]
gres = "gpu:1"
gpu_memory_gb = 0.01
[resources.a100]
partition = ["short", "normal", "low"]
gres = "gpu:a100:1"
max_minutes = 100
[partitions.short]
max_minutes = 2
[assign]
default = ["t4", "a100"]
"""
SWEEP = """
name = "types"
datasets = ["pos"]
[sample]
size = 40
[finetune]
models = ["sample-albert"]
"""


def test_a_dry_run_is_the_submission_to_the_letter_and_writes_nothing(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = start(ARRAY_LIMIT + 1, folder="a 'b' $c", setup=("true 'a b'",))
    before = sorted(sweep.at.workdir.root.rglob("*"))
    thought = list(scripts(sweep.at))
    assert sorted(sweep.at.workdir.root.rglob("*")) == before
    assert not sweep.at.store.live_jobs()

    requests: Any = sweep.at.cluster.requests  # type: ignore[attr-defined]
    really, sent = requests.run, []

    def listen(command: Sequence[str]) -> Any:
        if command[0] == "sbatch":
            sent.append((shlex.join(command), Path(command[-1]).read_text()))
        return really(command)

    monkeypatch.setattr(requests, "run", listen)
    sweep.turn()
    assert [(each.command, each.script) for each in thought] == sent
    assert len(sent) == 2


def test_a_dry_run_names_the_gpu_type_and_the_partitions_that_were_chosen(
    dev: DevCluster, tmp_path: Path
) -> None:
    (tmp_path / "types.toml").write_text(TYPES.format(conf=dev.environment["SLURM_CONF"]))
    (tmp_path / "sweep.toml").write_text(SWEEP)
    command = [sys.executable, "-m", "sgonz", "submit", "sweep.toml", "--cluster", "types.toml", "--dry-run"]
    done = subprocess.run(command, cwd=tmp_path, env=dev.environment, capture_output=True, text=True, check=True)  # fmt: skip
    assert "sample-albert: a100 (not t4: a run takes about" in done.stderr
    assert "1 submission would be sent now" in done.stderr
    asked = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("#SBATCH ")]
    assert {"--gres=gpu:a100:1", "--partition=normal,low", "--time=100"} <= set(asked)
