"""What the doctor finds on a real cluster beyond the everyday culprits of `test_doctor_command.py`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from job_folders import PATIENCE
from slurm_sweeps import DevCluster, profile

from sgonz.checkup import check_up
from sgonz.cluster.doctor import Check, Health
from sgonz.cluster.profile import Resource
from sgonz.rundir import Workdir


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


@pytest.mark.parametrize(
    ("asked", "culprit", "words"),
    [
        ({"gres": "gpu:a100:9"}, "gres of small", ("gpu:a100:9 is asked for", "at most: gpu:a100:4")),
        ({"partition": "short", "max_minutes": 60}, "time of small", ("60 minutes", "max_minutes = 2")),
        ({"cpus": 999}, "cpus of small", ("999 are asked for", "or less")),
        ({"qos": "gold"}, "qos of small", ("gold is not one of yours", "normal")),
        ({"qos": "few,gold"}, "qos of small", ("gold is not one of yours", "normal")),
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
