"""A sweep that trains, through several faults at once: bit for bit what it gives when nothing happens to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from job_folders import eventually
from slurm_sweeps import DevCluster, restart_soon
from typed import Prompt

from sgonz.sample import make

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SWEEP = """
name = "faults"
datasets = ["pos"]
evaluate = false
keep = "all"
[sample]
size = 60
[models.student]
cut_from = "sample-albert"
layers = 2
[finetune]
models = ["sample-bert"]
max_length = 32
grid.learning_rate = [5e-4, 1e-3]
grid.batch_size = 4
grid.epochs = 30
[distill]
students = ["student"]
max_length = 32
epochs = 30
patience = 30
grid.learning_rate = [1e-3]
grid.batch_size = 4
"""
PROFILE = """
scheduler = "slurm"
requests_per_minute = 10000
runs_per_job = 1
environment = {{ SLURM_CONF = "{conf}" }}
setup = ["export PYTHONPATH='{paced}' SLOW_DEVICE=0 FAST_DEVICE='{pace}'"]
[resources.node]
partition = "low"
gres = "gpu:a100:4"
max_minutes = 30
"""
PACED = Path(__file__).resolve().parents[1] / "small_device"
LOST = 9  # the signal of a machine that is not there any more


class Sgonz(Prompt):
    """The command, typed in one folder."""

    def __init__(self, folder: Path, cluster: str) -> None:
        super().__init__(folder)
        self.cluster = cluster
        (folder / "faults.toml").write_text(SWEEP)
        make(self.work / "sample" / "1-60", seed=1, size=60)

    def watch_over(self) -> subprocess.Popen[bytes]:
        """Begin a coordinator, or another one."""
        command = [sys.executable, "-m", "sgonz", "run", "faults.toml", "--cluster", self.cluster]
        with (self.folder / "said").open("ab") as said:
            return subprocess.Popen(command, stdout=said, stderr=said, cwd=self.folder, env=self.environment)

    def finish(self) -> None:
        process = self.watch_over()
        assert process.wait() == 0, (self.folder / "said").read_text()

    def events(self, kind: str, text: str = "", files: str = "*") -> list[dict[str, Any]]:
        lines = [line for path in sorted(self.work.glob(f"jobs/*/events/{files}.jsonl"))
                 for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]  # fmt: skip
        return [event for line in lines if (event := json.loads(line))["type"] == kind and text in str(event)]


def outcome(sgonz: Sgonz) -> dict[str, tuple[Any, ...]]:
    """By run: its scores and a digest of its weights."""
    found = {}
    for row in sgonz.answer("results", "--all"):
        folder = sgonz.work / "runs" / row["run_id"][:2] / row["run_id"]
        weights = sha256((folder / "output" / "model" / "model.safetensors").read_bytes()).hexdigest()
        found[row["run_id"]] = (row["validation_loss"], row["validation"], row["selected"], weights)
    return found


def lose_node(dev: DevCluster, name: str) -> None:
    """As a machine goes: its slurmd, what that started around jobs, and the jobs, with no word to anybody."""
    dev.script("kill", name)
    mine = f"\0SLURM_CONF={dev.environment['SLURM_CONF']}\0".encode()
    for job in dev.ask("squeue", "-h", "-w", name, "-o", "%A").split():
        end_all(mine, lambda command, surrounding, job=job: f"slurmstepd: [{job}.batch]".encode() in command)
    end_all(mine, lambda command, surrounding: f"\0SLURMD_NODENAME={name}\0".encode() in surrounding)


def end_all(mine: bytes, chosen: Callable[[bytes, bytes], bool]) -> None:
    """Other clusters beside this one, whose jobs have the same numbers, are left alone."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            surrounding = b"\0" + (folder / "environ").read_bytes() + b"\0"
            if mine in surrounding and chosen((folder / "cmdline").read_bytes(), surrounding):
                os.kill(int(folder.name), LOST)
        except OSError:
            continue


def test_faults_on_top_of_each_other_change_no_bit(dev: DevCluster, tmp_path: Path) -> None:
    pace = tmp_path / "pace"
    profile = PROFILE.format(conf=dev.environment["SLURM_CONF"], paced=PACED, pace=pace)
    (tmp_path / "mine.toml").write_text(profile)
    quiet = Sgonz(tmp_path / "quiet", "local")
    quiet.finish()
    sgonz = Sgonz(tmp_path / "disturbed", str(tmp_path / "mine.toml"))

    pace.write_text("0.1")  # seconds a step: neither is done before both have begun
    process = sgonz.watch_over()
    eventually(lambda: len({event["run_id"] for event in sgonz.events("epoch_ended")}) == 2)
    process.send_signal(signal.SIGKILL)  # the coordinator; whatever comes now finds nobody watching
    process.wait()
    nodes = dict(line.split() for line in dev.ask("squeue", "-h", "-r", "-o", "%N %i").splitlines())
    lose_node(dev, "n2")
    dev.ask("sbatch", "--partition=high", "--gres=gpu:a100:4", "--nodelist=n1", "--output=/dev/null", "--job-name=high", "--wrap=true")  # fmt: skip
    eventually(lambda: not dev.queue("--name", "high"))
    pace.unlink()
    restart_soon(dev, nodes["n1"])
    process = sgonz.watch_over()
    resumed = f"{nodes['n1'].split('_')[1]}.1"
    eventually(lambda: sgonz.events("epoch_ended", files=resumed))
    process.send_signal(signal.SIGKILL)
    process.wait()
    dev.script("start", "n2")
    restart_soon(dev, nodes["n2"])
    (went_on,) = sgonz.events("run_ready", files=resumed)
    assert went_on["epoch"] >= 1  # from its checkpoint, not from the start

    process = sgonz.watch_over()
    grid = {event["run_id"] for event in sgonz.events("epoch_ended")}
    eventually(lambda: {event["run_id"] for event in sgonz.events("run_started")} - grid)
    pace.write_text("0.2")  # the grid is done; the student is not to be before it is ended
    eventually(lambda: {event["run_id"] for event in sgonz.events("epoch_ended")} - grid)
    dev.ask("scancel", *dev.queue())  # somebody else ends the student's job in the middle
    pace.unlink()
    assert process.wait() == 0
    assert sgonz.answer("status")["kinds"]["distill"] == {"CANCELLED": 1}
    sgonz.say("retry")
    sgonz.finish()

    assert outcome(sgonz) == outcome(quiet)
    ends = Counter(event["run_id"] for event in sgonz.events("run_ended", "COMPLETED"))
    assert set(ends.values()) == {1}  # nothing lost, nothing done twice
    assert len(ends) == len(outcome(quiet)) + 1
    eventually(lambda: not dev.queue())
