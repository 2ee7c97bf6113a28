"""Small pictures made of signs: bars, curves in a line, curves in a box."""

from __future__ import annotations

import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN_BLOCKS = "_.-~=+*#"
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # of a braille cell, by row and column


def bar(done: int, every: int, width: int, *, plain: bool = False) -> tuple[str, str]:
    """The full and the empty part; full only where everything is done, and not empty where anything is."""
    size = 0 if not every else math.floor(width * done / every)
    if done and not size:
        size = 1
    full, empty = ("#", "-") if plain else ("━", "─")
    return full * size, empty * (width - size)


def spark(values: Sequence[float], width: int, *, plain: bool = False) -> str:
    """A curve in one line, the newest value at its right end."""
    blocks = PLAIN_BLOCKS if plain else BLOCKS
    shown = _resampled([value for value in values if math.isfinite(value)], width)
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    if high == low:
        return blocks[0] * len(shown)
    return "".join(blocks[min(7, int((value - low) / (high - low) * 8))] for value in shown)


def plot(
    curves: Sequence[Sequence[float | None]], width: int, height: int, *, plain: bool = False
) -> list[list[str]]:
    """For each curve a picture of `height` lines; all have one scale, and lie over each other.

    Braille gives two points across and four down in a sign; where that is not to be had, one sign is one point.
    """
    across, down = (1, 1) if plain else (2, 4)
    points = [value for curve in curves for value in curve if value is not None and math.isfinite(value)]
    longest = max((len(curve) for curve in curves), default=0)
    if not points or width < 1 or height < 1:
        return [[" " * width] * height for _ in curves]
    low, high = min(points), max(points)
    return [_drawn(curve, longest, low, high, width, height, across, down) for curve in curves]


def _drawn(
    curve: Sequence[float | None], longest: int, low: float, high: float, width: int, height: int, across: int, down: int
) -> list[str]:  # fmt: skip
    cells = [[0] * width for _ in range(height)]
    columns, lines = width * across, height * down
    before: tuple[int, int] | None = None
    for number, value in enumerate(curve):
        if value is None or not math.isfinite(value):
            before = None
            continue
        x = round(number / max(1, longest - 1) * (columns - 1))
        y = round((high - value) / (high - low) * (lines - 1)) if high > low else lines // 2
        for at_x, at_y in _line(before or (x, y), (x, y)):
            dot = DOTS[at_y % down][at_x % across] if down > 1 else 1
            cells[at_y // down][at_x // across] |= dot
        before = (x, y)
    sign = (
        (lambda dots: "*" if dots else " ")
        if down == 1
        else (lambda dots: chr(0x2800 + dots) if dots else " ")
    )
    return ["".join(map(sign, line)) for line in cells]


def _line(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    """The points between two points, both included."""
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
    return [
        (
            round(start[0] + (end[0] - start[0]) * step / steps),
            round(start[1] + (end[1] - start[1]) * step / steps),
        )
        for step in range(steps + 1)
    ]


def _resampled(values: Sequence[float], width: int) -> list[float]:
    """As many as fit; the last one always stays."""
    if len(values) <= width:
        return list(values)
    return [values[round(number * (len(values) - 1) / max(1, width - 1))] for number in range(width)]
