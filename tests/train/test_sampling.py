from __future__ import annotations

import pytest
import torch

from sgonz.events import EpochEnded
from sgonz.plan.runs import Kind
from sgonz.train import sampling
from sgonz.train.sampling import Sampler


def test_every_epoch_says_what_it_used(bench):
    ended = bench.do(bench.run("run", Kind.FINETUNE, "text", "albert", settings={"epochs": 2}))
    told = [event for event in bench.events if isinstance(event, EpochEnded)]
    assert len(told) == 2
    assert all(event.peak_memory_mb and event.peak_memory_mb > 50 for event in told)
    assert all(event.host_memory_mb for event in told)
    assert ended.peak_memory_mb == max(event.peak_memory_mb for event in told)
    assert ended.seconds_per_step
    assert ended.device


def test_a_peak_belongs_to_the_stretch_in_which_it_was_reached():
    if not sampling.CLEAR.exists():
        pytest.skip("this system has no /proc/self/clear_refs")
    sampler = Sampler()
    before = sampler.summary().peak_memory_mb
    torch.ones(200 * 2**18)  # 200 MiB, given back at once
    high = sampler.summary().peak_memory_mb
    after = sampler.summary().peak_memory_mb
    assert high > before + 150
    assert after < high - 150
    assert sampler.most_mb == max(before, high, after)


def test_without_a_device_nothing_is_said_of_one():
    if torch.cuda.is_available():
        pytest.skip("there is a device here")
    used = Sampler().summary()
    assert (used.device_use, used.energy_joules) == (None, None)
