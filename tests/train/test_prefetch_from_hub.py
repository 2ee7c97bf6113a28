"""Models and data sets fetched over the hub's own protocol, then trained on with the hub switched off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_hub import Hub, small_hub

from sgonz.sample import make

TOKEN = "hf_abcdefghijklmnopqrstuvwxyz0123456789"
SWEEP = """
name = "fetched"
evaluate = false
[datasets.reviews]
hub = "org/reviews"
task = "classification"
format = "jsonl"
labels = ["good", "bad"]
[models.small]
hub = "org/small"
[finetune]
models = ["small"]
max_length = 16
grid.learning_rate = [1e-3]
grid.epochs = 1
"""
OTHERS = """
[models.gone]
hub = "org/gone"
[models.shut]
hub = "org/shut"
"""
ROWS = "".join(
    json.dumps({"text": text, "label": label}) + "\n"
    for text, label in [
        ("casa mesa", "good"),
        ("libro rojo", "bad"),
        ("sol y mar", "good"),
        ("pan duro", "bad"),
    ]
)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    sample = tmp_path / "sample"
    make(sample, seed=1, size=40)
    model = next(
        path for path in sorted(sample.rglob("config.json")) if (path.parent / "model.safetensors").exists()
    )
    files = {path.name: path.read_bytes() for path in model.parent.iterdir() if path.is_file()}
    rows = {f"{split}.jsonl": ROWS.encode() for split in ("train", "validation", "test")}
    with small_hub(Hub({("models", "org/small"): files | {"code.py": b"raise SystemExit"}, ("datasets", "org/reviews"): rows},
                       gated={"org/shut"})) as served:  # fmt: skip
        yield served


def sgonz(folder: Path, hub: Hub, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "SGONZ_"))}
    environment = {**kept, "HF_HOME": str(folder / "hf"), "HF_ENDPOINT": hub.endpoint, "HF_TOKEN": TOKEN,
                   "OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_XET": "1", **variables}  # fmt: skip
    done = subprocess.run([sys.executable, "-m", "sgonz", *arguments], cwd=folder, env=environment, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert TOKEN not in done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_what_was_fetched_is_trained_on_with_the_hub_switched_off(tmp_path: Path, hub: Hub) -> None:
    (tmp_path / "fetched.toml").write_text(SWEEP)
    done = sgonz(tmp_path, hub, "prefetch", "fetched.toml", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert {row["name"]: row["status"] for row in json.loads(done.stdout)} == {"org/small": "fetched", "org/reviews": "fetched"}  # fmt: skip
    assert hub.tokens == {f"Bearer {TOKEN}"}
    assert not list((tmp_path / "hf").rglob("code.py"))  # nothing that is code
    hub.asked.clear()
    done = sgonz(tmp_path, hub, "run", "fetched.toml", HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    assert not hub.asked
    written = [path for path in (tmp_path / "work").rglob("*") if path.is_file()]
    assert not [path for path in written if TOKEN.encode() in path.read_bytes()]


def test_what_cannot_be_had_is_told_by_its_name_and_its_reason(tmp_path: Path, hub: Hub) -> None:
    (tmp_path / "fetched.toml").write_text(SWEEP.replace('["small"]', '["gone", "shut"]') + OTHERS)
    done = sgonz(tmp_path, hub, "prefetch", "fetched.toml", "--format", "json")
    assert done.returncode == 1, done.stderr
    found = {row["name"]: row for row in json.loads(done.stdout)}
    assert found["org/gone"]["status"] == found["org/shut"]["status"] == "absent"
    assert "no such repository" in found["org/gone"]["detail"]
    assert "gated" in found["org/shut"]["detail"]
    absent = sgonz(tmp_path, hub, "prefetch", "fetched.toml", "--format", "json", HF_ENDPOINT="http://127.0.0.1:9", HF_HOME=str(tmp_path / "other"))  # fmt: skip
    assert absent.returncode == 1
    assert {row["status"] for row in json.loads(absent.stdout)} == {"absent"}
    assert all("does not answer" in row["detail"] for row in json.loads(absent.stdout)), absent.stdout
    assert sgonz(tmp_path, hub, "prefetch", "nowhere.toml").returncode == 2
