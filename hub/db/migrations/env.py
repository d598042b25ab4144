"""What Alembic runs: all steps on the connection that `open_database` holds, in its transaction."""

from __future__ import annotations

from alembic import context

from hub.db.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
