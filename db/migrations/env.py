"""Alembic's entry: run migrations on the connection that sgonz hands over, with the views made anew."""

from alembic import context

from sgonz.store.tables import metadata
from sgonz.store.views import create_views, drop_views

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
drop_views(connection)  # SQLite changes a table by copying it, which views would stand in the way of
context.run_migrations()
create_views(connection)
