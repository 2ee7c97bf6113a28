"""The views that people query: one file each in db/views, made anew with every schema change."""

from __future__ import annotations

from sqlalchemy import Connection, text

from sgonz.resources import shipped


def definitions() -> dict[str, str]:
    """View -> its SELECT."""
    return {path.stem: path.read_text() for path in sorted((shipped("db") / "views").glob("*.sql"))}


def create_views(connection: Connection) -> None:
    for name, body in definitions().items():
        connection.execute(text(f"CREATE VIEW {name} AS\n{body}"))


def drop_views(connection: Connection) -> None:
    for name in definitions():
        connection.execute(text(f"DROP VIEW IF EXISTS {name}"))
