"""Make the tables of a new database, and bring those of an older one up to date."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, insert, inspect, select, text

from sgonz.errors import StoreError
from sgonz.resources import shipped
from sgonz.store.connect import begin, new_engine, shown
from sgonz.store.refusals import store_errors
from sgonz.store.tables import SCHEMA, metadata, version
from sgonz.store.views import create_triggers, create_views

CREATION_LOCK = 7_246_669  # any number; Postgres makes everybody who names it wait for the others


def create_tables(connection: Connection) -> None:
    """All tables and views of this version, where nobody has made them yet."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": CREATION_LOCK})
    if found_version(connection) is not None:
        return
    metadata.create_all(connection)
    version.create(connection)
    connection.execute(insert(version).values(version_num=SCHEMA))
    create_views(connection)
    create_triggers(connection)


def check_version(connection: Connection, location: str | Path) -> None:
    """Raise StoreError unless the tables are those of this version of sgonz."""
    found = found_version(connection)
    where = shown(location)
    if found is None:
        raise StoreError(
            f"{where} holds no sgonz database", hint="See that the path is right; sgonz run makes a new one."
        )
    if found > SCHEMA:
        raise StoreError(
            f"{where} was written by a newer sgonz (schema {found}, this one knows {SCHEMA})",
            hint="Use that version: pip install --upgrade sgonz",
        )
    if found < SCHEMA:
        raise StoreError(
            f"{where} was written by an older sgonz (schema {found}, this one needs {SCHEMA})",
            hint="Bring it up to date with: sgonz db upgrade",
        )


def found_version(connection: Connection) -> str | None:
    """The schema's number; None where there are no tables of ours."""
    if not inspect(connection).has_table(version.name):
        return None
    return connection.execute(select(version.c.version_num)).scalar()


def upgrade(location: str | Path) -> tuple[str | None, str]:
    """Run the migrations that a database has not seen, in one transaction; the schemas before and after."""
    from alembic import command  # slow to import, and needed here alone
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(shipped("db") / "migrations").replace("%", "%%"))
    engine = new_engine(location, read_only=False, journal=None)
    try:
        with store_errors(location), begin(engine, writes=True) as connection:
            found = found_version(connection)
            if found is not None and found >= SCHEMA:
                check_version(connection, location)
                return found, found
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            return found, SCHEMA
    finally:
        engine.dispose()
