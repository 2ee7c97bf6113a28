"""Care for a database: check it, back it up, forget a work folder."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, delete, func, select, text

from sgonz.errors import StoreError
from sgonz.plan.wording import number_of
from sgonz.rundir import disk_errors
from sgonz.store import migrate
from sgonz.store.connect import begin, is_url, make_file, new_engine, shown
from sgonz.store.refusals import store_errors
from sgonz.store.tables import metadata, standings, tallies, workspaces
from sgonz.store.transaction import Transaction

DERIVED = (tallies, standings)  # made anew: by triggers, and by the next turn
TABLES = [table for table in metadata.sorted_tables if table not in (workspaces, *DERIVED)]  # parents first
Location = str | Path


def forget_workspace(at: Transaction) -> None:
    """Delete every row of the work folder."""
    for table in [standings, *reversed(TABLES), tallies]:
        at.connection.execute(delete(table).where(table.c.workspace_id == at.workspace))


def check(location: Location) -> list[str]:
    """What is wrong with a database: damaged pages, rows that point nowhere; nothing in a sound one."""
    engine = new_engine(location, read_only=True, journal=None)
    try:
        with store_errors(location), begin(engine, writes=False) as connection:
            migrate.check_version(connection, location)
            wrong = _pages(connection) if connection.dialect.name == "sqlite" else []
            return wrong + _dangling(connection) + _disagreements(connection)
    finally:
        engine.dispose()


def _pages(connection: Connection) -> list[str]:
    said = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
    return [f"page check: {line}" for line in said if line != "ok"]


def _dangling(connection: Connection) -> list[str]:
    """Rows whose foreign keys lead nowhere: none unless somebody wrote around the rules."""
    wrong = []
    for table in TABLES:
        for key in table.foreign_key_constraints:
            other = key.referred_table.alias()
            pairs = [(element.parent, other.c[element.column.name]) for element in key.elements]
            joined = [own == theirs for own, theirs in pairs]
            lost = (
                select(func.count())
                .select_from(table)
                .where(*(own.is_not(None) for own, _ in pairs), ~select(other).where(*joined).exists())
            )
            if count := connection.execute(lost).scalar():
                wrong.append(
                    f"{table.name}: {number_of(count, 'row points', 'rows point')} to no {key.referred_table.name}"
                )
    return wrong


COUNTED = """SELECT workspace_id, 0 AS sweep_id, kind, dataset, state, COUNT(*) AS runs FROM runs
    GROUP BY workspace_id, kind, dataset, state
    UNION ALL SELECT runs.workspace_id, sweep_id, kind, dataset, state, COUNT(*) FROM sweep_runs JOIN runs
    ON runs.workspace_id = sweep_runs.workspace_id AND runs.run_id = sweep_runs.run_id
    GROUP BY runs.workspace_id, sweep_id, kind, dataset, state"""
KEPT = "SELECT workspace_id, sweep_id, kind, dataset, state, runs FROM tallies WHERE runs > 0"
DISAGREEMENTS = {
    "runs: {} are at work in no job that is known": """
        SELECT COUNT(*) FROM runs WHERE state IN ('SUBMITTED', 'RUNNING') AND NOT EXISTS (SELECT 1 FROM jobs
        WHERE jobs.workspace_id = runs.workspace_id AND jobs.tag = runs.tag AND jobs.element = runs.element)""",
    "runs: {} are completed without an attempt that was": """
        SELECT COUNT(*) FROM runs WHERE state = 'COMPLETED' AND attempts > 0 AND NOT EXISTS (SELECT 1 FROM attempts
        WHERE attempts.workspace_id = runs.workspace_id AND attempts.run_id = runs.run_id AND outcome = 'COMPLETED')""",
    "sweep_runs: {} are selected without a result": """
        SELECT COUNT(*) FROM sweep_runs JOIN runs ON runs.workspace_id = sweep_runs.workspace_id
        AND runs.run_id = sweep_runs.run_id WHERE selected AND state <> 'COMPLETED' AND criterion_value IS NULL""",
    "tallies: {} are not what is counted": f"""
        SELECT COUNT(*) FROM (SELECT * FROM (SELECT * FROM ({COUNTED}) AS a EXCEPT {KEPT}) AS lost
        UNION ALL SELECT * FROM ({KEPT} EXCEPT SELECT * FROM ({COUNTED}) AS b) AS invented) AS wrong""",
}


def _disagreements(connection: Connection) -> list[str]:
    counted = {said: connection.execute(text(sql)).scalar() for said, sql in DISAGREEMENTS.items()}
    return [said.format(count) for said, count in counted.items() if count]


def backup(location: Location, target: Path) -> None:
    """A whole copy of an SQLite database as it is now, while others go on using it; never half of one."""
    if is_url(location):
        raise StoreError(
            f"{shown(location)} is a Postgres database",
            hint="Use pg_dump, or copy it to a file with: sgonz db copy URL FILE",
        )
    if target.exists():
        raise StoreError(f"{target} is there already", hint="Give another name; nothing was overwritten.")
    draft = target.with_name(f".{target.name}.part")
    draft.unlink(missing_ok=True)
    with disk_errors(target), store_errors(location):
        make_file(draft)
        with (
            closing(sqlite3.connect(f"{Path(location).absolute().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(draft)) as copy,
        ):
            source.backup(copy, pages=4096)
            copy.execute("PRAGMA journal_mode = DELETE")
        draft.replace(target)
