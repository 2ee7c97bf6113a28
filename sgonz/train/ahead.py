"""What every run would do for the first time: done once by the fork server, which imports this before it forks."""

from __future__ import annotations

import contextlib

import torch
from transformers.conversion_mapping import get_checkpoint_conversion_mapping

from sgonz.train import device
from sgonz.train.quiet import hush


def may_ask_for_gpus() -> bool:
    """Whether asking torch for GPUs leaves the driver alone, which no child could use any more once it has begun.

    NVML answers in its place; it does not where it is missing, or where the GPU is a part of one (MIG).
    """
    if not device.DRIVER.exists() or not torch.cuda._is_compiled():
        return True
    return torch.cuda._device_count_nvml() >= 0


hush()
get_checkpoint_conversion_mapping(
    "bert"
)  # compiles nine hundred patterns, of all models there are, and keeps them
if may_ask_for_gpus():  # DeepSpeed does while it is imported
    with contextlib.suppress(Exception):  # one that is broken is met by the runs that need it
        import deepspeed  # noqa: F401 - accelerate imports it whenever a model is saved, where it is installed
