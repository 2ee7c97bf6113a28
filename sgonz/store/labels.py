"""What people write about sweeps: notes in order, and tags. Both belong to a sweep's name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import delete, func, select

from sgonz.store.rows import NoteRow
from sgonz.store.tables import sweep_notes, sweep_runs, sweep_tags, sweeps
from sgonz.store.transaction import Transaction


def add_note(at: Transaction, sweep: str, text: str, *, author: str, time: float) -> int:
    """The note's number."""
    here = (sweep_notes.c.workspace_id == at.workspace) & (sweep_notes.c.sweep == sweep)
    number = (at.connection.execute(select(func.max(sweep_notes.c.number)).where(here)).scalar() or 0) + 1
    at.fill(sweep_notes, [{"sweep": sweep, "number": number, "time": time, "author": author, "text": text}])
    return int(number)


def remove_note(at: Transaction, sweep: str, number: int) -> None:
    table = sweep_notes
    this = (table.c.workspace_id == at.workspace) & (table.c.sweep == sweep) & (table.c.number == number)
    at.connection.execute(delete(table).where(this))


def set_tags(at: Transaction, sweep: str, tags: Sequence[str]) -> None:
    """From now on these, and no others."""
    table = sweep_tags
    at.connection.execute(delete(table).where(table.c.workspace_id == at.workspace, table.c.sweep == sweep))
    at.fill(table, [{"sweep": sweep, "tag": tag} for tag in sorted(set(tags))])


def notes(at: Transaction, sweep: str | None = None) -> list[NoteRow]:
    """Of a sweep, or of all; oldest first."""
    table = sweep_notes
    found = select(*(table.c[name] for name in NoteRow.__struct_fields__)).where(
        table.c.workspace_id == at.workspace
    )
    if sweep is not None:
        found = found.where(table.c.sweep == sweep)
    ordered = found.order_by(table.c.time, table.c.sweep, table.c.number)
    return [NoteRow(**row._asdict()) for row in at.connection.execute(ordered)]


def tags(at: Transaction) -> dict[str, tuple[str, ...]]:
    """Sweep -> its tags, in order; only sweeps that have any."""
    found = (
        select(sweep_tags.c.sweep, sweep_tags.c.tag)
        .where(sweep_tags.c.workspace_id == at.workspace)
        .order_by(sweep_tags.c.sweep, sweep_tags.c.tag)
    )
    listed: dict[str, list[str]] = defaultdict(list)
    for sweep, tag in at.connection.execute(found):
        listed[sweep].append(tag)
    return {sweep: tuple(found) for sweep, found in listed.items()}


def tags_of_runs(at: Transaction, run_ids: Sequence[str] | None = None) -> dict[str, tuple[str, ...]]:
    """Run -> the tags of all sweeps that it stands in; only runs that have any. `run_ids` are few, or all."""
    same = (sweeps.c.workspace_id == sweep_tags.c.workspace_id) & (sweeps.c.name == sweep_tags.c.sweep)
    linked = (sweep_runs.c.workspace_id == sweeps.c.workspace_id) & (sweep_runs.c.sweep_id == sweeps.c.id)
    found = (
        select(sweep_runs.c.run_id, sweep_tags.c.tag)
        .select_from(sweep_tags)
        .join(sweeps, same)
        .join(sweep_runs, linked)
        .where(sweep_tags.c.workspace_id == at.workspace)
        .order_by(sweep_runs.c.run_id, sweep_tags.c.tag)
        .distinct()
    )
    if run_ids is not None:
        found = found.where(sweep_runs.c.run_id.in_(run_ids))
    tagged: dict[str, tuple[str, ...]] = {}
    for run_id, tag in at.connection.execute(found):
        tagged[run_id] = (*tagged.get(run_id, ()), tag)
    return tagged
