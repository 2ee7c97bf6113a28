"""Latencies as people read them: size and work in short, and how much faster than the reference model."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from sgonz.view.cells import Column, Row, cut, stdout_console, table_of
from sgonz.view.figures import MISSING


def show_speeds(rows: Sequence[Row], title: str, *, console: Console | None = None) -> None:
    """Print rows of `sgonz.train.benchmark.rows` that were timed."""
    console = console or stdout_console()
    console.print(speeds_table(rows, title, console.width))


def speeds_table(rows: Sequence[Row], title: str, width: int) -> Table:
    """Latencies in milliseconds by model and input shape; what does not fit `width` is left out."""
    return table_of(
        [
            Column(heading="model", cell=lambda row: cut(row["model"])),
            Column(heading="batch", cell=lambda row: cut(row["batch_size"]), number=True),
            Column(heading="length", cell=lambda row: cut(row["length"]), number=True),
            Column(heading="params", cell=lambda row: cut(f"{row['parameters'] / 1e6:.1f} M"), number=True),
            Column(heading="MACs", cell=lambda row: cut(f"{row['macs'] / 1e9:.2f} G"), number=True),
            Column(heading="with attention", cell=lambda row: cut(f"{row['macs_full'] / 1e9:.2f} G"),
                   number=True, least=110),
            Column(heading="MiB", cell=lambda row: cut(_figure(row.get("size_mb"), 1)), number=True, least=90),
            Column(heading="ms", cell=lambda row: cut(_latency(row)), number=True),
            Column(heading="median", cell=lambda row: cut(_figure(row.get("latency_median_ms"), 2)), number=True,
                   least=80),
            Column(heading="speedup", cell=lambda row: cut(_speedup(row)), number=True),
        ],
        rows,
        width=width,
        group=lambda row: row["model"],
        title=title,
    )  # fmt: skip


def _latency(row: Row) -> str:
    """Mean and deviation of the typical calls, or why there is none."""
    if row["latency_ms"] is None:
        return str(row["status"]).replace("_", " ")
    return f"{row['latency_ms']:.2f} ± {row['latency_std_ms']:.2f}"


def _speedup(row: Row) -> str:
    """Against the reference model, whose calls alternated with this model's."""
    theirs, own = row.get("reference_ms"), row["latency_ms"]
    return f"{theirs / own:.2f}" if theirs and own else MISSING


def _figure(value: float | None, digits: int) -> str:
    return MISSING if value is None else f"{value:.{digits}f}"
