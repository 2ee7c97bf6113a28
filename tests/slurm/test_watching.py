"""The live screen over a real sweep with failures in it, on the cluster: keys sent, screens read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from slurm_sweeps import DevCluster
from view.terminals import on_terminal

from sgonz.sample import make

pytestmark = pytest.mark.slow

SWEEP = """
name = "half-broken"
datasets = ["pos"]
[sample]
size = 60
[models.broken]
architecture = {{model_type = "bert", hidden_size = 30, num_attention_heads = 4, num_hidden_layers = 1, vocab_size = 500}}
tokenizer = "{tokenizer}"
[finetune]
models = ["broken", "sample-albert"]
max_length = 64
grid.learning_rate = [5e-4, 1e-3]
grid.epochs = [2]
[retry]
delay_seconds = 0.1
"""


def test_sweep_with_failures_is_driven_from_the_screen(dev: DevCluster, tmp_path: Path) -> None:
    sample = tmp_path / "made"
    make(sample, seed=1, size=60)
    sweep = tmp_path / "half-broken.toml"
    sweep.write_text(SWEEP.format(tokenizer=sample / "models" / "sample-bert"))
    environment = {**dev.environment, "SGONZ_WORKDIR": str(tmp_path / "work")}
    sent = subprocess.run([sys.executable, "-m", "sgonz", "submit", str(sweep), "--cluster", "dev", "--yes"], env=environment,
                          cwd=tmp_path, capture_output=True, text=True, check=False)  # fmt: skip
    assert sent.returncode == 0, sent.stderr
    command = ["watch", "--advance", "--every", "0.3"]
    with on_terminal(command, columns=200, lines=60, folder=tmp_path, environment=environment) as driving:
        with on_terminal(["watch", "--every", "0.3"], folder=tmp_path, environment=environment) as seen:
            seen.shows("half-broken on dev", "by watch", "of 240 a minute")
            seen.type("3")
            seen.shows("[3 failures]", "pos", "broken", "sgonz retry")
            seen.type("\r")
            seen.shows("finetune pos broken", "failed", "attempt")
            seen.type("1")
            seen.shows("[1 overview]", "sample-albert")
            assert driving.ends() == 1  # some runs failed
            seen.shows("finished")
            seen.type("q")
            assert seen.ends() == 0
            seen.assert_given_back()
        driving.assert_given_back()
    told = subprocess.run([sys.executable, "-m", "sgonz", "history", "--since", "start", "--format", "json"], env=environment,
                          cwd=tmp_path, capture_output=True, text=True, check=True)  # fmt: skip
    history = json.loads(told.stdout)
    assert history["ended"] == {"COMPLETED": 3, "FAILED": 2}
    assert {row["model"] for row in history["failures"]} == {"broken"}
