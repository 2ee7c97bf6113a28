"""When memory runs out: how that is recognised, and how work is made smaller until it fits."""

from __future__ import annotations

import errno
import gc
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import msgspec
import numpy as np
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from sgonz.rundir import RunDir, write_atomic
from sgonz.train import batches

Found = TypeVar("Found")
# What torch raises as a plain RuntimeError, by its words: its CPU allocator, drivers, and libraries under it.
PHRASES = (
    "can't allocate memory",
    "Cannot allocate memory (12)",
    "not enough memory: you tried to allocate",
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUDA driver error: out of memory",
    "CUDA_ERROR_OUT_OF_MEMORY",
    "'out of memory'",  # NCCL's word for what CUDA told it
    "Failed to CUDA calloc",  # of NCCL's own buffers
    "HIP out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
    "NVML_SUCCESS == r INTERNAL ASSERT FAILED",  # torch asks NVML when memory has run out, and got no answer
)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device, or the machine, has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:  # a file that could not be mapped
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in PHRASES)


def in_fitting_parts(
    rows: np.ndarray,
    micro_batch: int,
    work: Callable[[np.ndarray], Found],
    shrunk: Callable[[int], None],
    *,
    repeat: bool = True,
) -> tuple[list[Found], int]:
    """What `work` makes of the rows in micro-batches, and the size of those that fitted.

    Where memory runs out all of them are done again at half the size, of which `shrunk` hears before; raises what a
    single row raises, and anything where others would be left waiting (`repeat` false).
    """
    while True:
        try:
            return [work(part) for part in batches.micro_batches(rows, micro_batch)], micro_batch
        except Exception as error:
            if not repeat or micro_batch == 1 or not out_of_memory(error):
                raise
        micro_batch = half(micro_batch, len(rows))  # outside of the handler, which keeps tensors alive
        shrunk(micro_batch)
        give_back()


def half(micro_batch: int, rows: int) -> int:
    """The next smaller size that splits these rows further."""
    return max(1, -(-min(micro_batch, rows) // 2))


def recompute_activations(model: nn.Module) -> None:
    """Keep every layer's input alone and compute the rest again on the way back: the same numbers, a third slower.

    transformers' own switch knows no ALBERT. A layer is a member of a list of modules without a list inside.
    """
    for members in model.modules():
        for layer in members if isinstance(members, nn.ModuleList) else ():
            if not any(isinstance(inner, nn.ModuleList) for inner in layer.modules()):
                layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)


def leave_smaller(run: RunDir, micro_batch: int, recompute: bool) -> tuple[int, bool] | None:
    """After an attempt that memory ended where no step can be made again: how the next one is to begin.

    None where nothing smaller is left.
    """
    if micro_batch == 1 and recompute:
        return None
    smaller = (half(micro_batch, micro_batch), recompute) if micro_batch > 1 else (1, True)
    write_atomic(run.smaller, msgspec.json.encode(smaller))
    return smaller


def smaller(run: RunDir, micro_batch: int, recompute: bool) -> tuple[int, bool]:
    """How a run begins: as given, or smaller where an attempt before has left word."""
    try:
        left = msgspec.json.decode(run.smaller.read_bytes(), type=tuple[int, bool])
    except FileNotFoundError:
        return micro_batch, recompute
    return min(micro_batch, left[0]), recompute or left[1]


def give_back() -> None:
    """Return what torch's allocator holds but does not use to the device, cycles of what failed included."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
