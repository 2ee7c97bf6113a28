"""The views that people query and the triggers that keep counts true: made anew with every schema change.

One file each in db/views; db/triggers has a file for each kind of database.
"""

from __future__ import annotations

import re

from sqlalchemy import Connection, text

from sgonz.resources import shipped

TRIGGER = re.compile(r"CREATE TRIGGER (\w+) AFTER \w+ (?:OF \w+ )?ON (\w+)")


def definitions() -> dict[str, str]:
    """View -> its SELECT."""
    return {path.stem: path.read_text() for path in sorted((shipped("db") / "views").glob("*.sql"))}


def create_views(connection: Connection) -> None:
    for name, body in definitions().items():
        connection.execute(text(f"CREATE VIEW {name} AS\n{body}"))


def drop_views(connection: Connection) -> None:
    for name in definitions():
        connection.execute(text(f"DROP VIEW IF EXISTS {name}"))


def create_triggers(connection: Connection) -> None:
    for statement in _trigger_statements(connection):
        connection.exec_driver_sql(statement)


def drop_triggers(connection: Connection) -> None:
    for name, table in TRIGGER.findall("\n".join(_trigger_statements(connection))):
        on = f" ON {table}" if connection.dialect.name == "postgresql" else ""
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}{on}")


def _trigger_statements(connection: Connection) -> list[str]:
    """A blank line stands between two."""
    return (shipped("db") / "triggers" / f"{connection.dialect.name}.sql").read_text().split("\n\n")
