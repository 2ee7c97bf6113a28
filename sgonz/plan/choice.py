"""Which of several resource classes a model's runs start in: the first whose limits they are predicted to keep."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct


class Limit(Struct, frozen=True, kw_only=True):
    """A resource class, as far as its limits go; None where it sets none."""

    name: str
    gpu_memory_gb: float | None = None  # of one GPU
    max_minutes: float | None = None


class Need(Struct, frozen=True, kw_only=True):
    """What a model's longest and largest run is predicted to take; None where nobody knows."""

    memory_gb: float | None = None
    minutes: float | None = None


class Choice(Struct, frozen=True, kw_only=True):
    name: str
    why: str


def choose(alternatives: Sequence[Limit], need: Need) -> Choice:
    """The first class that takes it; where none does, the one with the largest GPU, whose runs go on in further jobs."""
    wrong: dict[str, str] = {}
    for each in alternatives:
        if said := _exceeded(each, need):
            wrong[each.name] = said
        else:
            passed = "; ".join(f"not {name}: {said}" for name, said in wrong.items())
            return Choice(name=each.name, why=passed or "the first of its classes, whose limits it keeps")
    largest = max(alternatives, key=lambda each: (each.gpu_memory_gb or 0.0, each.max_minutes or 0.0))
    return Choice(name=largest.name, why=f"the largest, and yet {wrong[largest.name]}")


def _exceeded(limit: Limit, need: Need) -> str | None:
    if limit.gpu_memory_gb is not None and (need.memory_gb or 0.0) > limit.gpu_memory_gb:
        return f"a run takes about {need.memory_gb:.1f} GB, its GPU has {limit.gpu_memory_gb:g}"
    if limit.max_minutes is not None and (need.minutes or 0.0) > limit.max_minutes:
        return f"a run takes about {need.minutes:.0f} minutes, it ends jobs after {limit.max_minutes:g}"
    return None
