"""A profile that names several GPU types for a model: the choice, as plan and a dry run show it and as jobs ask for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sgonz.cluster.profile import load_profile
from sgonz.errors import SpecError

PROFILE = """
scheduler = "slurm"
[resources.small]
partition = ["short", "gpu"]
gres = "gpu:t4:1"
gpu_memory_gb = 0.05
max_minutes = 30
[resources.large]
partition = ["short", "gpu", "long"]
gres = "gpu:a100:1"
gpu_memory_gb = 40
max_minutes = 1440
[partitions.short]
max_minutes = 60
[assign]
default = ["small", "large"]
"""
SWEEP = """
name = "sizes"
datasets = ["pos"]
evaluate = false
[sample]
size = 40
[finetune]
models = ["sample-albert", "beto-cased"]
max_length = 128
"""


def test_plan_says_which_class_each_model_gets_and_why(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(PROFILE)
    (tmp_path / "sizes.toml").write_text(SWEEP)
    command = [sys.executable, "-m", "sgonz", "plan", "sizes.toml", "--cluster", "mine.toml"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    told = subprocess.run([*command, "--format", "json"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)  # fmt: skip
    answer = json.loads(told.stdout)
    classes = {each["model"]: each for each in answer["classes"]}
    asks = {each["class"]: each for each in answer["asks"]}
    assert asks["large"]["partitions"] == ["gpu", "long"]
    assert (asks["large"]["too_short"], asks["large"]["minutes"]) == (["short"], 1440)
    assert classes["beto-cased"]["class"] == "large"
    assert "its GPU has 0.05" in classes["beto-cased"]["why"]
    shown = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    text = " ".join(shown.stdout.split())
    assert "beto-cased: large (not small: a run takes about" in text
    assert "of class large: gpu:a100:1, 1440 minutes, in gpu or long (short would end them sooner)" in text


def test_every_class_of_a_list_has_to_be_there(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(PROFILE.replace('"small", "large"]', '"small", "huge"]'))
    with pytest.raises(SpecError, match=r"assign.default: there is no resources.huge"):
        load_profile(str(tmp_path / "mine.toml"))
