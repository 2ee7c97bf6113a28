"""Which arithmetic a run uses on its device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch

from sgonz.plan.protocol import SwitchValue
from sgonz.plan.runs import Kind, Precision

Resolved = Literal["fp32", "bf16", "fp16"]
AUTOCAST = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}  # our word -> accelerate's


def resolve(
    requested: Precision,
    *,
    kind: Kind,
    switches: Mapping[str, SwitchValue],
    device: torch.device,
    scales: bool = True,
) -> Resolved:
    """What the requested precision comes to on this device; weights stay float32 whatever it is.

    `scales` says whether gradients can be scaled there, without which fp16 loses the small ones.
    """
    found = _on(requested, kind, switches, device)
    return "fp32" if found == "fp16" and not scales else found


def _on(
    requested: Precision, kind: Kind, switches: Mapping[str, SwitchValue], device: torch.device
) -> Resolved:
    if device.type == "cpu":
        return "bf16" if requested == "bf16" else "fp32"  # fp16 has no loss scaling there
    if requested != "auto":
        return requested
    if switches.get("auto_precision") == "published":
        return "fp16" if kind is Kind.FINETUNE else "fp32"
    if switches.get("logits_dtype") == "float32":  # the published teacher answered in full precision
        return "fp32"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
