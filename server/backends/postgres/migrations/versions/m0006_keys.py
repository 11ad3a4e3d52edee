"""Keys of single users; users found by what they are called."""

from __future__ import annotations

from server.backends.postgres.migrate import run_sql

revision = "0006"
down_revision: str | None = "0005"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql("0006_keys.sql")
