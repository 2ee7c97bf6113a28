"""What a run uses while it trains: memory of device and host, how busy the device is, energy; a summary per epoch."""

from __future__ import annotations

import contextlib
import importlib
import re
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import torch

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Used(NamedTuple):
    """Since the summary before; None for what cannot be known here."""

    peak_memory_mb: float  # MiB: the device's where there is one, else the process's
    host_memory_mb: float | None  # MiB of the process
    device_use: float | None  # percent of the time that some kernel ran, mean of what was looked at
    energy_joules: float | None  # of the whole device, others' work on it included


class Sampler:
    """Looks now and then, and sums up; NVML is asked where pynvml is installed and the driver answers."""

    def __init__(self) -> None:
        self.most_mb = 0.0  # of peak_memory_mb in all summaries
        self.most_host_mb: float | None = None
        self.joules: float | None = None  # in all summaries
        self._all_uses: list[float] = []
        self._uses: list[float] = []
        self._nvml, self._handle = _nvml()
        self._energy = self._joules()
        self._begin()

    def look(self) -> None:
        """Note how busy the device is; cheap enough for every few seconds."""
        if self._nvml is not None:
            with contextlib.suppress(self._nvml.NVMLError):
                self._uses.append(float(self._nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu))

    def summary(self) -> Used:
        """What was used since the last summary; begins the next."""
        self.look()
        host, joules = host_peak_mb(), self._joules()
        cuda = torch.cuda.is_available()
        peak = torch.cuda.max_memory_allocated() / 2**20 if cuda else host or 0.0
        used = Used(
            peak_memory_mb=peak, host_memory_mb=host,
            device_use=sum(self._uses) / len(self._uses) if self._uses else None,
            energy_joules=None if joules is None or self._energy is None else joules - self._energy,
        )  # fmt: skip
        self.most_mb = max(self.most_mb, peak)
        if host is not None:
            self.most_host_mb = max(self.most_host_mb or 0.0, host)
        if used.energy_joules is not None:
            self.joules = (self.joules or 0.0) + used.energy_joules
        self._all_uses += self._uses
        self._uses, self._energy = [], joules
        self._begin()
        return used

    @property
    def mean_use(self) -> float | None:
        """How busy the device was, in all summaries."""
        return sum(self._all_uses) / len(self._all_uses) if self._all_uses else None

    def _begin(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        with contextlib.suppress(
            OSError
        ):  # not permitted everywhere: the peak is then that of all epochs so far
            CLEAR.write_text("5")

    def _joules(self) -> float | None:
        if self._nvml is None:
            return None
        try:
            return self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle) / 1000
        except self._nvml.NVMLError:  # older devices do not count
            return None


def host_peak_mb() -> float | None:
    """The most memory that this process held since the mark was last put back, in MiB."""
    try:
        found = re.search(r"^VmHWM:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) / 1024 if found else None


def _nvml() -> tuple[ModuleType | None, object]:
    """NVML and this process's device in it; (None, None) where either is missing."""
    if not torch.cuda.is_available():
        return None, None
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return None, None
    try:
        nvml.nvmlInit()
        uuid = f"GPU-{torch.cuda.get_device_properties(torch.cuda.current_device()).uuid}"
        return nvml, nvml.nvmlDeviceGetHandleByUUID(uuid)
    except nvml.NVMLError:
        return None, None
