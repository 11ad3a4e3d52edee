"""The past of points."""

from __future__ import annotations

from server.backends.postgres.migrate import run_sql

revision = "0005"
down_revision: str | None = "0004"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql("0005_points.sql")
