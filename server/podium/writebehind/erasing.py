"""Everything that Postgres holds of a user, deleted."""

from __future__ import annotations

from podium.spaces import audit
from podium.storage.postgres.pool import PoolConnection

# Rows of a leaderboard are found by its runs, which are few: their keys begin with them.
_RUNS = "(leaderboard, run) IN (SELECT DISTINCT leaderboard, run FROM board_days WHERE space_id = $1)"
_OF_USER = {
    "events": "",
    "idempotency_keys": "",
    "metric_days": "",
    "board_entries": _RUNS,
    "rank_days": _RUNS,
    "place_days": "",
    "run_standings": "",
    "streak_periods": "",
    "streak_pauses": "",
    "user_streaks": "track IN (0, 1, 2)",
    "point_awards": "",
    "point_days": "",
    "user_points": "system IN (SELECT number FROM catalog_items WHERE space_id = $1 AND kind = 'points system')",
    "user_facts": "",
    "rejected_entries": "",
    "backfill_set_aside": "",
}
"""Tables with a column ``user_id``, and what brings an index into play where the user's id alone does not."""

_COMPLETIONS = """
WITH gone AS (
    DELETE FROM achievement_completions WHERE space_id = $1 AND user_id = $2 RETURNING achievement
)
UPDATE achievement_counts c SET completions = c.completions - 1
FROM gone WHERE c.space_id = $1 AND c.achievement = gone.achievement
"""


async def erase(connection: PoolConnection, space_id: int, user: str) -> None:
    """Delete every row of a user; in the audit log only a hash of the id stays."""
    for table, where in _OF_USER.items():
        more = f" AND {where}" if where else ""
        await connection.execute(
            f"DELETE FROM {table} WHERE space_id = $1 AND user_id = $2{more}",  # noqa: S608 # our own words
            space_id,
            user,
        )
    await connection.execute(_COMPLETIONS, space_id, user)
    # Once more: an action that was under way may have written after api/users/erase.py.
    await audit.forget(connection, space_id, user)
    await connection.execute("DELETE FROM users WHERE space_id = $1 AND id = $2", space_id, user)
