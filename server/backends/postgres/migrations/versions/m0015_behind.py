"""Whether an event moved the runs of leaderboards by points and by streak."""

from __future__ import annotations

from server.backends.postgres.migrate import run_sql

revision = "0015"
down_revision: str | None = "0014"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql("0015_behind.sql")
