"""What a sweep leaves on the disk and in history.json, and the commands that look after both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sgonz.rundir import Workdir
from sgonz.sample import make

pytestmark = pytest.mark.slow

SWEEP = """
name = "tended"
datasets = ["pos"]
[sample]
size = 60
[models.student]
cut_from = "sample-albert"
layers = 2
[finetune]
models = ["sample-albert"]
max_length = 64
grid.learning_rate = [5e-4, 1e-3]
grid.batch_size = 16
grid.epochs = 1
"""
DISTILL = """
[distill]
students = ["student"]
max_length = 64
epochs = 1
grid.learning_rate = [1e-3]
grid.batch_size = 16
"""


def sgonz(work: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-m", "sgonz", *arguments], capture_output=True, text=True, check=False,
                          cwd=work.parent, env={**os.environ, "SGONZ_WORKDIR": str(work)})  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


def answer(work: Path, *arguments: str) -> Any:
    return json.loads(sgonz(work, *arguments, "--format", "json").stdout)


def with_weights(work: Path) -> set[str]:
    """Runs whose weights are on disk, which is what the store says too."""
    there = {path.parents[1].name: path for path in work.glob("runs/*/*/output/model")}
    rows = answer(work, "query", "SELECT run_id, path, size FROM artifacts WHERE kind = 'model'")
    assert {row["run_id"]: work / row["path"] for row in rows} == there
    assert all(row["size"] > 10_000 for row in rows)
    return set(there)


def test_a_sweep_keeps_its_best_weights_and_makes_again_what_is_asked_for_after_all(tmp_path: Path):
    work, file = tmp_path / "work", tmp_path / "tended.toml"
    make(work / "sample" / "1-60", seed=1, size=60)
    file.write_text(SWEEP)
    sgonz(work, "run", str(file))
    grid = {row["run_id"]: row for row in answer(work, "results") if row["kind"] == "finetune"}
    best = min(grid, key=lambda run_id: grid[run_id]["validation_loss"])
    assert len(grid) == 2
    assert with_weights(work) == {best}
    assert all(Workdir(work).run(run_id).read_result() for run_id in grid)

    history = json.loads((work / "history.json").read_bytes())
    (cost,) = history["costs"]
    assert cost["runs"] == 2
    assert cost["seconds_per_step"] > 0
    rows = answer(work, "efficiency", "--where", "kind = finetune")
    assert [(row["model"], row["runs"]) for row in rows] == [("sample-albert", 2)]
    assert rows[0]["memory_gb"] > 0
    assert rows[0]["host_gb"] > 0
    assert (rows[0]["device_use"], rows[0]["kwh"]) == (None, None)  # there is no GPU

    assert answer(work, "clean") == []  # nothing that the sweep does not want to keep
    listed = answer(work, "clean", "--keep", "scores", "--dry-run")
    assert [row["run_id"] for row in listed] == [best]
    assert with_weights(work) == {best}
    sgonz(work, "clean", "--keep", "scores", "--yes")
    assert with_weights(work) == set()

    file.write_text(SWEEP + DISTILL)
    sgonz(work, "run", str(file))
    status = answer(work, "status")
    assert status["finished"] is True
    assert set(status["runs"]) == {"COMPLETED"}
    assert best in with_weights(work)  # the teacher was made again, to the same end
    again = {row["run_id"]: row for row in answer(work, "results")}
    assert again[best]["validation_loss"] == grid[best]["validation_loss"]

    # Another point of the student reads logits, which read a teacher: both were removed.
    sgonz(work, "clean", "--keep", "scores", "--yes")
    assert not [*work.glob("runs/*/*/output/logits")]
    file.write_text(SWEEP + DISTILL.replace("[1e-3]", "[1e-3, 5e-4]"))
    sgonz(work, "run", str(file))
    (keys,) = work.glob("runs/*/*/output/logits/keys")

    # And another one finds them damaged: they are stored again, and nothing else is done again.
    damaged = bytearray(keys.read_bytes())
    damaged[3] ^= 4
    keys.write_bytes(damaged)
    ended = {row["run_id"]: row["seconds"] for row in answer(work, "results")}
    file.write_text(SWEEP + DISTILL.replace("[1e-3]", "[1e-3, 5e-4, 2e-4]"))
    sgonz(work, "run", str(file))
    assert keys.read_bytes() == bytes(damaged[:3]) + bytes([damaged[3] ^ 4]) + bytes(damaged[4:])
    last = {row["run_id"]: row["seconds"] for row in answer(work, "results")}
    assert ended == {run_id: last[run_id] for run_id in ended}
    assert len(last) == len(ended) + 1
    assert not any(group["unsolved"] for group in answer(work, "failures"))
