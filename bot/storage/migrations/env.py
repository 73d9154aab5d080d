"""Runs Alembic on the connection, and inside the transaction, of `bot.storage.schema.upgrade`."""

from alembic import context

from bot.storage.tables.columns import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
