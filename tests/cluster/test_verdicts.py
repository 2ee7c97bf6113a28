"""What a probe's answers are taken for."""

from __future__ import annotations

from typing import Any

import pytest

from sgonz.cluster.doctor import Health, judge_quota
from sgonz.cluster.probing import HIDDEN, NO_PYTHON, NO_SGONZ, SETUP, UNWRITABLE, Probe
from sgonz.cluster.profile import Resource
from sgonz.cluster.quota_words import read_quota
from sgonz.cluster.verdicts import judge

GPU = Resource(gres="gpu:a100:1")


def answered(**report: Any) -> Probe:
    """A probe whose node writes at 100 on our clock and is seen and answered at once."""
    known = {"time": 100.0, "host": "g1", "sgonz": "1", "python": "3.12", "executable": "/venv/bin/python", "heard": 100.2,
             "torch": "2.9", "torch_error": None, "given": "0", "gpus": ["NVIDIA A100"], "hub_cache": "/hf/hub", "absent": []}  # fmt: skip
    return Probe(
        state="COMPLETED", exit_code="0:0", node="g1", seen=100.1, echoed=100.1, report={**known, **report}
    )


def lines(found: Probe, resource: Resource | None = GPU) -> dict[str, Any]:
    return {check.check: check for check in judge(found, resource, "/work", "/venv/bin/python", "1")}


def test_a_node_where_all_is_well_is_green() -> None:
    assert {check.health for check in lines(answered()).values()} == {Health.GREEN}


@pytest.mark.parametrize(
    ("report", "check", "health", "words"),
    [
        ({"sgonz": "0.9"}, "python", Health.RED, "sgonz 0.9 on g1, but 1 here"),
        ({"torch": None, "torch_error": "OSError: libcudart"}, "torch", Health.RED, "libcudart"),
        ({"gpus": []}, "torch", Health.YELLOW, "computes on 0 of 1 GPUs"),
        (
            {"gpus": [], "nvidia": True, "gpu_error": "Torch not compiled with CUDA enabled"},
            "torch",
            Health.RED,
            "computes on 0 of 1 GPUs (given: 0): Torch not compiled with CUDA enabled",
        ),
        ({"absent": ["org/model"]}, "hub cache", Health.RED, "/hf/hub lacks org/model"),
        ({"heard": 130.0}, "event files", Health.YELLOW, "after 15.0 s"),
        ({"heard": None}, "event files", Health.YELLOW, "did not see a file"),
        ({"time": 160.0, "heard": 160.2}, "clock", Health.YELLOW, "+60 s off"),
    ],
)
def test_each_fault_of_a_node_is_a_line(
    report: dict[str, Any], check: str, health: Health, words: str
) -> None:
    found = lines(answered(**report))
    assert found[check].health is health
    assert words in found[check].said
    assert all(other.health is Health.GREEN for name, other in found.items() if name != check)


@pytest.mark.parametrize(
    ("status", "check", "words"),
    [(HIDDEN, "work folder", "not shared"), (UNWRITABLE, "work folder", "cannot be written"), (SETUP, "set-up lines", "no cuda"),
     (NO_PYTHON, "python", "is not there on g1"), (NO_SGONZ, "python", "no cuda"), (7, "probe job", "FAILED")],
)  # fmt: skip
def test_an_exit_status_tells_how_far_a_probe_came(status: int, check: str, words: str) -> None:
    found = Probe(
        state="FAILED", exit_code=f"{status}:0", node="g1", reason="NonZeroExitCode", output="x\nno cuda\n"
    )
    (line,) = lines(found).values()
    assert (line.check, line.health) == (check, Health.RED)
    assert words in line.said


def test_quotas_are_read_where_there_is_a_limit() -> None:
    said = """\
Disk quotas for user me (uid 1000):
     Filesystem  blocks   quota   limit   grace   files   quota   limit   grace
          /home 10485760* 10485760 11534336 6days 900 0 0 0
       /scratch 1048576 0 104857600 0 1 0 0 0
           /tmp 1048576 0 0 0 1 0 0 0
"""
    quotas = read_quota(said)
    assert [(each.device, each.used, each.limit) for each in quotas] == [
        ("/home", 10.0, 10.0),
        ("/scratch", 1.0, 100.0),
    ]
    assert [check.health for check in judge_quota(quotas)] == [Health.RED, Health.GREEN]
    assert [check.health for check in judge_quota([])] == [Health.GREEN]
