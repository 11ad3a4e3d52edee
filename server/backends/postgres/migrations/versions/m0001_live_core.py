"""The live core: spaces and keys, the catalog, and what the flusher writes."""

from __future__ import annotations

from server.backends.postgres.migrate import run_sql

revision = "0001"
down_revision: str | None = None


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql("0001_live_core.sql")
