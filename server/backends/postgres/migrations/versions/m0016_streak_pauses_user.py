"""An index for the pauses of a user."""

from __future__ import annotations

from server.backends.postgres.migrate import run_sql

revision = "0016"
down_revision: str | None = "0015"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql("0016_streak_pauses_user.sql")
