"""The derived columns of the published tables: exact, rounded half up, and cut as they were printed."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from msgspec import Struct

Number = int | float | Decimal | Fraction

BETO_MACS = 43_526_457_600  # what Speedup is relative to: BETO, batch 1, length 512, 3 labels


class Figure(Struct, frozen=True, kw_only=True):
    """One derived value, in the three ways in which tables show it."""

    exact: float
    rounded: Decimal  # half up, two decimals
    truncated: Decimal  # cut after two decimals, as published


def trunc2(value: Number) -> Decimal:
    """The value cut, not rounded, to two decimals; a float counts as the decimal that it prints as.

    (Cut in binary, 2.01 would become 2.00.)
    """
    return Decimal(int(_exact(value) * 100)).scaleb(-2)


def round2(value: Number) -> Decimal:
    """The value rounded to two decimals, halves away from zero."""
    hundredths = _exact(value) * 100
    whole = math.floor(abs(hundredths) + Fraction(1, 2))
    return Decimal(whole if hundredths >= 0 else -whole).scaleb(-2)


def score(headline: Iterable[float | None]) -> Figure | None:
    """Score: the plain mean of headline scores in percent; None if one is missing or not finite."""
    values = list(headline)
    present = [_exact(value) for value in values if value is not None and math.isfinite(value)]
    if not present or len(present) < len(values):
        return None
    return _figure(sum(present, Fraction()) / len(present))


def gmacs(macs: int) -> Figure:
    """Billions of multiply-accumulates."""
    return _figure(Fraction(macs, 10**9))


def speedup(macs: int, reference: int = BETO_MACS) -> Figure:
    """How many times fewer MACs than the reference: a ratio of counts, not a measured time.

    The published column divides the two printed GMACs and cuts again, so 43.52 / 2.41 gives 18.05 where the
    exact ratio is 17.999.
    """
    exact = Fraction(reference, macs)
    printed = _exact(gmacs(macs).truncated)
    cut = trunc2(_exact(gmacs(reference).truncated) / printed) if printed else trunc2(exact)
    return Figure(exact=float(exact), rounded=round2(exact), truncated=cut)


def per_second(latency_ms: float) -> Figure:
    """Inferences per second at a mean latency in milliseconds, batch 1."""
    return _figure(1000 / _exact(latency_ms))


def millions(parameters: int) -> int:
    """Parameters to the nearest million."""
    return (parameters + 500_000) // 1_000_000


def as_printed(metric: str, percent: float) -> float:
    """A test score in percent as the published tables have it: accuracy by its own rule, exact match cut."""
    match metric:
        case "accuracy":
            return float(printed_accuracy(percent / 100))
        case "exact_match":
            return float(trunc2(percent))
        case _:
            return percent


def printed_accuracy(fraction: float) -> Decimal:
    """An accuracy in percent as published: the fraction in single precision, to four decimals, times 100."""
    single: float = struct.unpack("f", struct.pack("f", fraction))[0]
    return Decimal(str(round(single, 4))) * 100


def _figure(exact: Fraction) -> Figure:
    return Figure(exact=float(exact), rounded=round2(exact), truncated=trunc2(exact))


def _exact(value: Number) -> Fraction:
    """A float as the decimal number that it prints as, everything else as it is."""
    return Fraction(str(value)) if isinstance(value, float) else Fraction(value)
