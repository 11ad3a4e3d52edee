"""Last uses of keys, and the audit log by item."""

from __future__ import annotations

from server.backends.postgres.migrate import run_sql

revision = "0008"
down_revision: str | None = "0007"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql("0008_people.sql")
