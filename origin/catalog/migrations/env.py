"""Alembic's entry: it runs in the transaction that origin.catalog.migrate opened."""

from alembic import context

from origin.catalog.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
