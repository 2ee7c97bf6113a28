"""Which rows make which optimizer step: a pure function of lengths, seed and epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from sgonz.plan.protocol import SwitchValue

Order = Literal["length_aware", "plain", "file"]
BLOCK = 50  # batches sorted by length together: padding falls to a few percent, order stays well mixed
MULTIPLE = 8  # tensor cores like widths that divide by it


def order_of(switches: Mapping[str, SwitchValue]) -> Order:
    return "plain" if switches.get("batching") == "plain" else "length_aware"


def steps_per_epoch(rows: int, batch_size: int) -> int:
    return -(-rows // batch_size)


def epoch_batches(
    lengths: np.ndarray, *, batch_size: int, seed: int, epoch: int, order: Order
) -> list[np.ndarray]:
    """The rows of every step of one epoch: batch_size of them each, what is left over in a short last one.

    Shuffled by (seed, epoch), unless `file` asks for the order on disk; `length_aware` puts rows of similar
    length together inside shuffled blocks, then shuffles the full batches.
    """
    count = len(lengths)
    if order == "file":
        return cut(np.arange(count), batch_size)
    random = np.random.default_rng([seed, epoch])
    rows = random.permutation(count)
    if order == "plain":
        return cut(rows, batch_size)
    whole = count - count % batch_size
    full: list[np.ndarray] = []
    for block in cut(rows[:whole], BLOCK * batch_size):
        full += cut(block[np.argsort(lengths[block], kind="stable")], batch_size)
    shuffled = [full[at] for at in random.permutation(len(full))]
    return shuffled + ([rows[whole:]] if whole < count else [])


def reading_batches(lengths: np.ndarray, *, batch_size: int, order: Order) -> list[np.ndarray]:
    """Every row once, for a pass without training: longest first where lengths may decide, else as on disk."""
    rows = np.arange(len(lengths))
    if order == "length_aware":
        rows = np.argsort(-lengths, kind="stable")  # memory that fits the first batch fits all
    return cut(rows, batch_size)


def micro_batches(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """One step's rows in pieces that fit the device."""
    return cut(rows, size)


def width(lengths: Sequence[int] | np.ndarray, *, order: Order, limit: int) -> int:
    """Tokens that a batch is padded to: its longest row, rounded up where that helps and the model allows."""
    longest = int(max(lengths))
    return (
        longest if order != "length_aware" else min(-(-longest // MULTIPLE) * MULTIPLE, max(limit, longest))
    )


def cut(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[first : first + size] for first in range(0, len(rows), size)]
