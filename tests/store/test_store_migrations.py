"""Migrations end where a new database begins."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

import sgonz.store
from sgonz.errors import StoreError
from sgonz.resources import shipped
from sgonz.store.connect import begin, make_file, new_engine
from sgonz.store.store import open_store, upgrade
from sgonz.store.tables import SCHEMA, metadata
from sgonz.store.views import definitions


@pytest.fixture(params=["sqlite", "postgres"])
def new_location(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Any]:
    """An empty database of this name."""
    if request.param == "postgres":
        make = request.getfixturevalue("new_postgres")
        return lambda name: make()

    def new_file(name: str) -> Path:
        make_file(tmp_path / name)
        return tmp_path / name

    return new_file


def shape(connection: Connection) -> dict[str, Any]:
    """All that can be seen of the tables, apart from the order of what has none."""
    looked = inspect(connection)
    found: dict[str, Any] = {"views": sorted(looked.get_view_names())}
    for name in sorted(looked.get_table_names()):
        found[name] = {
            "columns": [
                (column["name"], str(column["type"]), column["nullable"], str(column["default"]))
                for column in looked.get_columns(name)
            ],
            "key": looked.get_pk_constraint(name),
            "foreign": sorted(map(str, looked.get_foreign_keys(name))),
            "unique": sorted(map(str, looked.get_unique_constraints(name))),
            "check": sorted((rule["name"], rule["sqltext"]) for rule in looked.get_check_constraints(name)),
            "indexes": sorted(map(index_text, looked.get_indexes(name))),
        }
    return found


def index_text(index: Any) -> str:
    options = {name: str(value) for name, value in (index.get("dialect_options") or {}).items()}
    return str({**index, "dialect_options": options})


def looked_at(location: Any) -> dict[str, Any]:
    engine = new_engine(location, read_only=True, journal=None)
    try:
        with begin(engine, writes=False) as connection:
            differences = compare_metadata(MigrationContext.configure(connection), metadata)
            return {**shape(connection), "not as in tables.py": differences}
    finally:
        engine.dispose()


def test_upgraded_database_is_like_a_new_one(new_location: Callable[[str], Any], tmp_path: Path) -> None:
    upgraded, created = new_location("upgraded"), new_location("created")
    upgrade(upgraded)
    open_store(created, workspace=tmp_path, create=True).close()
    first, second = looked_at(upgraded), looked_at(created)
    assert first == second
    assert first["views"] == sorted(definitions())
    assert first["not as in tables.py"] == []


def test_upgrade_can_be_repeated_and_keeps_the_content(
    new_location: Callable[[str], Any], tmp_path: Path
) -> None:
    location = new_location("store")
    assert upgrade(location) == (None, SCHEMA)
    with open_store(location, workspace=tmp_path, create=True) as store:
        store.add_sweep(name="a", text="", spec_json="{}", cluster="local", time=1.0, provenance={})
    assert upgrade(location) == (SCHEMA, SCHEMA)
    with open_store(location, workspace=tmp_path) as store:
        assert [sweep.name for sweep in store.sweeps()] == ["a"]


def test_newest_migration_is_the_schema_that_the_code_knows() -> None:
    scripts = ScriptDirectory(str(shipped("db") / "migrations"))
    revisions = [script.revision for script in scripts.walk_revisions()]
    assert scripts.get_current_head() == SCHEMA
    assert revisions == sorted(revisions, reverse=True)


@pytest.mark.parametrize(
    "revision",
    [
        script.revision
        for script in ScriptDirectory(str(shipped("db") / "migrations")).walk_revisions()
        if script.revision != SCHEMA
    ],
)
def test_every_earlier_revision_can_be_brought_up_to_date(
    new_location: Callable[[str], Any], tmp_path: Path, revision: str
) -> None:
    location, created = new_location("old"), new_location("created")
    config = Config()
    config.set_main_option("script_location", str(shipped("db") / "migrations"))
    engine = new_engine(location, read_only=False, journal=None)
    with begin(engine, writes=True) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.exec_driver_sql("INSERT INTO workspaces (id, path) VALUES (7, '/somewhere/else')")
        connection.exec_driver_sql(
            "INSERT INTO sweeps (id, workspace_id, name, digest, recency, cluster, created, submitted, provenance, text,"
            " spec_json) VALUES (1, 7, 'old', 'd', 1, 'local', 1, 1, '{}', '', '{}')"
        )
    engine.dispose()
    with pytest.raises(StoreError, match="sgonz db upgrade"):
        open_store(location, workspace=Path("/somewhere/else"))
    upgrade(location)
    with open_store(location, workspace=Path("/somewhere/else"), recorded=False) as store:
        assert [sweep.name for sweep in store.sweeps()] == ["old"]
    open_store(created, workspace=tmp_path, create=True).close()
    assert looked_at(location) == looked_at(created)


def test_readme_has_every_table_with_its_key_and_every_view_and_its_picture_no_others() -> None:
    text = (shipped("db") / "README.md").read_text()
    picture = set(re.findall(r"^    (\w+) \|\|--o[{|] (\w+) :", text, re.MULTILINE))
    described = dict(re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", text, re.MULTILINE))
    own = {name: [key for key in table.primary_key.columns.keys() if key != "workspace_id"]  # noqa: SIM118
           for name, table in metadata.tables.items()}  # fmt: skip
    assert {name for pair in picture for name in pair} == set(own)
    assert {name: described.get(name) for name in own} == {
        name: f"`{', '.join(key)}`" for name, key in own.items()
    }
    assert set(definitions()) <= set(re.findall(r"^\| `(\w+)` \| [^|]* \|$", text, re.MULTILINE))


def test_every_module_of_the_store_stands_in_its_map() -> None:
    folder = Path(sgonz.store.__path__[0])
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert modules <= set(re.findall(r"\w+", sgonz.store.__doc__ or ""))
