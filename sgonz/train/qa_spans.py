"""The answer that start and end logits give: the best span of the raw context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanWindow:
    """What a model says about one window of a context; a position is a token or a unit."""

    start_logits: NDArray[np.floating]  # [positions]
    end_logits: NDArray[np.floating]  # [positions]
    offsets: NDArray[np.integer]  # [positions, 2], characters of the context; any value outside of it
    in_context: NDArray[np.bool_]  # [positions], false wherever an answer may neither start nor end


def best_answer(windows: Sequence[SpanWindow], context: str, *, n_best: int = 20, limit: int = 30) -> str:
    """The text of the span with the highest start + end logit over all windows, empty where none is valid.

    A window offers its n_best starts and n_best ends, of all its positions; a span starts before or where it
    ends, both in the context, and is at most `limit` positions long. Of equal spans the earliest window wins,
    then the earliest start, then the earliest end.
    """
    best_score, best_span = -np.inf, (0, 0)
    for window in windows:
        score, start, end = _best_span(window, n_best, limit)
        if score > best_score:
            best_score, best_span = score, (int(window.offsets[start, 0]), int(window.offsets[end, 1]))
    return context[best_span[0] : best_span[1]]


def _best_span(window: SpanWindow, n_best: int, limit: int) -> tuple[float, int, int]:
    """Score, start and end position; the score is minus infinity where no span is valid."""
    starts, start_logits = _highest(window.start_logits, window.in_context, n_best)
    ends, end_logits = _highest(window.end_logits, window.in_context, n_best)
    if not len(starts) or not len(ends):
        return -np.inf, 0, 0
    length = ends - starts[:, None] + 1  # [starts, ends]
    scores = np.where((length >= 1) & (length <= limit), start_logits[:, None] + end_logits, -np.inf)
    # argmax takes the first of equals, and positions are in order.
    row, column = divmod(int(scores.argmax()), len(ends))
    return float(scores[row, column]), int(starts[row]), int(ends[column])


def _highest(
    logits: NDArray[np.floating], in_context: NDArray[np.bool_], n_best: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Those of the n_best positions that are finite and in the context, in order, with their logits."""
    wide = np.where(np.isfinite(logits), logits, -np.inf).astype(np.float64)
    highest = np.sort(np.argsort(-wide, kind="stable")[:n_best])
    highest = highest[in_context[highest] & (wide[highest] > -np.inf)]
    return highest, wide[highest]
