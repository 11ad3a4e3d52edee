"""How far backfills have come, and whom they have set aside."""

from __future__ import annotations

from server.backends.postgres.migrate import run_sql

revision = "0014"
down_revision: str | None = "0013"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql("0014_backfills.sql")
