"""What the last turn of a sweep left for the next one, and whether anything was written since."""

from __future__ import annotations

from msgspec import structs
from sqlalchemy import select

from sgonz.store import tables
from sgonz.store.rows import StandingRow
from sgonz.store.tables import workspaces
from sgonz.store.transaction import Transaction


def changes(at: Transaction) -> int:
    found = select(workspaces.c.changes).where(workspaces.c.id == at.workspace)
    return int(at.connection.execute(found).scalar_one())


def keep_standing(at: Transaction, sweep_id: int, standing: StandingRow) -> None:
    names = StandingRow.__struct_fields__
    at.upsert(tables.standings, [{"sweep_id": sweep_id, **structs.asdict(standing)}], update=names)


def standing(at: Transaction, sweep_id: int) -> StandingRow | None:
    """None where something was written after it was kept."""
    table = tables.standings
    found = (
        select(*(table.c[name] for name in StandingRow.__struct_fields__))
        .join_from(table, workspaces, workspaces.c.id == table.c.workspace_id)
        .where(table.c.workspace_id == at.workspace, table.c.sweep_id == sweep_id)
        .where(table.c.changes == workspaces.c.changes)
    )
    row = at.connection.execute(found).one_or_none()
    return None if row is None else StandingRow(**row._asdict())


def last_answer(at: Transaction, sweep_id: int) -> str | None:
    """What was kept, whether or not anything was written since."""
    table = tables.standings
    found = select(table.c.answer).where(table.c.workspace_id == at.workspace, table.c.sweep_id == sweep_id)
    return at.connection.execute(found).scalar()
