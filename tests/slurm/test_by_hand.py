"""What a person looks at while jobs run on several nodes, and one run done by hand on a node."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from slurm_sweeps import DevCluster

PROFILE = """
scheduler = "slurm"
requests_per_minute = 10000
runs_per_job = 1
environment = {{ SLURM_CONF = "{conf}" }}
setup = ["export OMP_NUM_THREADS=1", "echo set up on $SLURMD_NODENAME"]
[resources.node]
gres = "gpu:a100:4"
max_minutes = 30
"""
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


class Prompt:
    """Commands typed in one folder."""

    def __init__(self, folder: Path, dev: DevCluster) -> None:
        self.folder = folder
        self.environment = {**dev.environment, "SGONZ_WORKDIR": str(folder / "work"), "OMP_NUM_THREADS": "1"}
        (folder / "mine.toml").write_text(PROFILE.format(conf=dev.environment["SLURM_CONF"]))
        (folder / "short.toml").write_text(SWEEP)

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "sgonz", *arguments]
        return subprocess.Popen(command, cwd=self.folder, env=self.environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip

    def say(self, *arguments: str) -> str:
        process = self.begin(*arguments)
        said, _ = process.communicate()
        assert process.returncode == 0, said
        return said

    def answer(self, *arguments: str) -> Any:
        command = [sys.executable, "-m", "sgonz", *arguments, "--format", "json"]
        return json.loads(subprocess.check_output(command, cwd=self.folder, env=self.environment))


@pytest.mark.slow
def test_logs_are_followed_on_two_nodes_and_a_run_is_done_again_by_hand(
    dev: DevCluster, tmp_path: Path
) -> None:
    prompt = Prompt(tmp_path, dev)
    prompt.say("submit", "short.toml", "--cluster", "mine.toml")
    following = prompt.begin("logs", "-f", "--where", "kind = finetune")
    prompt.say("run", "short.toml", "--cluster", "mine.toml")
    followed, _ = following.communicate(timeout=600)
    assert following.returncode == 0, followed
    results = prompt.answer("results", "--all")
    ids = [row["run_id"] for row in results]
    assert len(ids) == 2
    for run_id in ids:
        lines = [line for line in followed.splitlines() if line.startswith(f"{run_id[:8]} finetune pos/sample-albert | ")]  # fmt: skip
        assert lines, followed
    jobs = prompt.answer("query", "jobs_used")
    assert {job["node"] for job in jobs} == {"n1", "n2"}
    # jobacct_gather samples a step once in two seconds, and when it ends
    assert all(job["peak_memory_mb"] > 50 for job in jobs), jobs

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "work/runs").rglob("*")}
    said = prompt.say("debug", ids[0])
    assert "set up on n" in said  # through srun, with the profile's set-up lines
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "work/runs").rglob("*")} == before
    assert prompt.answer("results", "--all") == results
    assert not list((tmp_path / "work/debug").iterdir())
    assert ids[0][:8] in prompt.say("invalidate", ids[0], "--dry-run")
    unsaid = prompt.begin("invalidate", ids[0])
    assert "Say --reason TEXT" in unsaid.communicate()[0]
    assert unsaid.returncode == 2
    assert "sgonz-debug" in dev.ask("sacct", "-X", "-n", "-o", "JobName%20", "-S", "now-10minutes")
