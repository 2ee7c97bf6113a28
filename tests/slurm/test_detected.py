"""What `sgonz cluster detect` writes is used as it stands: looked over by the doctor, and trained on."""

from __future__ import annotations

from pathlib import Path

import pytest
from slurm_sweeps import DevCluster
from typed import SHORT, Prompt


@pytest.mark.slow
def test_a_detected_profile_trains_without_a_hand_edit(dev: DevCluster, tmp_path: Path) -> None:
    (tmp_path / "short.toml").write_text(SHORT)
    prompt = Prompt(tmp_path, SLURM_CONF=dev.environment["SLURM_CONF"])
    prompt.say("cluster", "detect", "-o", "found.toml")
    looked = {line["check"]: line["health"] for line in prompt.answer("doctor", "found.toml")}
    assert "red" not in looked.values()
    assert looked["probe job"] == "green"
    prompt.say("run", "short.toml", "--cluster", "found.toml")
    assert prompt.answer("status")["kinds"]["finetune"] == {"COMPLETED": 2}
