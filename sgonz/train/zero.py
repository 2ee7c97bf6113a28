"""Training with DeepSpeed's ZeRO: optimizer states, gradients and (stage 3) weights lie in parts on several processes.

Checkpoints do not show it: they hold whole weights and AdamW's states by parameter, as those of one process
do, so that a run goes on with another number of processes, another stage, or none.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

from sgonz.errors import RunError
from sgonz.train.seat import Seat
from sgonz.train.step import Machine
from sgonz.train.tasks.task import Batch

MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True, kw_only=True)
class ZeroMachine(Machine):
    """A machine whose model is DeepSpeed's engine; `optimizer` stays the AdamW that the schedule turns."""

    sharded: Any  # DeepSpeed's optimizer around it
    numbers: Mapping[int, int]  # of parameters, by identity: AdamW's own count
    group_numbers: Sequence[Sequence[int]]  # of every group

    @property
    def bare_model(self) -> Any:
        return self.model.module

    def forward(self, batch: Batch) -> tuple[Batch, Any]:
        # Half precision is in the model's own forward pass, as accelerate prepared it: round the engine it would not be
        # heeded, since DeepSpeed switches off what it finds switched on.
        batch = batch.to(self.device)
        return batch, self.model(**batch.inputs)

    def backward(self, loss: Tensor) -> None:
        # The engine takes the mean over the processes where ours are shares of a sum.
        self.model.backward(loss * self.crew.world, scale_wrt_gas=False)

    def update(self) -> None:
        self.model.step()  # adds up, clips, steps, and clears the gradients
        self.scheduler.step()

    @property
    def can_repeat(self) -> bool:
        return False  # gradients may be under way to where they belong

    @contextlib.contextmanager
    def whole(self, *, change: bool = False) -> Iterator[None]:
        import deepspeed

        if not is_parted(self.bare_model):
            yield
            return
        parameters = list(self.bare_model.parameters())
        with deepspeed.zero.GatheredParameters(parameters, modifier_rank=0 if change else None):
            yield

    def optimizer_state(self) -> dict[str, Any]:
        """AdamW's state as it would save it itself, every parameter's moments whole."""
        state: dict[int, dict[str, Tensor]] = {}
        for flat, members in self._flats():
            found = self.optimizer.state.get(flat, {})
            for moment in MOMENTS if "step" in found else ():
                for number, tensor in self._joined(found[moment], members).items():
                    state.setdefault(number, {"step": found["step"].cpu().clone()})[moment] = tensor
        numbers = iter(self.group_numbers)
        groups = [group | {"params": next(numbers)} for group in self.optimizer.param_groups]
        return {"state": state, "param_groups": groups}

    def load_optimizer_state(self, state: Mapping[str, Any]) -> None:
        for group, saved in zip(self.optimizer.param_groups, state["param_groups"], strict=True):
            group.update({key: value for key, value in saved.items() if key != "params"})
        by_number = state["state"]
        if not by_number:  # saved before the first step
            return
        for flat, members in self._flats():
            found: dict[str, Tensor] = {"step": next(iter(by_number.values()))["step"].clone()}
            for moment in MOMENTS:
                found[moment] = torch.zeros_like(flat)
                self._cut(found[moment], members, {n: kept[moment] for n, kept in by_number.items()})
            self.optimizer.state[flat] = found

    def _flats(self) -> list[tuple[Tensor, list[nn.Parameter]]]:
        """Every flat part that the optimizer works on here, with the parameters that it is a part of."""
        if is_parted(self.bare_model):
            return list(zip(self.sharded.fp32_partitioned_groups_flat, self.sharded.fp16_groups, strict=True))
        return list(zip(self.sharded.single_partition_of_fp32_groups, self.sharded.round_robin_bit16_groups, strict=True))  # fmt: skip

    def _joined(self, flat: Tensor, members: list[nn.Parameter]) -> dict[int, Tensor]:
        """Whole tensors by parameter's number out of everybody's flat parts."""
        mine = flat.detach().to(self.device).contiguous()
        parts = [torch.empty_like(mine) for _ in range(self.crew.world)]
        dist.all_gather(parts, mine)
        found = {}
        for parameter, places in self._places(flat.numel(), members):
            pieces = [parts[rank][start:end] for rank, start, end in places]
            shape = whole_shape(parameter)
            found[self.numbers[id(parameter)]] = (
                torch.cat(pieces)[: shape.numel()].reshape(shape).cpu().clone()
            )
        return found

    def _cut(self, flat: Tensor, members: list[nn.Parameter], tensors: Mapping[int, Tensor]) -> None:
        """Fill this process's flat part out of whole tensors; what was never trained stays zero."""
        for parameter, places in self._places(flat.numel(), members):
            number, done = self.numbers[id(parameter)], 0
            if number not in tensors:
                continue
            whole = tensors[number].flatten().to(flat.device)
            for rank, start, end in places:
                piece = whole[done : done + end - start]  # shorter than its place where that is padded
                if rank == self.crew.rank:
                    flat[start : start + len(piece)].copy_(piece)
                done += end - start

    def _places(
        self, part: int, members: list[nn.Parameter]
    ) -> Iterator[tuple[nn.Parameter, list[tuple[int, int, int]]]]:
        """Where each parameter's pieces lie, in order: process, first and last element of its flat part."""
        at = 0
        for parameter in members:
            if is_parted(self.bare_model):  # every parameter is cut evenly, and the pieces follow each other
                size = parameter.partition_numel()  # type: ignore[attr-defined]
                yield parameter, [(rank, at, at + size) for rank in range(self.crew.world)]
            else:  # all parameters in a row are cut evenly
                size = parameter.numel()
                ranks = range(at // part, (at + size - 1) // part + 1)
                yield (
                    parameter,
                    [(rank, max(at - rank * part, 0), min(at + size - rank * part, part)) for rank in ranks],
                )
            at += size


def build(machine: Machine, seat: Seat, micro_batch: int) -> ZeroMachine:
    """Hand model and optimizer to DeepSpeed, weights as they are now."""
    optimizer = bare_optimizer(machine.optimizer)
    # Taken now: the engine puts its flat parts into the optimizer, and keeps the parameters themselves.
    numbers = {id(each): number for number, each in enumerate(parameters_of(optimizer))}
    group_numbers = [[numbers[id(each)] for each in group["params"]] for group in optimizer.param_groups]
    engine, sharded = initialised(machine, optimizer, configuration(machine, seat, micro_batch), seat)
    return ZeroMachine(
        spec=machine.spec, accelerator=machine.accelerator, model=engine, optimizer=optimizer,
        scheduler=machine.scheduler, task=machine.task, train=machine.train, teach=machine.teach,
        crew=machine.crew, sharded=sharded, numbers=numbers, group_numbers=group_numbers,
    )  # fmt: skip


def initialised(
    machine: Machine, optimizer: Optimizer, config: dict[str, Any], seat: Seat
) -> tuple[Any, Any]:
    import deepspeed

    # The shared-memory kernel for CPUs would be compiled on the spot, and is for answering only. DeepSpeed would find out
    # which others can be, with compilers and the first GPU, once anybody asks; none is needed.
    vars(deepspeed.ops).setdefault("__compatible_ops__", {})["deepspeed_shm_comm"] = False
    places = {"RANK": seat.rank, "WORLD_SIZE": seat.world, "LOCAL_RANK": seat.local_rank,
              "MASTER_ADDR": seat.host, "MASTER_PORT": seat.port}  # fmt: skip
    os.environ |= {name: str(value) for name, value in places.items()}
    engine, sharded, _, _ = deepspeed.initialize(
        model=machine.bare_model, optimizer=optimizer, config=config, dist_init_required=False
    )
    return engine, sharded


def configuration(machine: Machine, seat: Seat, micro_batch: int) -> dict[str, Any]:
    """The profile's configuration with what the run decides: batches, clipping, precision."""
    config = dict(seat.deepspeed or {})
    stage = config.get("zero_optimization", {}).get("stage", 0)
    if stage not in (1, 2, 3):
        raise RunError(f"DeepSpeed's zero_optimization.stage is {stage}; it must be 1, 2 or 3")
    share = -(-machine.spec.settings.batch_size // seat.world)
    # One more than one: what is offloaded is added up over micro-batches only where there may be several.
    accumulate = max(2, -(-share // micro_batch))
    return config | {
        "train_micro_batch_size_per_gpu": micro_batch,
        "gradient_accumulation_steps": accumulate,
        "managed_gradient_accumulation": False,  # a short last batch has fewer micro-batches
        "gradient_clipping": machine.clipping,
        "zero_force_ds_cpu_optimizer": False,  # AdamW as everywhere, and nothing to compile
        "steps_per_print": 10**9,
    }


def bare_optimizer(optimizer: Any) -> Optimizer:
    """The optimizer without accelerate's cover."""
    return getattr(optimizer, "optimizer", optimizer)


def parameters_of(optimizer: Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def is_parted(model: nn.Module) -> bool:
    """Whether the weights themselves lie in parts (stage 3)."""
    return any(hasattr(parameter, "ds_id") for parameter in model.parameters())


def whole_shape(parameter: nn.Parameter) -> torch.Size:
    return getattr(parameter, "ds_shape", parameter.shape)
