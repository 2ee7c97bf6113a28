"""Numbers and words as people read them: how many digits, and what stands for nothing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from sgonz.plan.runs import State

MISSING = "–"
HEADLINES = ("f1", "accuracy")  # tagging and question answering, classification


def score(value: float | None) -> str:
    return MISSING if value is None else f"{value:.2f}"


def loss(value: float | None) -> str:
    return MISSING if value is None else f"{value:.4f}"


def rate(value: float | None) -> str:
    """A learning rate as sweep files write it: 5e-4, not 0.0005 or 5e-04."""
    if value is None:
        return MISSING
    digits, exponent = f"{value:.5e}".split("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"


def count(value: int | None) -> str:
    return MISSING if value is None else str(value)


def clock(seconds: float) -> str:
    """Time of day, here, of seconds since the epoch."""
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def span(seconds: float) -> str:
    """A length of time as h:mm:ss."""
    whole = max(0, int(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def hours(value: float) -> str:
    if value < 0.025:
        return "about a minute"
    return f"{value * 60:.0f} minutes" if value < 1 else f"{value:,.1f} hours"


def done_of(counts: Mapping[str, int]) -> tuple[int, int]:
    """How many of the runs are over, and how many there are; `counts` by state."""
    return sum(size for state, size in counts.items() if State(state).is_final), sum(counts.values())


def headline(scores: Mapping[str, float | None], metric: str | None = None) -> tuple[str, float | None]:
    """The score that stands for a run: the data set's own metric, or its task's usual one."""
    names: Iterable[str | None] = (metric, *HEADLINES, *scores)
    name = next((name for name in names if name in scores), None)
    return (name, scores[name]) if name is not None else (MISSING, None)


def printable(value: object) -> str:
    """One line of what a terminal can show: other people's errors hold newlines and control codes."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in str(value)).split())


def plain(value: object) -> str:
    """Any value of an answer in words."""
    match value:
        case None:
            return MISSING
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.6g}"
        case Mapping():
            return ", ".join(f"{printable(name)} {plain(part)}" for name, part in value.items()) or MISSING
        case list() | tuple():
            return ", ".join(map(plain, value)) or MISSING
        case _:
            return printable(value)
