"""The device that a run computes on: which one it is, how much of its memory is the run's, and when it is to blame."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from sgonz.errors import SgonzError
from sgonz.plan.nodes import at_node
from sgonz.plan.runs import Kind, RunSpec
from sgonz.train.seat import Seat

DRIVER, DEVICES = Path("/proc/driver/nvidia"), Path("/sys/bus/pci/devices")
NVIDIA, DISPLAY = "0x10de", "0x03"  # a vendor's number, and the first digits of a class of devices
FILLED = 0.95  # of a GPU's memory by all runs on it together; what every process needs besides takes the rest
# What the driver says of a GPU, or of itself, that no run can be blamed for.
BROKEN = (
    "uncorrectable ECC error",
    "busy or unavailable",
    "no CUDA-capable device is detected",
    "unspecified launch failure",
    "hardware stack error",
    "system not yet initialized",
    "Unexpected error from cudaGetDeviceCount",
    "CUDA driver initialization failed",
    "CUDA unknown error",
    "NVIDIA driver on your system is too old",
    "Found no NVIDIA driver",
)


class DeviceError(SgonzError):
    """There is no GPU where one was promised: another node may have it."""


def take_device(seat: Seat) -> torch.device:
    """The device of one process; it is this process's current one from here on."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda")
    if seat.local_rank:
        # Where the cluster gives every process a GPU of its own, each sees but one.
        device = torch.device("cuda", seat.local_rank % torch.cuda.device_count())
        torch.cuda.set_device(device)
    if seat.sharers > 1:  # what one of them holds in reserve the others cannot have
        torch.cuda.set_per_process_memory_fraction(FILLED / seat.sharers)
    return device


def memory_mb(device: torch.device, seat: Seat) -> float:
    """MiB of a GPU that the process may fill."""
    whole = torch.cuda.get_device_properties(device).total_memory / 2**20
    return whole / seat.sharers


def check_device(spec: RunSpec, seat: Seat, device: torch.device) -> None:
    """Raise DeviceError where a run would compute on processors although its job was given a GPU that is there."""
    by_itself = spec.kind is Kind.BENCHMARK and spec.measure is not None and spec.measure.device == "cpu"
    if not seat.on_gpu or device.type != "cpu" or by_itself or not nvidia_is_here():
        return
    given = os.environ.get("CUDA_VISIBLE_DEVICES") or "none"
    built = (
        f"is built for CUDA {torch.version.cuda}" if torch.version.cuda else "is built for processors alone"
    )
    raise DeviceError(
        f"the job asked for a GPU, and torch sees none (CUDA_VISIBLE_DEVICES: {given}); torch {torch.__version__} {built}",
        hint="See `sgonz doctor`; with real_gpus = false in the profile runs compute on processors.",
    )


def nvidia_is_here() -> bool:
    """Whether the machine has a GPU of NVIDIA's, whatever becomes of its driver; on a trial cluster GPUs are names."""
    if (DRIVER / "gpus").is_dir():
        return True
    for card in DEVICES.glob("*"):
        try:
            found = (card / "vendor").read_text().strip(), (card / "class").read_text()[:4]
        except OSError:
            continue
        if found == (NVIDIA, DISPLAY):
            return True
    return False


def blamed(error: BaseException) -> str:
    """What the signature of an error ends with that is the fault of the node's device; nothing for others."""
    at_fault = isinstance(error, RuntimeError) and any(words in str(error) for words in BROKEN)
    if not at_fault and not isinstance(error, DeviceError):
        return ""
    return at_node(os.environ.get("SLURMD_NODENAME") or os.uname().nodename)
