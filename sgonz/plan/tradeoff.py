"""What a model costs against what it gives: the Pareto front, and the area under it.

Costs are compared by their logarithm, since they differ by powers of ten; both axes run from the worst to the best of the
models that are compared, so every figure depends on which ones those are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from msgspec import Struct

from sgonz.errors import SpecError


class Point(Struct, frozen=True, kw_only=True):
    """One model: its cost (MACs, milliseconds; above 0) and its quality (a score; higher is better)."""

    name: str
    cost: float
    quality: float


class Box(Struct, frozen=True, kw_only=True):
    """The range that costs and qualities are measured in."""

    cheapest: float
    dearest: float
    worst: float
    best: float

    def economy(self, cost: float) -> float:
        """1 for the cheapest, 0 for the dearest, by the logarithm of the cost; 1 where all cost the same."""
        if self.cheapest == self.dearest:
            return 1.0
        return math.log(self.dearest / cost) / math.log(self.dearest / self.cheapest)

    def quality(self, value: float) -> float:
        """1 for the best, 0 for the worst; 1 where all are the same."""
        if self.best == self.worst:
            return 1.0
        return (value - self.worst) / (self.best - self.worst)


def box(points: Sequence[Point]) -> Box:
    """The smallest range that holds all of them. Raises SpecError where there are none, or a cost is not above 0."""
    if not points:
        raise SpecError("no model to weigh")
    if any(point.cost <= 0 for point in points):
        raise SpecError("a cost has to be above 0")
    costs, qualities = [point.cost for point in points], [point.quality for point in points]
    return Box(cheapest=min(costs), dearest=max(costs), worst=min(qualities), best=max(qualities))


def front(points: Iterable[Point]) -> list[Point]:
    """The points that no other beats in one and matches in the other, cheapest first."""
    found: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, -point.quality)):
        same = found and (point.cost, point.quality) == (found[-1].cost, found[-1].quality)
        if not found or point.quality > found[-1].quality or same:
            found.append(point)
    return found


def area(points: Iterable[Point], within: Box) -> float:
    """Share of the box that some point reaches: as cheap or dearer, and as good or worse (the hypervolume)."""
    total, reached = 0.0, 0.0
    for point in front(points):  # cheapest first, so quality rises while economy falls
        quality = within.quality(point.quality)
        total += within.economy(point.cost) * (quality - reached)
        reached = quality
    return total
