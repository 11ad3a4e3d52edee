"""Console accounts, and events by day."""

from __future__ import annotations

from server.backends.postgres.migrate import run_sql

revision = "0009"
down_revision: str | None = "0008"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql("0009_console.sql")
