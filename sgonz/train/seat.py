"""The place of one process among those that do a run together, as a plain value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Seat:
    """Which of how many a process is, where the first one listens, and DeepSpeed's configuration where it is used."""

    rank: int = 0
    local_rank: int = 0  # on its node; the number of its GPU
    world: int = 1
    host: str = "127.0.0.1"
    port: int = 0
    deepspeed: Mapping[str, Any] | None = None
    on_gpu: bool = False  # or not at all
    sharers: int = 1  # runs on the same GPU at the same time, this one among them


ALONE = Seat()
