"""When and why Redis was filled anew with a space."""

from __future__ import annotations

from server.backends.postgres.migrate import run_sql

revision = "0013"
down_revision: str | None = "0012"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql("0013_rebuilds.sql")
