from __future__ import annotations

import pytest

from sgonz.plan.choice import Limit, Need, choose

CLASSES = (Limit(name="t4", gpu_memory_gb=16, max_minutes=240), Limit(name="a100", gpu_memory_gb=40),
           Limit(name="h100", gpu_memory_gb=80, max_minutes=60))  # fmt: skip


@pytest.mark.parametrize(
    ("need", "name", "why"),
    [
        (Need(), "t4", "the first of its classes"),
        (Need(memory_gb=15.9, minutes=240), "t4", "the first of its classes"),
        (Need(memory_gb=20), "a100", "not t4: a run takes about 20.0 GB, its GPU has 16"),
        (Need(minutes=300), "a100", "not t4: a run takes about 300 minutes, it ends jobs after 240"),
        (Need(memory_gb=60, minutes=30), "h100", "not a100: a run takes about 60.0 GB, its GPU has 40"),
        (Need(memory_gb=100), "h100", "the largest, and yet a run takes about 100.0 GB, its GPU has 80"),
        (Need(memory_gb=60, minutes=90), "h100", "the largest, and yet a run takes about 90 minutes"),
    ],
)
def test_the_first_class_whose_limits_are_kept_is_chosen(need: Need, name: str, why: str) -> None:
    found = choose(CLASSES, need)
    assert (found.name, why in found.why) == (name, True), found
