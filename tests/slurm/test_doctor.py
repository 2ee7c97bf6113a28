"""The doctor on a real cluster: green when it is well, and the right culprit when it is not."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from job_folders import eventually
from slurm_sweeps import DevCluster, profile

from sgonz.checkup import check_up
from sgonz.cluster.doctor import Check, Health
from sgonz.cluster.profile import Resource
from sgonz.rundir import Workdir

PATIENCE = 120.0


def examined(
    dev: DevCluster,
    folder: Path,
    *,
    python: str = sys.executable,
    setup: tuple[str, ...] = (),
    **asked: object,
) -> dict[str, Check]:
    """Every line of a check-up, by what it is about."""
    resource = Resource(**{"gres": "gpu:a100:1", "max_minutes": 10, **asked})  # type: ignore[arg-type]
    used = profile(
        dev.environment["SLURM_CONF"], folder, setup=setup, resources={"small": resource}, real_gpus=False
    )
    lines = check_up(used, Workdir(folder), None, wait=PATIENCE, python=python)
    return {check.check: check for check in lines}


def culprits(found: dict[str, Check]) -> list[str]:
    return [name for name, check in found.items() if check.health is Health.RED]


def test_a_healthy_cluster_is_green_from_end_to_end(dev: DevCluster, tmp_path: Path) -> None:
    found = examined(dev, tmp_path / "work")
    worse = {name: check for name, check in found.items() if check.health is not Health.GREEN}
    assert set(worse) <= {"space"}, worse  # the machine's own disk may be full
    assert {"commands", "controller", "partition of small", "gres of small", "accounting", "file system", "database",
            "probe job", "work folder", "python", "torch", "event files", "clock", "hub cache"} <= set(found)  # fmt: skip
    assert not list((tmp_path / "work").glob(".doctor*"))


@pytest.mark.parametrize(
    ("asked", "culprit", "words"),
    [
        (
            {"partition": "nowhere"},
            "partition of small",
            ("nowhere", "open to you: normal, short, low, high"),
        ),
        ({"gres": "gpu:h100:1"}, "gres of small", ("gpu:h100:1 is asked for", "at most: gpu:a100:4")),
        ({"gres": "gpu:a100:9"}, "gres of small", ("gpu:a100:9 is asked for", "at most: gpu:a100:4")),
        ({"partition": "short", "max_minutes": 60}, "time of small", ("60 minutes", "max_minutes = 2")),
        ({"cpus": 999}, "cpus of small", ("999 are asked for", "or less")),
        ({"qos": "gold"}, "qos of small", ("gold is not one of yours", "normal")),
    ],
)
def test_what_the_site_does_not_have_is_named_before_anything_is_sent(
    dev: DevCluster, tmp_path: Path, asked: dict[str, object], culprit: str, words: tuple[str, ...]
) -> None:
    found = examined(dev, tmp_path / "work", **asked)
    assert culprits(found) == [culprit]
    assert all(word in f"{found[culprit].said} {found[culprit].remedy}" for word in words), found[culprit]
    assert "probe job" not in found


def test_a_set_up_line_that_fails_is_named_with_what_it_said(dev: DevCluster, tmp_path: Path) -> None:
    found = examined(dev, tmp_path / "work", setup=("echo 'no module cuda {}' >&2; false",))
    assert culprits(found) == ["set-up lines"]
    assert "no module cuda {}" in found["set-up lines"].said


def test_a_controller_that_is_down_is_named(dev: DevCluster, tmp_path: Path) -> None:
    dev.script("stop", "slurmctld")
    try:
        found = examined(dev, tmp_path / "work")
    finally:
        dev.script("start", "slurmctld")
    assert culprits(found) == ["controller"]
    assert "DOWN" in found["controller"].said


@dataclass(frozen=True)
class Apart:
    """A node that does not see what this machine has in one folder."""

    folder: Path
    nodelist: str = "--nodelist=n2"


@pytest.fixture(scope="module")
def apart(dev: DevCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    """The second node with an empty file system of its own over a folder, as where a disk is not shared."""
    folder = tmp_path_factory.mktemp("apart")
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not give a process mounts of its own (unshare --mount)")
    dev.script("stop", "n2")
    command = f"mount -t tmpfs none '{folder}' && exec slurmd -D -N n2"
    with (dev.home / "log/n2.apart").open("wb") as output:
        node = subprocess.Popen(["unshare", "--mount", "sh", "-c", command], env=dev.environment,
                                stdout=output, stderr=output, start_new_session=True)  # fmt: skip
    try:
        idle = ("sinfo", "-h", "-N", "-p", "normal", "-n", "n2", "-t", "idle", "-o", "%N")
        eventually(lambda: dev.ask(*idle).strip() == "n2", patience=PATIENCE)
        yield Apart(folder)
    finally:
        os.kill(node.pid, signal.SIGTERM)
        node.wait()
        dev.script("start", "n2")
        dev.script("up")


def test_a_work_folder_that_nodes_do_not_share_is_named(dev: DevCluster, apart: Apart) -> None:
    found = examined(dev, apart.folder / "work", sbatch=(apart.nodelist,))
    assert culprits(found) == ["work folder"]
    assert "on n2: not shared" in found["work folder"].said
    assert "--workdir" in found["work folder"].remedy


def test_an_interpreter_that_a_node_lacks_is_named(dev: DevCluster, apart: Apart, tmp_path: Path) -> None:
    python = apart.folder / "venv/bin/python"
    python.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(shutil.which("true") or "/bin/true", python)
    found = examined(dev, tmp_path / "work", python=str(python), sbatch=(apart.nodelist,))
    assert culprits(found) == ["python"]
    assert f"{python} is not there on n2" in found["python"].said


def test_an_interpreter_without_sgonz_is_named(dev: DevCluster, tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -E "$@"\n')
    bare.chmod(0o755)
    found = examined(dev, tmp_path / "work", python=str(bare))
    assert culprits(found) == ["python"]
    assert "cannot import sgonz" in found["python"].said


def test_a_job_that_does_not_start_in_time_is_no_fault_and_is_taken_back(
    dev: DevCluster, tmp_path: Path
) -> None:
    resource = Resource(sbatch=("--hold",), max_minutes=10)
    used = profile(dev.environment["SLURM_CONF"], tmp_path, resources={"small": resource}, setup=())
    found = {check.check: check for check in check_up(used, Workdir(tmp_path / "work"), None, wait=3.0)}
    assert found["probe job"].health is Health.YELLOW
    assert "JobHeldUser" in found["probe job"].said
    assert not [name for name in dev.ask("squeue", "-h", "-o", "%j").split() if "doctor" in name]
