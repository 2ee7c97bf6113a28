"""What was wrong with event files, and how often."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs
from sqlalchemy import select

from sgonz.store import tables
from sgonz.store.rows import Problem
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
