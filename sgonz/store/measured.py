"""Size and speed of models, and what runs left on disk."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import structs
from sqlalchemy import delete, select

from sgonz.store.rows import ArtifactRow, BenchmarkRow
from sgonz.store.tables import artifacts as artifact_table
from sgonz.store.tables import benchmarks as benchmark_table
from sgonz.store.transaction import Transaction, chunks

_MEASURED = ("model", "parameters", "size_mb", "macs", "latency_ms")


def add_benchmarks(at: Transaction, rows: Sequence[BenchmarkRow]) -> None:
    """A point that was measured before is replaced."""
    at.upsert(benchmark_table, [structs.asdict(row) for row in rows], update=_MEASURED)


def benchmarks(at: Transaction) -> list[BenchmarkRow]:
    columns = [benchmark_table.c[name] for name in BenchmarkRow.__struct_fields__]
    found = (
        select(*columns)
        .where(benchmark_table.c.workspace_id == at.workspace)
        .order_by(*(benchmark_table.c[name] for name in ("model", "device", "batch_size", "length")))
    )
    return [BenchmarkRow(**row._asdict()) for row in at.connection.execute(found)]


def forget_artifacts(at: Transaction, run_ids: Collection[str]) -> None:
    """What these runs left is no longer on disk, or no longer theirs."""
    for chunk in chunks(run_ids):
        at.connection.execute(
            delete(artifact_table).where(
                artifact_table.c.workspace_id == at.workspace, artifact_table.c.run_id.in_(chunk)
            )
        )


def artifacts(at: Transaction) -> list[ArtifactRow]:
    columns = [artifact_table.c[name] for name in ArtifactRow.__struct_fields__]
    found = (
        select(*columns)
        .where(artifact_table.c.workspace_id == at.workspace)
        .order_by(artifact_table.c.run_id, artifact_table.c.kind)
    )
    return [ArtifactRow(**row._asdict()) for row in at.connection.execute(found)]
