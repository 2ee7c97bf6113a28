"""One optimizer step: its rows in micro-batches that fit the device, their gradients summed, one update."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LRScheduler
from transformers import PreTrainedModel, get_linear_schedule_with_warmup

from sgonz.plan.runs import RunSpec
from sgonz.train import batches
from sgonz.train.crew import Crew
from sgonz.train.memory import give_back, half, out_of_memory, recompute_activations
from sgonz.train.seeds import derived
from sgonz.train.tasks.task import Batch, Task
from sgonz.train.tokenise import Split


class Fit(NamedTuple):
    """How a step fits the device."""

    micro_batch: int  # rows at a time
    recompute: bool = False  # activations are computed again instead of kept

    def __str__(self) -> str:
        return f"in micro-batches of {self.micro_batch}" + (
            ", recomputing activations" if self.recompute else ""
        )


Teach = Callable[[Batch, pa.Table], Batch]  # adds the teacher's logits to a batch's targets


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Model and optimizer as prepared for the device, and what makes a loss of a batch."""

    spec: RunSpec
    accelerator: Accelerator
    model: PreTrainedModel
    optimizer: Optimizer
    scheduler: LRScheduler
    task: Task
    train: Split
    teach: Teach | None
    crew: Crew

    @property
    def device(self) -> torch.device:
        return self.accelerator.device

    @property
    def bare_model(self) -> PreTrainedModel:
        return self.model  # accelerate's unwrap_model would take autocast off the forward pass for good

    @property
    def clipping(self) -> float:
        """The norm that gradients are clipped to; 0 for none."""
        if self.spec.switches.get("distill_clipping") == "none":
            return 0.0
        return max(self.spec.settings.max_grad_norm, 0.0)

    def taught(self, batch: Batch) -> int:
        """What the teacher's loss is divided by: rows, for mse every allowed entry."""
        return batch.entries if self.spec.settings.loss == "mse" else batch.count

    def forward(self, batch: Batch) -> tuple[Batch, Any]:
        """The batch on the device and what the model says of it, in float32."""
        batch = batch.to(self.device)
        return batch, self.model(**batch.inputs)

    def backward(self, loss: Tensor) -> None:
        """Add to the gradients."""
        self.accelerator.backward(loss)

    def update(self) -> None:
        """Make the step that the gradients of all processes together say, and forget them."""
        parameters = list(self.model.parameters())
        self.crew.add_up([parameter.grad for parameter in parameters if parameter.grad is not None])
        if self.clipping:
            self.accelerator.clip_grad_norm_(parameters, self.clipping)
        self.optimizer.step()
        if not self.accelerator.optimizer_step_was_skipped:  # for what overflowed in fp16
            self.scheduler.step()
        self.discard()

    @property
    def can_repeat(self) -> bool:
        """Whether gradients can be thrown away and made again here, without asking anybody."""
        return self.crew.is_alone

    def discard(self) -> None:
        """Forget the gradients."""
        self.optimizer.zero_grad(set_to_none=True)

    def whole(self, *, change: bool = False) -> contextlib.AbstractContextManager[None]:
        """While it lasts the weights are whole in every process; changes count where that was said."""
        return contextlib.nullcontext()

    def optimizer_state(self) -> dict[str, Any]:
        return self.optimizer.state_dict()

    def load_optimizer_state(self, state: Mapping[str, Any]) -> None:
        self.optimizer.load_state_dict(dict(state))


def build(
    spec: RunSpec,
    accelerator: Accelerator,
    model: PreTrainedModel,
    task: Task,
    train: Split,
    teach: Teach | None,
    steps: int,
    crew: Crew,
) -> Machine:
    """AdamW with linear decay to zero at the last planned step, on the accelerator's device."""
    settings = spec.settings
    optimizer = AdamW(
        decay_groups(model, settings.weight_decay, everywhere=spec.switches.get("distill_decay") == "all"),
        lr=settings.learning_rate, betas=(0.9, 0.999), eps=1e-8,
    )  # fmt: skip
    scheduler = get_linear_schedule_with_warmup(optimizer, round(settings.warmup_ratio * steps), steps)
    model, optimizer = accelerator.prepare(model, optimizer)
    return Machine(spec=spec, accelerator=accelerator, model=model, optimizer=optimizer, scheduler=scheduler,
                   task=task, train=train, teach=teach, crew=crew)  # fmt: skip


def decay_groups(model: nn.Module, decay: float, *, everywhere: bool) -> list[dict[str, Any]]:
    """Parameters to be decayed, and those not to be: biases and layer norms, which are all that is one-dimensional."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    decayed = [parameter for parameter in parameters if everywhere or parameter.ndim > 1]
    spared = [parameter for parameter in parameters if not everywhere and parameter.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": decay}, {"params": spared, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def unheard(fit: Fit) -> None:
    """Nobody asks."""


def take(
    machine: Machine, rows: np.ndarray, number: int, fit: Fit, shrunk: Callable[[Fit], None] = unheard
) -> tuple[Tensor, Fit]:
    """Make step `number` on these rows: its loss, on the device, and how it fitted there.

    `shrunk` hears of every smaller fit before that is tried.

    Memory that runs out behind the gradients is not caught: a step could be half applied, and the attempt
    ends instead, to go on from its checkpoint.
    """
    machine.model.train()
    loss, fit = fitting(machine, rows, number, fit, shrunk)
    machine.update()
    return loss, fit


def fitting(
    machine: Machine, rows: np.ndarray, number: int, fit: Fit, shrunk: Callable[[Fit], None] = unheard
) -> tuple[Tensor, Fit]:
    """The step's gradients; where they run out of memory, once more with the next smaller fit.

    One of several processes cannot make a step again alone: there the attempt ends.
    """
    others = () if machine.crew.leads else (machine.crew.rank,)
    while True:
        torch.manual_seed(
            derived(machine.spec.seed, "dropout", number, *others)
        )  # whatever happened before this step
        try:
            return gradients(machine, rows, fit.micro_batch), fit
        except Exception as error:
            if not out_of_memory(error) or not machine.can_repeat:
                raise
            if (smaller := next_fit(machine, fit, len(rows))) is None:
                raise
        # Outside of the handler, which would keep the failed step's tensors alive.
        fit = smaller
        shrunk(fit)
        machine.discard()
        give_back()
        print(f"out of memory at step {number}: now {fit}", file=sys.stderr)


def next_fit(machine: Machine, fit: Fit, rows: int) -> Fit | None:
    """Half the micro-batch; below one row, the whole batch again with activations recomputed; None below that."""
    if fit.micro_batch > 1:
        return Fit(half(fit.micro_batch, rows), fit.recompute)
    if fit.recompute:
        return None
    recompute_activations(machine.bare_model)
    return Fit(machine.spec.settings.batch_size, True)


def gradients(machine: Machine, rows: np.ndarray, micro_batch: int) -> Tensor:
    """Add up the gradients of one step's micro-batches: the mean over the rows of all of them together."""
    share = machine.crew.share(rows)
    parts = [prepared(machine, part) for part in batches.micro_batches(share, micro_batch)]
    counts = machine.crew.totals(
        sum(part.count for part in parts), sum(machine.taught(part) for part in parts), len(parts)
    )
    whole = (round(counts[0]), round(counts[1]))
    total = torch.zeros((), device=machine.device)
    for part in parts:
        if machine.spec.switches.get("accumulation") == "micro_means":
            loss = loss_of(machine, part, part.count, machine.taught(part)) / counts[2]
        else:
            loss = loss_of(machine, part, *whole)
        machine.backward(loss)
        total += loss.detach()
    for _ in range(len(parts), rounds(machine, len(rows), micro_batch)):  # in step with those that have more
        machine.backward(0.0 * loss_of(machine, prepared(machine, rows[:1]), 1, 1))
    machine.crew.add_up([total])
    return total


def rounds(machine: Machine, rows: int, micro_batch: int) -> int:
    """How many micro-batches the process with the most rows makes of a step."""
    share = -(-rows // machine.crew.world)
    return -(-share // micro_batch)


def prepared(machine: Machine, rows: np.ndarray) -> Batch:
    table = machine.train.take(rows)
    batch = machine.task.collate(table)
    return machine.teach(batch, table) if machine.teach else batch


def loss_of(machine: Machine, batch: Batch, gold_count: int, taught_count: int) -> Tensor:
    """alpha times the gold labels' loss and the rest of the teacher's, each divided by its count."""
    alpha = machine.spec.settings.alpha if machine.teach else 1.0
    batch, outputs = machine.forward(batch)
    parts = []
    if alpha > 0:
        parts.append(alpha * machine.task.gold_sum(outputs, batch) / max(gold_count, 1))
    if alpha < 1:
        parts.append((1 - alpha) * machine.task.distilled_sum(outputs, batch) / max(taught_count, 1))
    return torch.stack(parts).sum()
