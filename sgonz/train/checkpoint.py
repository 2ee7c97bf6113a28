"""Checkpoints of a run: whole folders that replace each other, so that a kill at any moment leaves one to go on from."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import safetensors.torch
import torch
from torch import Tensor, nn

from sgonz.plan.runs import Outcome
from sgonz.rundir import RunDir, disk_errors, still_holds

WEIGHTS, STATE, BEST = "model.safetensors", "state.pt", "best.json"


class TakenOver(Exception):
    """A later attempt holds the run: this one must not change its folder."""

    outcome = Outcome.PREEMPTED


class Best(msgspec.Struct, frozen=True, kw_only=True):
    """What the best checkpoint scored when it was written."""

    epoch: int
    step: int
    loss: float
    scores: dict[str, float]


@dataclass(kw_only=True)
class Position:
    """Where training stands."""

    epoch: int = 0  # epochs done
    step: int = 0  # steps done inside the epoch
    micro_batch: int
    loss_sum: Tensor  # float64, of the steps since the last validation
    loss_steps: int = 0
    epoch_best: float | None = None  # among the validations inside this epoch
    recompute: bool = False  # activations are not kept, see step.Fit
    scored_step: int = 0  # of this epoch, where the last of them was
    reading: int | None = None  # rows at a time where less fits while scoring than while learning


def put(run: RunDir, attempt: int, folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill a folder under a temporary name and let it take the place of the one before."""
    draft, aside = beside(folder, "draft"), beside(folder, "old")
    with disk_errors(folder):
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        fill(draft)
        for file in draft.iterdir():
            sync(file)
        if not still_holds(run, attempt):
            shutil.rmtree(draft)
            raise TakenOver(f"attempt {attempt} no longer holds {run.root.name}")
        if folder.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
            os.rename(folder, aside)
        os.rename(draft, folder)
        shutil.rmtree(aside, ignore_errors=True)


def find(folder: Path) -> Path | None:
    """The checkpoint there; the one before it if a writer was killed between its two renames."""
    return next((place for place in (folder, beside(folder, "old")) if place.is_dir()), None)


def save_weights(file: Path, model: nn.Module) -> None:
    if (tensors := apart(model)) is not None:
        safetensors.torch.save_file(tensors, file)
    else:
        safetensors.torch.save_model(model, str(file))


def load_weights(file: Path, model: nn.Module) -> None:
    if apart(model) is None:
        safetensors.torch.load_model(model, str(file), device=str(next(model.parameters()).device))
        return
    own = model.state_dict()  # the same memory
    for name, tensor in safetensors.torch.load_file(file).items():
        own[name].copy_(tensor)


def apart(model: nn.Module) -> dict[str, Tensor] | None:
    """A model's tensors, each in memory of its own and once; None where they lie so already, which is usual.

    DeepSpeed lays them one behind the other, and a file format that knows whole memories alone refuses that.
    """
    if all(each.untyped_storage().nbytes() == each.nbytes for each in model.parameters()):
        return None
    found: dict[tuple[int, int], tuple[str, Tensor]] = {}
    for name, tensor in model.state_dict().items():
        found.setdefault((tensor.data_ptr(), tensor.numel()), (name, tensor))
    return {name: tensor.detach().clone().contiguous() for name, tensor in found.values()}


def save_state(file: Path, state: dict[str, Any]) -> None:
    torch.save(state, file)


def load_state(file: Path) -> dict[str, Any]:
    return torch.load(file, map_location="cpu", weights_only=True)


def save_best(folder: Path, model: nn.Module, best: Best) -> None:
    save_weights(folder / WEIGHTS, model)
    (folder / BEST).write_bytes(msgspec.json.encode(best))


def load_best(folder: Path) -> Best:
    return msgspec.json.decode((folder / BEST).read_bytes(), type=Best)


def beside(folder: Path, word: str) -> Path:
    return folder.with_name(f".{folder.name}.{word}")


def sync(file: Path) -> None:
    """Bring a file to the disk before a name promises it."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
