"""Which leaderboards hold the events from before they were made."""

from __future__ import annotations

from server.backends.postgres.migrate import run_sql

revision = "0003"
down_revision: str | None = "0002"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql("0003_filling.sql")
