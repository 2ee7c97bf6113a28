"""Slurm's commands where they are slow to answer."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from sgonz.cli.main import sgonz
from sgonz.cli.working import Working
from sgonz.cluster import slurm_limits, slurm_requests
from sgonz.cluster.base import NoAnswer
from sgonz.cluster.slurm_requests import Requests


def test_a_long_wait_for_an_answer_is_told_once_while_it_lasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm_requests, "LATE_SECONDS", 0.1)
    told, slow = tmp_path / "told", tmp_path / "squeue"
    slow.write_text(f"#!/bin/sh\nwhile [ ! -e '{told}' ]; do sleep 0.05; done\necho here\n")
    slow.chmod(0o755)
    requests = Requests(60.0, {"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    said: list[str] = []

    def hear(text: str) -> None:
        said.append(text)
        told.touch()

    requests.when_late = hear
    assert requests.ask("squeue") == "here\n"
    assert said == ["squeue has not answered yet; it is given 30 s"]


def test_who_may_only_read_a_work_folder_is_answered_too(
    commands: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    requests = Requests(60.0, commands)
    requests.keep_in(Path("/somebody/elses"))
    monkeypatch.setattr(slurm_requests, "write_atomic", refuse)
    assert "AccountingStorageEnforce" in requests.ask("scontrol", "show", "config")


def test_detect_says_also_in_a_pipe_that_slurm_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm_requests, "LATE_SECONDS", 0.1)
    told, silent, said = tmp_path / "told", tmp_path / "sinfo", Working.say
    silent.write_text(f"#!/bin/sh\nwhile [ ! -e '{told}' ]; do sleep 0.05; done\nexit 1\n")
    silent.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(Working, "say", lambda shown, text: (said(shown, text), told.touch()))
    done = CliRunner().invoke(sgonz, ["cluster", "detect"])
    assert "sinfo has not answered yet; it is given 30 s" in done.stderr
    assert isinstance(done.exception, NoAnswer)


@pytest.fixture
def commands(tmp_path: Path) -> dict[str, str]:
    """Commands of a Slurm that enforces limits; every call is a line in `asked`."""
    answers = {
        "scontrol": "ClusterName = c\nAccountingStorageType = accounting_storage/slurmdbd\n"
        "AccountingStorageEnforce = limits\nMaxArraySize = 11\n",
        "sacctmgr": "",
    }
    for name, answer in answers.items():
        command = tmp_path / name
        command.write_text(f"#!/bin/sh\necho {name} >> '{tmp_path}/asked'\nprintf '%s' '{answer}'\n")
        command.chmod(0o755)
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}


def test_limits_are_asked_once_for_all_commands_of_a_while(
    tmp_path: Path, commands: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked() -> int:
        return len((tmp_path / "asked").read_text().splitlines())

    def limits(**environment: str) -> int:
        requests = Requests(4.0, commands | environment)
        requests.keep_in(tmp_path)
        return slurm_limits.recent_limits(requests).array

    assert limits() == 11
    before = asked()
    assert limits() == 11
    assert asked() == before
    assert limits(SLURM_CONF="/another") == 11
    assert asked() == 2 * before
    monkeypatch.setattr(slurm_limits, "KEPT_SECONDS", 0.0)
    limits(SLURM_CONF="/another")
    assert asked() == 3 * before


def test_many_requests_at_once_put_off_the_next_look_by_a_minute_at_most(
    tmp_path: Path, commands: dict[str, str]
) -> None:
    requests = Requests(4.0, commands)
    requests.keep_in(tmp_path)
    requests.ask("scontrol")
    assert 0 < requests.pause() <= 15
    for _ in range(20):
        requests.ask("scontrol")
    assert 15 < requests.pause() <= 60
    requests.forgive()
    assert requests.may_look
