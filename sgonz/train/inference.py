"""A trained model, ready to answer and never to learn."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import PreTrainedModel

from sgonz.events import RunReady
from sgonz.train import precision
from sgonz.train.report import device_name
from sgonz.train.running import Running
from sgonz.train.tasks.task import Batch

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def answering(
    running: Running, model: PreTrainedModel, arithmetic: precision.Resolved
) -> Callable[[Batch], tuple[Batch, Any]]:
    """A function that takes a batch to the device and returns it with the model's outputs there."""
    model = model.to(running.device).eval()

    def forward(batch: Batch) -> tuple[Batch, Any]:
        batch = batch.to(running.device)
        with (
            torch.inference_mode(),
            torch.autocast(running.device.type, dtype=DTYPES.get(arithmetic), enabled=arithmetic in DTYPES),
        ):
            return batch, model(**batch.inputs)

    return forward


def say_ready(running: Running, model: PreTrainedModel, arithmetic: precision.Resolved, rows: int) -> None:
    """Tell that model and data are loaded."""
    running.emit(
        RunReady(
            time=time.time(), run_id=running.spec.run_id, attempt=running.attempt, device=device_name(),
            precision=arithmetic, epoch=0, steps=-(-rows // running.spec.settings.batch_size), rows=rows,
            micro_batch=running.spec.settings.batch_size, parameters=sum(p.numel() for p in model.parameters()),
        )
    )  # fmt: skip
