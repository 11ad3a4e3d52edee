"""Leaderboards in full: groups, final standings, what analytics and corrections read."""

from __future__ import annotations

from server.backends.postgres.migrate import run_sql

revision = "0002"
down_revision: str | None = "0001"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql("0002_leaderboards.sql")
