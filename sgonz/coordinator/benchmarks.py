"""What benchmark runs measured, taken from their folders into the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from sgonz.plan.runs import Kind, State
from sgonz.plan.state import RunRow
from sgonz.plan.wording import number_of
from sgonz.rundir import Workdir
from sgonz.store.rows import BenchmarkRow
from sgonz.store.store import Store

_rows = msgspec.json.Decoder(list[dict[str, Any]])


def keep_measured(store: Store, workdir: Workdir, runs: Sequence[RunRow]) -> None:
    """Store the rows of finished benchmarks that are not stored yet; safe to repeat and to be killed."""
    finished = [row for row in runs if row.kind is Kind.BENCHMARK and row.state is State.COMPLETED]
    if not finished:
        return
    known = {row.run_id for row in store.benchmarks()}
    new = [stored for run in finished if run.run_id not in known for stored in _measured(workdir, run.run_id)]
    if new:
        store.add_benchmarks(new)


def _measured(workdir: Workdir, run_id: str) -> Iterator[BenchmarkRow]:
    """A finished run's rows; none where its folder has been cleaned away."""
    try:
        rows = _rows.decode(workdir.run(run_id).measured.read_bytes())
    except FileNotFoundError:
        return
    for row in rows:
        yield BenchmarkRow(
            run_id=run_id, model=row["model"], device=_device(row["machine"]), batch_size=row["batch_size"],
            length=row["length"], parameters=row["parameters"], size_mb=row["size_mb"], macs=row["macs"],
            latency_ms=row["latency_ms"],
        )  # fmt: skip


def _device(machine: dict[str, Any]) -> str:
    """Latencies of different hosts are never compared, so the host stands with the device."""
    kind = machine["device"].partition(":")[0]
    threads = f", {number_of(machine['threads'], 'thread')}" if kind == "cpu" else ""
    return f"{kind}: {machine['device_name']}{threads}, {machine['host']}"
