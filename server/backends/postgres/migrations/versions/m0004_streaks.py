"""The past of streaks."""

from __future__ import annotations

from server.backends.postgres.migrate import run_sql

revision = "0004"
down_revision: str | None = "0003"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql("0004_streaks.sql")
