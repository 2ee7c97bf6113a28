"""Size, work and speed of models as rows of a table; sizes alone need no torch."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sgonz.errors import SpecError
from sgonz.plan.protocol import Protocol
from sgonz.plan.sizing import macs, macs_full, parameters, shape_of

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
LENGTHS = (128, 256, 512)
LABELS = 3
PERCENTILES = (5, 25, 75, 95)
THRESHOLDS: Mapping[Protocol, tuple[float, ...]] = {
    "sound": (3.5,),
    "paper": (3.5, 0.75),  # the published tables filtered what the measurement had filtered already
}


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How latencies are taken."""

    protocol: Protocol = "sound"  # paper: clock read without waiting for the device, filtered twice
    warm_up: int = 10  # calls before the clock counts
    repeats: int = 100  # timed calls; at least 2
    threads: int | None = None  # on a CPU; None: as torch is set
    reference: str | None = None  # model timed in turns with every other, so that both meet the same moment

    def __post_init__(self) -> None:
        if self.repeats < 2:
            raise SpecError(f"{self.repeats} timed calls give no percentiles", hint="Time 2 calls or more.")


def rows(
    models: Mapping[str, Mapping[str, Any]],
    batch_sizes: Sequence[int] = BATCH_SIZES,
    lengths: Sequence[int] = LENGTHS,
    device: str | None = None,
    timing: Timing | None = None,
    beside: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> Iterator[dict[str, Any]]:
    """One row per model, batch size and length, given as soon as it is known.

    Models are architectures: fields of a configuration with their model_type; weights are random, the head
    has 3 outputs. Without a device (cpu, cuda) size_mb and latency_ms are None, and torch is not imported.
    Latencies are means in milliseconds of what the outlier filter keeps. Where memory does not suffice,
    latency_ms is None and status says out_of_memory; any other error is raised. `beside` holds models that may
    be the reference and have no rows of their own.
    """
    timing = timing or Timing()
    if timing.reference not in (None, *models, *beside):
        known = ", ".join([*models, *beside])
        raise SpecError(f"the reference {timing.reference!r} is not benchmarked", hint=f"One of: {known}.")
    if device is None:
        for name, architecture in models.items():
            yield from _computed(name, architecture, batch_sizes, lengths)
        return
    from sgonz.train.latency import (
        bench,  # torch: seconds to import, and not on every machine that asks for sizes
    )

    with bench({**beside, **models}, device, timing) as measure:
        for name, architecture in models.items():
            for row in _computed(name, architecture, batch_sizes, lengths):
                yield {**row, **measure(name, row["batch_size"], row["length"])}


def _computed(
    name: str, architecture: Mapping[str, Any], batch_sizes: Sequence[int], lengths: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """The rows of one model with all that follows from its shape."""
    shape = shape_of(str(architecture["model_type"]), architecture)
    for batch in batch_sizes:
        for length in lengths:
            yield {
                "model": name,
                "batch_size": batch,
                "length": length,
                "parameters": parameters(shape, LABELS),
                "macs": macs(shape, batch, length, LABELS),
                "macs_full": macs_full(shape, batch, length, LABELS),
                "size_mb": None,
                "latency_ms": None,
                "status": "computed",
            }


def typical(latencies: Sequence[float], threshold: float, *, constant: bool = True) -> list[float]:
    """Latencies whose modified z-score, 0.6745·(x − median)/MAD, lies inside the threshold.

    Source: Iglewicz and Hoaglin 1993. With a MAD of 0 all are kept, or none where `constant` is false.
    """
    if not latencies:
        return []
    middle = statistics.median(latencies)
    spread = statistics.median(abs(value - middle) for value in latencies)
    if spread == 0:
        return list(latencies) if constant else []
    return [value for value in latencies if abs(0.6745 * (value - middle) / spread) < threshold]


def summary(latencies: Sequence[float], protocol: Protocol = "sound") -> dict[str, Any]:
    """Mean and population deviation of the typical latencies, median and percentiles of all, milliseconds."""
    kept = list(latencies)
    for threshold in THRESHOLDS[protocol]:
        kept = typical(kept, threshold, constant=protocol == "sound")
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    return {
        "latency_ms": statistics.fmean(kept) if kept else None,
        "latency_std_ms": statistics.pstdev(kept) if kept else None,
        "latency_median_ms": statistics.median(latencies),
        "latency_percentiles_ms": {str(percent): cuts[percent - 1] for percent in PERCENTILES},
        "latencies_kept": len(kept),
        "latencies_ms": list(latencies),
    }
