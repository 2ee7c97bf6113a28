"""The hub's cache is filled, or says what it lacks; without network with what is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

COMMIT = "0" * 40
SWEEP = """
name = "hubs"
[datasets.reviews]
hub = "org/reviews"
task = "classification"
format = "jsonl"
labels = ["a", "b"]
[models.here]
hub = "org/here"
[models.gone]
hub = "org/gone"
[models.half]
hub = "org/half"
[finetune]
models = ["here", "gone", "half"]
"""


def test_without_network_what_is_there_is_told_from_what_is_not(tmp_path: Path) -> None:
    for name, files in {
        "here": ("config.json", "model.safetensors", "tokenizer.json"),
        "half": ("config.json",),
    }.items():
        snapshot = tmp_path / f"hf/hub/models--org--{name}/snapshots/{COMMIT}"
        snapshot.mkdir(parents=True)
        (snapshot.parents[1] / "refs").mkdir()
        (snapshot.parents[1] / "refs/main").write_text(COMMIT)
        for file in files:
            (snapshot / file).write_text("{}")
    (tmp_path / "sweep.toml").write_text(SWEEP)
    command = [
        sys.executable,
        "-m",
        "sgonz",
        "prefetch",
        "sweep.toml",
        "--workdir",
        "work",
        "--format",
        "json",
    ]
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    found = {row["name"]: row for row in json.loads(done.stdout)}
    assert {name: row["status"] for name, row in found.items()} == {
        "org/here": "present", "org/gone": "absent", "org/half": "absent", "org/reviews": "absent",
    }  # fmt: skip
    assert "holds no weights" in found["org/half"]["detail"]
    assert "1 of 4 are in" in done.stderr
    assert not (tmp_path / "work").exists()
