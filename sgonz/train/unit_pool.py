"""Logits of positions brought to unit columns, on tensors and with gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from sgonz.train.alignment import UNOWNED, Pool, Side


def pool_units(logits: Tensor, columns: Tensor, width: int, how: Pool, side: Side) -> tuple[Tensor, Tensor]:
    """Pool logits [B, S] by columns [B, S] (int64, -1 for none): values float32, owned bool, both [B, width].

    Says what `alignment.pool` says. Columns without a piece hold UNOWNED and send no gradient back; whatever
    logits stand at positions without a column, infinite ones included, has no effect.
    """
    outside = columns < 0
    slot = columns.masked_fill(outside, width)  # one column too many takes what belongs nowhere
    pieces = logits.float().masked_fill(outside, 0.0)
    if how == "logsumexp":
        values, owned = _log_sum(pieces, slot, width)
    else:
        values, owned = _one_piece(pieces, slot, width, last=how == "edge" and side == "end")
    return values.masked_fill(~owned, UNOWNED), owned


def _log_sum(pieces: Tensor, slot: Tensor, width: int) -> tuple[Tensor, Tensor]:
    lowest = torch.finfo(pieces.dtype).min
    start = pieces.new_full((len(pieces), width + 1), lowest)
    highest = start.scatter_reduce(1, slot, pieces.detach(), "amax")
    shares = (pieces - highest.gather(1, slot)).exp()
    total = torch.zeros_like(start).scatter_add(1, slot, shares)[:, :width]
    owned = total > 0
    # An empty column takes the logarithm of 1: that of 0 has a gradient of NaN, though it goes nowhere.
    return highest[:, :width] + total.masked_fill(~owned, 1.0).log(), owned


def _one_piece(pieces: Tensor, slot: Tensor, width: int, *, last: bool) -> tuple[Tensor, Tensor]:
    length = pieces.shape[1]
    place = torch.arange(length, device=pieces.device).expand_as(slot)
    nowhere = -1 if last else length
    chosen = slot.new_full((len(pieces), width + 1), nowhere)
    chosen = chosen.scatter_reduce(1, slot, place, "amax" if last else "amin")[:, :width]
    owned = chosen != nowhere
    return pieces.gather(1, chosen.masked_fill(~owned, 0)), owned
