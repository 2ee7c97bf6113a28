"""Alembic's entry: run migrations on the connection that sgonz hands over, with views and triggers made anew."""

from alembic import context

from sgonz.store.tables import SCHEMA, metadata
from sgonz.store.views import create_triggers, create_views, drop_triggers, drop_views

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
drop_triggers(connection)
drop_views(connection)  # SQLite changes a table by copying it, which views would stand in the way of
context.run_migrations()
if context.get_context().get_current_revision() == SCHEMA:  # an older one lacks what they speak of
    create_views(connection)
    create_triggers(connection)
