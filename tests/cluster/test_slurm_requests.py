"""Slurm's commands where they are slow to answer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sgonz.cluster import slurm_requests
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
