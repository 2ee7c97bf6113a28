from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

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


class Nvml(ModuleType):
    """What pynvml offers of a driver: one device, 40 and 60 % busy, 3 kJ more at every look; or one that refuses."""

    def __init__(self, *, refuses: bool) -> None:
        super().__init__("pynvml")
        self.NVMLError = type("NVMLError", (Exception,), {})
        self.uses, self.joules, self.refuses = iter([40, 60]), iter(range(0, 10**8, 3_000_000)), refuses

    def answer(self, found):
        if self.refuses:
            raise self.NVMLError("Driver/library version mismatch")
        return found

    def nvmlInit(self):
        return None

    def nvmlDeviceGetHandleByUUID(self, uuid):
        assert uuid == "GPU-one"
        return "one"

    def nvmlDeviceGetUtilizationRates(self, handle):
        return SimpleNamespace(gpu=self.answer(next(self.uses, 0)))

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        return self.answer(next(self.joules))


@pytest.mark.parametrize(("refuses", "use", "energy"), [(False, 50.0, 3000.0), (True, None, None)])
def test_a_device_is_sampled_and_one_that_refuses_does_no_harm(monkeypatch, refuses, use, energy):
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(refuses=refuses))
    cuda = {"is_available": True, "current_device": 0, "max_memory_allocated": 5 * 2**20,
            "reset_peak_memory_stats": None, "get_device_properties": SimpleNamespace(uuid="one")}  # fmt: skip
    for name, value in cuda.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)
    sampler = Sampler()
    sampler.look()
    used = sampler.summary()
    assert (used.peak_memory_mb, used.device_use, used.energy_joules) == (5.0, use, energy)
    assert (sampler.mean_use, sampler.joules) == (use, energy)
