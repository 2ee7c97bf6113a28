"""Configurations of DeepSpeed, as resource classes name them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from sgonz.errors import SpecError
from sgonz.resources import shipped

FOLDER = "cluster_configs/deepspeed"
# What follows from the run: its batch size, clipping, precision and optimizer.
DECIDED = {
    "train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping",
    "managed_gradient_accumulation", "optimizer", "scheduler", "fp16", "bf16", "amp", "torch_autocast",
}  # fmt: skip
STAGES = (1, 2, 3)


def read(name: str, profile: str) -> dict[str, Any]:
    """A file by its path, as seen from the profile, or by its name among those that ship.

    Raises SpecError: no such file, no JSON object, a stage or a key that cannot be used.
    """
    folders = [Path(profile).parent, Path(profile).parent / "deepspeed", Path(FOLDER), shipped("cluster_configs") / "deepspeed"]  # fmt: skip
    path = next((file for folder in folders if (file := folder / name).is_file()), None)
    if path is None:
        known = sorted(file.name for file in folders[-1].glob("*.json"))
        raise SpecError(
            f"{profile}: there is no DeepSpeed configuration {name}",
            hint=f"Shipped: {', '.join(known)}. One of your own is given by its path.",
        )
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise SpecError(f"{path} is not a JSON object: {error}") from error
    if ours := sorted(DECIDED & found.keys()):
        raise SpecError(f"{path}: {ours[0]} follows from the run", hint="Leave it out.")
    zero = found.get("zero_optimization")
    stage = zero.get("stage") if isinstance(zero, dict) else None
    if stage not in STAGES:
        raise SpecError(f"{path}: zero_optimization.stage is {stage}", hint="Allowed: 1, 2, 3.")
    return found


def gpus_in(gres: str | None) -> int:
    """How many GPUs a node is asked for: gpu:a100:2, gpu:2, gpu."""
    found = 0
    for asked in (gres or "").split(","):
        kind, *rest = re.sub(r"\(.*?\)", "", asked).removeprefix("gres:").removeprefix("gres/").split(":")
        if kind == "gpu":
            found += int(rest[-1]) if rest and rest[-1].isdigit() else 1
    return found
