"""What a dry run prints is what is sent."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from slurm_sweeps import ARRAY_LIMIT, Start

from sgonz.coordinator.rehearsal import scripts


def test_a_dry_run_is_the_submission_to_the_letter_and_writes_nothing(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = start(ARRAY_LIMIT + 1, folder="a 'b' $c", setup=("true 'a b'",))
    before = sorted(sweep.at.workdir.root.rglob("*"))
    thought = list(scripts(sweep.at))
    assert sorted(sweep.at.workdir.root.rglob("*")) == before
    assert not sweep.at.store.live_jobs()

    requests: Any = sweep.at.cluster.requests  # type: ignore[attr-defined]
    really, sent = requests.run, []

    def listen(command: Sequence[str]) -> Any:
        if command[0] == "sbatch":
            sent.append((shlex.join(command), Path(command[-1]).read_text()))
        return really(command)

    monkeypatch.setattr(requests, "run", listen)
    sweep.turn()
    assert [(each.command, each.script) for each in thought] == sent
    assert len(sent) == 2
