"""Restored periods of streaks, and the audit log by user."""

from __future__ import annotations

from server.backends.postgres.migrate import run_sql

revision = "0011"
down_revision: str | None = "0010"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql("0011_console_actions.sql")
