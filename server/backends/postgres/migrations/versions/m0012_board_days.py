"""Active users and those who joined, by board and day."""

from __future__ import annotations

from server.backends.postgres.migrate import run_sql

revision = "0012"
down_revision: str | None = "0011"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql("0012_board_days.sql")
