"""On PYTHONPATH, makes every run's device too small: SMALL_DEVICE is how many rows a model can embed at a time.

SMALL_DEVICE=3 for every process, or 3@1 for the process with rank 1 alone; with SMALL_DEVICE_KEEPS=1 anything fits
once activations are recomputed. SMALL_HOST is how many GiB of the host's memory a step takes beside: more than its job
asked Slurm for, and there are none. SLOW_DEVICE is how many seconds every such look-up takes, until the file FAST_DEVICE
is there: from then on as many as stand in it, or none.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import resource
import sys
import time


class Watch(importlib.abc.MetaPathFinder):
    """Waits for the training loop to be imported, which brings torch; importing it here would slow everything."""

    def find_spec(self, name, path, target=None):
        if name != "sgonz.train.loop":
            return None
        sys.meta_path.remove(self)
        shrink()
        return importlib.util.find_spec(name)


def take_from_host(needed, given):
    """Ask torch's allocator for memory under the limit that a job was given, and return it: none of it is touched."""
    import torch

    with open("/proc/self/statm") as pages:
        here = int(pages.read().split()[0]) * resource.getpagesize()
    usual = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (here + given, usual[1]))
    try:
        torch.empty(needed, dtype=torch.uint8)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, usual)


def pace(pause):
    try:
        with open(os.environ.get("FAST_DEVICE", "")) as file:
            return float(file.read() or 0)
    except FileNotFoundError:
        return pause


def shrink():
    import torch
    from torch import nn
    from torch.nn.modules.module import register_module_forward_pre_hook

    from sgonz.train import memory

    rows, _, rank = os.environ.get("SMALL_DEVICE", "1000000").partition("@")
    needed = int(os.environ.get("SMALL_HOST", "0")) << 30
    given = int(os.environ.get("SLURM_MEM_PER_NODE", "0")) << 20
    pause = float(os.environ.get("SLOW_DEVICE", "0"))
    recomputing = []
    recompute = memory.recompute_activations
    memory.recompute_activations = lambda model: (recomputing.append(True), recompute(model))[1]

    def allocate(module, arguments):
        read = arguments[0] if arguments and isinstance(module, nn.Embedding) else None
        if not isinstance(read, torch.Tensor) or read.ndim != 2:
            return
        if needed:
            take_from_host(needed, given)
        time.sleep(pace(pause))
        mine = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
        if len(read) <= int(rows) or (rank and mine != int(rank)):
            return
        if not (recomputing and os.environ.get("SMALL_DEVICE_KEEPS")):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    register_module_forward_pre_hook(allocate)


if {"SMALL_DEVICE", "SMALL_HOST", "SLOW_DEVICE"} & os.environ.keys():
    sys.meta_path.insert(0, Watch())
