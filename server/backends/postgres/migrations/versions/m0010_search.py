"""Users found by the words of their names."""

from __future__ import annotations

from server.backends.postgres.migrate import run_sql

revision = "0010"
down_revision: str | None = "0009"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql("0010_search.sql")
