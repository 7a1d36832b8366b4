"""Alembic's environment: runs the migrations on the connection, and in the transaction, of `store/schema.py`."""

from alembic import context

from ccs_server.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
