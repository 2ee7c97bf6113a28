"""`sgonz doctor` as it is typed: exit status 0 where all is well, else 1 and the one culprit, with what helps."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from job_folders import PATIENCE, eventually
from slurm_sweeps import DevCluster

from sgonz.cluster.doctor import Health

PROFILE = """
scheduler = "slurm"
real_gpus = false
environment = {{ SLURM_CONF = "{conf}" }}
[resources.a100]
partition = "{partition}"
gres = "{gres}"
max_minutes = 10
sbatch = ["--nodelist=n2"]
"""
LOOKED_AT = {
    "commands", "controller", "partition of a100", "gres of a100", "accounting", "file system", "space", "quota",
    "database", "probe job", "work folder", "python", "torch", "event files", "clock", "hub cache",
}  # fmt: skip


def doctor(
    dev: DevCluster,
    folder: Path,
    cluster: str | None = None,
    *,
    partition: str = "normal",
    gres: str = "gpu:a100:1",
    python: str = sys.executable,
) -> tuple[int, dict[str, dict[str, str]]]:
    """The exit status, and every line by what it is about."""
    folder.mkdir(parents=True, exist_ok=True)
    mine = folder / "mine.toml"
    mine.write_text(PROFILE.format(conf=dev.environment["SLURM_CONF"], partition=partition, gres=gres))
    command = [python, "-m", "sgonz", "doctor", cluster or str(mine), "--workdir", str(folder / "work"),
               "--wait", str(PATIENCE), "--format", "json"]  # fmt: skip
    known = os.pathsep.join(filter(None, sys.path))  # a python of another folder finds what ours does
    done = subprocess.run(command, env={**dev.environment, "PYTHONPATH": known}, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, {line["check"]: line for line in json.loads(done.stdout)}


def assert_culprit(answer: tuple[int, dict[str, dict[str, str]]], culprit: str, *words: str) -> None:
    """It alone is red, says this, and the exit status tells."""
    code, lines = answer
    assert [name for name, line in lines.items() if line["health"] == Health.RED] == [culprit], lines
    assert code == 1
    assert lines[culprit]["remedy"]
    said = f"{lines[culprit]['said']} {lines[culprit]['remedy']}"
    assert all(word in said for word in words), said


def test_a_healthy_cluster_is_green_from_end_to_end(dev: DevCluster, tmp_path: Path) -> None:
    code, lines = doctor(dev, tmp_path, "dev")
    worse = {name: line for name, line in lines.items() if line["health"] != Health.GREEN}
    assert set(worse) <= {"space"}, worse  # the machine's own disk may be full
    assert code == 0
    assert set(lines) >= LOOKED_AT
    assert not list((tmp_path / "work").glob(".doctor*"))


def test_a_wrong_partition_is_named(dev: DevCluster, tmp_path: Path) -> None:
    answer = doctor(dev, tmp_path, partition="nowhere")
    assert_culprit(answer, "partition of a100", "no partition nowhere", "open to you: normal, short")
    assert "probe job" not in answer[1]


def test_gpus_that_are_not_there_are_named(dev: DevCluster, tmp_path: Path) -> None:
    answer = doctor(dev, tmp_path, gres="gpu:h100:1")
    assert_culprit(answer, "gres of a100", "gpu:h100:1 is asked for", "at most: gpu:a100:4")
    assert "probe job" not in answer[1]


def test_a_controller_that_is_down_is_named(dev: DevCluster, tmp_path: Path) -> None:
    dev.script("stop", "slurmctld")
    try:
        answer = doctor(dev, tmp_path)
    finally:
        dev.script("start", "slurmctld")
    assert_culprit(answer, "controller", "DOWN", "Nothing is lost")
    assert "***" not in answer[1]["controller"]["said"]


@pytest.fixture(scope="module")
def apart(cluster: DevCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder over which the second node has an empty file system of its own, as where a disk is not shared."""
    folder = tmp_path_factory.mktemp("apart")
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not give a process mounts of its own (unshare --mount)")
    cluster.script("stop", "n2")
    command = f"mount -t tmpfs none '{folder}' && exec slurmd -D -N n2"
    with (cluster.home / "log/n2.apart").open("wb") as output:
        node = subprocess.Popen(["unshare", "--mount", "sh", "-c", command], env=cluster.environment,
                                stdout=output, stderr=output, start_new_session=True)  # fmt: skip
    try:
        idle = ("sinfo", "-h", "-N", "-p", "normal", "-n", "n2", "-t", "idle", "-o", "%N")
        eventually(lambda: cluster.ask(*idle).strip() == "n2")
        yield folder
    finally:
        os.kill(node.pid, signal.SIGTERM)
        node.wait()
        cluster.script("start", "n2")
        cluster.script("up")


def test_a_work_folder_that_nodes_do_not_share_is_named(dev: DevCluster, apart: Path) -> None:
    assert_culprit(doctor(dev, apart), "work folder", "on n2: not shared", "--workdir")


def test_an_interpreter_that_a_node_lacks_is_named(dev: DevCluster, apart: Path, tmp_path: Path) -> None:
    python = apart / "venv/bin/python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    answer = doctor(dev, tmp_path, python=str(python))
    assert_culprit(answer, "python", f"{python} is not there on n2", "every node sees")
