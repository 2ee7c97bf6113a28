"""The processes that do one run together, as each of them sees the others; one alone asks nobody."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import HashStore, Store, TCPStore

from sgonz.train.seat import Seat

Found = TypeVar("Found")
# Launchers leave these behind, and libraries take them for an order to form a group of their own.
LAUNCHERS = (
    "PMI_SIZE",
    "PMI_RANK",
    "OMPI_COMM_WORLD_SIZE",
    "MV2_COMM_WORLD_SIZE",
    "RANK",
    "WORLD_SIZE",
    "LOCAL_RANK",
)


class Crew:
    """Answers that every process has to share before it goes on; all of them ask the same, in the same order."""

    def __init__(self, rank: int = 0, world: int = 1, control: dist.ProcessGroup | None = None) -> None:
        self.rank, self.world = rank, world
        self._control = control  # over the hosts' network, so that a question never waits for a GPU

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        return self.world == 1

    def any(self, flag: bool) -> bool:
        """Whether it is so for at least one process."""
        return flag if self.is_alone else self.totals(float(flag))[0] > 0

    def totals(self, *values: float) -> list[float]:
        """The sum of every value over the processes."""
        if self.is_alone:
            return list(values)
        summed = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(summed, group=self._control)
        return summed.tolist()

    def gathered(self, mine: Found) -> list[Found]:
        """What every process found, by rank."""
        if self.is_alone:
            return [mine]
        found: list[Any] = [None] * self.world
        dist.all_gather_object(found, mine, group=self._control)
        return found

    def first(self, mine: Found) -> Found:
        """What the leading process says, for all."""
        return self.gathered(mine)[0]

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors on the device by their sums over the processes."""
        if not self.is_alone:
            for waiting in [dist.all_reduce(tensor, async_op=True) for tensor in tensors]:
                waiting.wait()

    def share(self, rows: np.ndarray) -> np.ndarray:
        """This process's part of one step's rows; the first processes have one more where it does not come out even."""
        return rows[self.rank :: self.world]

    def deal(self, batches: Sequence[Found]) -> list[tuple[int, Found, bool]]:
        """This process's batches with their numbers, as many as everybody's; false: read to keep step, and not to count."""
        rounds = math.ceil(len(batches) / self.world)
        mine = [turn * self.world + self.rank for turn in range(rounds)]
        return [(at, batches[at % len(batches)], at < len(batches)) for at in mine]


def join(seat: Seat, device: torch.device, listener: socket.socket | None) -> Crew:
    """Meet the others. The leading process brings the socket that it was announced with."""
    if seat.world == 1 and seat.deepspeed is None:
        return Crew()
    leave()  # a group of a run that failed in this process before
    for name in LAUNCHERS:
        os.environ.pop(name, None)
    if seat.host == "127.0.0.1":  # all on one machine, whatever its name leads to
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    if seat.world == 1:
        store: Store = HashStore()
    else:
        store = TCPStore(
            seat.host, seat.port, seat.world, is_master=seat.rank == 0, wait_for_workers=False,
            master_listen_fd=listener.detach() if listener else None,
        )  # fmt: skip
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=seat.rank, world_size=seat.world)
    return Crew(seat.rank, seat.world, dist.new_group(backend="gloo"))


def leave() -> None:
    """Part, so that no thread of the group outlives the run."""
    if dist.is_initialized():
        dist.destroy_process_group()
