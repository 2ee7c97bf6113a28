"""What the store knows of nodes: when things went well there, and when not."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, Table, func, select

from sgonz.plan.nodes import NodeRecord
from sgonz.plan.runs import Outcome
from sgonz.plan.settling import NEVER_AGAIN
from sgonz.store.tables import attempts, jobs
from sgonz.store.transaction import Transaction


def node_records(at: Transaction, since: float) -> list[NodeRecord]:
    """Of every node, where one did badly since then; none otherwise, which is the common case and a quick one."""
    lost, failed = _lost(at, since), _failed(at, since)
    if not lost and not failed:
        return []
    began = _last(at, jobs, jobs.c.started, jobs.c.started.is_not(None))
    completed = _last(at, attempts, attempts.c.ended, attempts.c.outcome == Outcome.COMPLETED)
    return [
        NodeRecord(node=node, began=began.get(node), completed=completed.get(node),
                   lost=tuple(lost.get(node, ())), failed=tuple(failed.get(node, ())))
        for node in sorted({*began, *lost, *failed})
    ]  # fmt: skip


def _last(
    at: Transaction, table: Table, moment: Column[float], well: ColumnElement[bool]
) -> dict[str, float]:
    """When something last went well, by node."""
    here = (table.c.workspace_id == at.workspace) & table.c.host.is_not(None)
    found = select(table.c.host, func.max(moment)).where(here, well).group_by(table.c.host)
    return dict(_pairs(at, found))


def _lost(at: Transaction, since: float) -> dict[str, list[float]]:
    """Jobs that ended badly before their worker said anything, or with their node."""
    bad = (jobs.c.outcome == Outcome.NODE_FAIL) | (
        (jobs.c.outcome == Outcome.FAILED) & jobs.c.started.is_(None)
    )
    found = select(jobs.c.host, jobs.c.ended).where(
        jobs.c.workspace_id == at.workspace, jobs.c.host.is_not(None), jobs.c.ended > since, bad
    )
    return _by_node(_pairs(at, found))


def _failed(at: Transaction, since: float) -> dict[str, list[float]]:
    """Attempts that failed, but for what would fail anywhere."""
    found = select(attempts.c.host, attempts.c.ended, attempts.c.signature).where(
        attempts.c.workspace_id == at.workspace,
        attempts.c.host.is_not(None),
        attempts.c.ended > since,
        attempts.c.outcome == Outcome.FAILED,
    )
    rows = [(host, ended) for host, ended, signature in at.connection.execute(found)
            if not (signature or "").startswith(NEVER_AGAIN)]  # fmt: skip
    return _by_node(rows)


def _pairs(at: Transaction, found: Select[Any]) -> list[tuple[str, float]]:
    return [(str(node), float(moment)) for node, moment in at.connection.execute(found) if moment is not None]


def _by_node(pairs: list[tuple[str, float]]) -> dict[str, list[float]]:
    grouped: dict[str, list[float]] = defaultdict(list)
    for node, moment in pairs:
        grouped[node].append(moment)
    return grouped
