"""Which runs a command speaks of, and where they stand."""

from __future__ import annotations

from collections.abc import Sequence

from sgonz.cli.working import working
from sgonz.commands.planning import find_run
from sgonz.coordinator.coordinator import Coordinator
from sgonz.coordinator.turn import look
from sgonz.plan.decide import Decision
from sgonz.plan.state import RunRow
from sgonz.plan.where import parse


def chosen(
    rows: Sequence[RunRow], where: str | None, run_ids: Sequence[str] = (), limit: int | None = None
) -> list[RunRow]:
    """The rows that a selector and ids (or their first digits) choose."""
    wanted = parse(where) if where else None
    found = [row for row in rows if wanted is None or wanted(row)]
    for name in run_ids:
        find_run([row.run_id for row in rows], name)
    if run_ids:
        found = [row for row in found if row.run_id.startswith(tuple(run_ids))]
    return found[:limit]


def looked(at: Coordinator) -> tuple[Sequence[RunRow], Decision]:
    """Every run, and what would be decided now; a sweep of very many, or a slow cluster, takes a moment."""
    with working("reading runs, asking Slurm" if at.profile.scheduler == "slurm" else "reading runs"):
        return look(at)
