"""What was wrong with event files, and what the last turn left for the next one."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs
from sqlalchemy import select

from sgonz.store import tables
from sgonz.store.rows import Problem, StandingRow
from sgonz.store.tables import workspaces
from sgonz.store.transaction import Transaction

LAST = ("count", "detail", "last")


def note(at: Transaction, found: Sequence[Problem]) -> None:
    """Add problems; one that is known has its lines added up and keeps the time when it was first seen."""
    known = {(row.file, row.rule): row for row in list_problems(at, {problem.file for problem in found})}
    for problem in found:
        before = known.get((problem.file, problem.rule))
        count = problem.count + (before.count if before else 0)
        known[problem.file, problem.rule] = structs.replace(problem, count=count)
    changed = {(problem.file, problem.rule) for problem in found}
    at.upsert(tables.problems, [structs.asdict(known[key]) for key in sorted(changed)], update=LAST)


def list_problems(at: Transaction, files: set[str] | None = None) -> list[Problem]:
    table = tables.problems
    columns = [table.c[name] for name in Problem.__struct_fields__]
    found = select(*columns).where(table.c.workspace_id == at.workspace)
    if files is not None:
        found = found.where(table.c.file.in_(sorted(files)))
    ordered = found.order_by(table.c.first, table.c.file, table.c.rule)
    return [Problem(**row._asdict()) for row in at.connection.execute(ordered)]


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
