"""What `sgonz cluster detect` writes is used as it stands: looked over by the doctor, and trained on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from slurm_sweeps import DevCluster

SWEEP = """
name = "short"
datasets = ["pos"]
evaluate = false
[sample]
size = 40
[finetune]
models = ["sample-albert"]
max_length = 32
grid.learning_rate = [1e-3, 2e-3]
grid.batch_size = 8
grid.epochs = 1
"""


def sgonz(folder: Path, slurm_conf: str, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """The command as a new user types it, who has nothing but Slurm's own variable."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SGONZ_", "SLURM_"))}
    done = subprocess.run([sys.executable, "-m", "sgonz", *arguments], cwd=folder, text=True, capture_output=True,
                          env={**kept, "SLURM_CONF": slurm_conf, "OMP_NUM_THREADS": "1"}, check=False)  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done


def checks(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    return {line["check"]: line["health"] for line in json.loads(done.stdout)}


@pytest.mark.slow
def test_a_detected_profile_trains_without_a_hand_edit(dev: DevCluster, tmp_path: Path) -> None:
    conf = dev.environment["SLURM_CONF"]
    (tmp_path / "short.toml").write_text(SWEEP)
    sgonz(tmp_path, conf, "cluster", "detect", "-o", "found.toml")
    looked = checks(sgonz(tmp_path, conf, "doctor", "found.toml", "--format", "json"))
    assert "red" not in looked.values()
    assert looked["probe job"] == "green"
    sgonz(tmp_path, conf, "run", "short.toml", "--cluster", "found.toml")
    told = json.loads(sgonz(tmp_path, conf, "status", "--format", "json").stdout)
    assert told["kinds"]["finetune"] == {"COMPLETED": 2}
