"""The rows of the flusher in Postgres: batches, positions, rejected items."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import asyncpg

from podium.spaces.continuity import Position
from podium.storage.postgres.pool import PoolConnection
from podium.writebehind.batches import EVENT_COLUMNS, Batch


class Rejected(NamedTuple):
    """An item that Postgres refused; ``place`` is -1 for an entry that can't be read at all."""

    log_id: str
    place: int
    user: str
    record: str
    state: str
    error: str


# One statement for what nearly every batch has: a round trip costs more than planning four of them together.
_UPSERT = """
WITH new_users AS (
    INSERT INTO users AS u (space_id, id, name, email, tz, attributes, created_ms, updated_ms, newest_ms,
                            token, state)
    SELECT $1, id, name, email, tz, attributes::jsonb, created_ms, updated_ms, newest_ms, token, state
    FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text::bigint[], $8::text::bigint[],
                $9::text::bigint[], $10::text[], $11::text[])
         AS r (id, name, email, tz, attributes, created_ms, updated_ms, newest_ms, token, state)
    ON CONFLICT (space_id, id) DO UPDATE SET
        name = excluded.name, email = excluded.email, tz = excluded.tz, attributes = excluded.attributes,
        created_ms = excluded.created_ms, updated_ms = excluded.updated_ms, newest_ms = excluded.newest_ms,
        token = excluded.token, state = excluded.state
), new_keys AS (
    INSERT INTO idempotency_keys (space_id, user_id, metric, key, event_id, received_ms)
    SELECT $1, r.*
    FROM unnest($12::text[], $13::text::integer[], $14::text[], $15::uuid[], $16::text::bigint[]) AS r
    ON CONFLICT DO NOTHING
), new_metric_days AS (
    INSERT INTO metric_days AS d (space_id, user_id, metric, day, change)
    SELECT $1, r.* FROM unnest($17::text[], $18::text::integer[], $19::text::date[], $20::text::bigint[]) AS r
    ON CONFLICT (space_id, user_id, metric, day) DO UPDATE SET change = d.change + excluded.change
), new_place_days AS (
    INSERT INTO place_days AS d (space_id, user_id, day, places, former)
    SELECT $1, user_id, day, places::jsonb, former::jsonb
    FROM unnest($21::text[], $22::text::date[], $23::text[], $24::text[]) AS r (user_id, day, places, former)
    -- Of two equal keys the right one counts: the last place of the day stays, and what preceded the first one.
    ON CONFLICT (space_id, user_id, day) DO UPDATE SET
        places = d.places || excluded.places, former = excluded.former || d.former
)
INSERT INTO board_days AS d (space_id, leaderboard, run, day, changes, active, joined)
SELECT $1, leaderboard, run, day, sum(changes), sum(active), sum(joined) FROM (
    SELECT *
    FROM unnest($25::text::integer[], $26::text[], $27::text::date[], $28::text::bigint[], $29::text::integer[],
                $30::text::integer[])
    UNION ALL
    -- Whoever comes back to a board has places from before, perhaps of the same day. A statement doesn't see its
    -- own rows.
    SELECT leaderboard, run, day, 0, CASE WHEN EXISTS (
            SELECT FROM place_days p WHERE p.space_id = $1 AND p.user_id = n.user_id AND p.day = n.day
                AND p.places ? (n.leaderboard || ':' || n.run)
        ) OR EXISTS (
            SELECT FROM rank_days o WHERE o.space_id = $1 AND o.leaderboard = n.leaderboard AND o.run = n.run
                AND o.user_id = n.user_id AND o.day = n.day
        ) THEN 0 ELSE 1 END,
        CASE WHEN NOT joins OR EXISTS (
            SELECT FROM place_days p WHERE p.space_id = $1 AND p.user_id = n.user_id AND p.day >= n.first_day
                AND p.places ? (n.leaderboard || ':' || n.run)
        ) OR EXISTS (
            SELECT FROM rank_days o WHERE o.space_id = $1 AND o.leaderboard = n.leaderboard AND o.run = n.run
                AND o.user_id = n.user_id
        ) THEN 0 ELSE 1 END
    FROM unnest($31::text::integer[], $32::text[], $33::text[], $34::text::date[], $35::text::date[],
                $36::boolean[]) AS n (leaderboard, run, user_id, day, first_day, joins)
) AS r (leaderboard, run, day, changes, active, joined)
GROUP BY leaderboard, run, day
ON CONFLICT (space_id, leaderboard, run, day) DO UPDATE SET changes = d.changes + excluded.changes,
    active = d.active + excluded.active, joined = d.joined + excluded.joined
"""

# Apart, as most batches have none: runs that states let go of, boards that users leave, groups.
_UPSERT_ENTRIES = """
INSERT INTO board_entries (space_id, leaderboard, run, grp, user_id, value, reached_ms, rank)
SELECT $1, r.* FROM unnest($2::integer[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
                           $8::integer[]) AS r (leaderboard, run, grp, user_id, value, reached_ms, rank)
-- The standings of a run that is final are written down, and its entries gone (jobs/finals.py).
WHERE NOT EXISTS (
    SELECT FROM final_runs f WHERE f.space_id = $1 AND f.leaderboard = r.leaderboard AND f.run = r.run
)
ON CONFLICT (space_id, leaderboard, run, grp, user_id) DO UPDATE SET
    value = excluded.value, reached_ms = excluded.reached_ms, rank = excluded.rank
"""
_DELETE_ENTRIES = """
DELETE FROM board_entries b
USING unnest($2::integer[], $3::text[], $4::text[], $5::text[]) AS r (leaderboard, run, grp, user_id)
WHERE b.space_id = $1 AND b.leaderboard = r.leaderboard AND b.run = r.run AND b.grp = r.grp
    AND b.user_id = r.user_id
"""
_INSERT_GROUPS = """
INSERT INTO board_groups (space_id, leaderboard, run, grp)
SELECT $1, r.* FROM unnest($2::integer[], $3::text[], $4::text[]) AS r ON CONFLICT DO NOTHING
"""
_UPSERT_GROUP_DAYS = """
INSERT INTO group_days (space_id, leaderboard, run, grp, day, rank, score, members)
SELECT $1, r.* FROM unnest($2::integer[], $3::text[], $4::text[], $5::date[], $6::integer[], $7::float8[],
                           $8::integer[]) AS r
ON CONFLICT (space_id, leaderboard, run, grp, day) DO UPDATE SET
    rank = excluded.rank, score = excluded.score, members = excluded.members
"""

# A streak is lengthened once a day.
_UPSERT_PERIODS = """
INSERT INTO streak_periods AS p (space_id, user_id, track, period, length, frozen, restored)
SELECT $1, r.* FROM unnest($2::text[], $3::smallint[], $4::integer[], $5::integer[], $6::boolean[], $7::boolean[])
    AS r
ON CONFLICT (space_id, user_id, track, period) DO UPDATE SET
    length = excluded.length, frozen = excluded.frozen,
    restored = excluded.restored OR p.restored AND p.length = excluded.length
"""
_DELETE_PERIODS = """
DELETE FROM streak_periods p USING unnest($2::text[], $3::smallint[], $4::integer[]) AS r (user_id, track, period)
WHERE p.space_id = $1 AND p.user_id = r.user_id AND p.track = r.track AND p.period = r.period
"""
_UPSERT_PAUSES = """
INSERT INTO streak_pauses AS p (space_id, id, user_id, first_day, last_day, deleted)
SELECT $1, r.* FROM unnest($2::uuid[], $3::text[], $4::date[], $5::date[], $6::boolean[]) AS r
ON CONFLICT (space_id, id) DO UPDATE SET deleted = excluded.deleted,
    last_day = CASE WHEN excluded.deleted THEN p.last_day ELSE excluded.last_day END
"""

_UPSERT_STREAKS = """
INSERT INTO user_streaks (space_id, track, user_id, length, longest)
SELECT $1, r.* FROM unnest($2::smallint[], $3::text[], $4::integer[], $5::integer[]) AS r
ON CONFLICT (space_id, track, user_id) DO UPDATE SET length = excluded.length, longest = excluded.longest
"""
_INSERT_AWARDS = """
WITH awards AS (
    INSERT INTO point_awards (space_id, id, user_id, system, cause, awarded, total, at_ms, day, boosts, event_id)
    SELECT $1, id, user_id, system, cause, awarded, total, at_ms, day, boosts::integer[], event_id
    FROM unnest($2::uuid[], $3::text[], $4::integer[], $5::integer[], $6::bigint[], $7::bigint[], $8::bigint[],
                $9::date[], $10::text[], $11::uuid[])
         AS r (id, user_id, system, cause, awarded, total, at_ms, day, boosts, event_id)
    ON CONFLICT DO NOTHING
), days AS (
    INSERT INTO point_days AS d (space_id, user_id, system, day, change)
    SELECT $1, r.* FROM unnest($12::text[], $13::integer[], $14::date[], $15::bigint[]) AS r
    ON CONFLICT (space_id, user_id, system, day) DO UPDATE SET change = d.change + excluded.change
)
INSERT INTO user_points (space_id, system, user_id, total)
SELECT $1, r.* FROM unnest($16::integer[], $17::text[], $18::bigint[]) AS r
ON CONFLICT (space_id, system, user_id) DO UPDATE SET total = excluded.total
"""
_INSERT_COMPLETIONS = """
WITH done AS (
    INSERT INTO achievement_completions (space_id, achievement, user_id, at_ms, silent)
    SELECT $1, r.* FROM unnest($2::integer[], $3::text[], $4::bigint[], $5::boolean[]) AS r
    ON CONFLICT DO NOTHING RETURNING achievement
)
INSERT INTO achievement_counts AS c (space_id, achievement, completions)
SELECT $1, achievement, count(*) FROM done GROUP BY achievement
ON CONFLICT (space_id, achievement) DO UPDATE SET completions = c.completions + excluded.completions
"""
_INSERT_FACTS = """
INSERT INTO user_facts (space_id, user_id, at_ms, kind, amount, subject)
SELECT $1, r.* FROM unnest($2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[]) AS r
"""
_COUNT_DAYS = """
INSERT INTO space_days AS d (space_id, day, events) SELECT $1, r.* FROM unnest($2::date[], $3::bigint[]) AS r
ON CONFLICT (space_id, day) DO UPDATE SET events = d.events + excluded.events
"""
_RECEIVED_AT = EVENT_COLUMNS.index("received_at")

_LITERALS = frozenset(int(place) for place in re.findall(r"\$(\d+)::text::", _UPSERT))
"""Parameters that travel as the text of an array: the driver packs numbers and dates one by one, at 0.4 µs each.
Texts go as they are, so that nobody has to quote them."""


async def write(connection: PoolConnection, space_id: int, batch: Batch) -> None:
    """Add a batch to every table.

    Raises:
        asyncpg.DataError: The driver or Postgres can't take a value.
    """
    if batch.events:
        try:
            await connection.copy_records_to_table("events", records=batch.events, columns=EVENT_COLUMNS)
        except (ValueError, OverflowError) as error:  # of other statements' values the driver says it by itself
            raise asyncpg.DataError(f"invalid input for a column of events: {error}") from error
        days = Counter(event[_RECEIVED_AT].date() for event in batch.events)
        await connection.execute(_COUNT_DAYS, space_id, list(days), list(days.values()))
    columns = (
        *(*batch.users, *batch.keys, *batch.metric_days, *batch.place_days),
        *(*batch.board_days, *batch.newcomers),
    )
    values = (_literal(c) if at in _LITERALS else c for at, c in enumerate(columns, start=2))
    await connection.execute(_UPSERT, space_id, *values)
    if batch.board_entries[0]:
        await connection.execute(_UPSERT_ENTRIES, space_id, *batch.board_entries)
    if batch.left[0]:
        await connection.execute(_DELETE_ENTRIES, space_id, *batch.left)
    if batch.board_groups[0]:
        await connection.execute(_INSERT_GROUPS, space_id, *batch.board_groups)
    if batch.group_days[0]:
        await connection.execute(_UPSERT_GROUP_DAYS, space_id, *batch.group_days)
    if batch.streak_periods[0]:
        await connection.execute(_UPSERT_PERIODS, space_id, *batch.streak_periods)
    if batch.gone_periods[0]:
        await connection.execute(_DELETE_PERIODS, space_id, *batch.gone_periods)
    if batch.streak_pauses[0]:
        await connection.execute(_UPSERT_PAUSES, space_id, *batch.streak_pauses)
    if batch.user_streaks[0]:
        await connection.execute(_UPSERT_STREAKS, space_id, *batch.user_streaks)
    if batch.point_awards[0]:
        points = (*batch.point_awards, *batch.point_days, *batch.user_points)
        await connection.execute(_INSERT_AWARDS, space_id, *points)
    if batch.completions[0]:
        await connection.execute(_INSERT_COMPLETIONS, space_id, *batch.completions)
    if batch.facts[0]:
        await connection.execute(_INSERT_FACTS, space_id, *batch.facts)


def _literal(column: Iterable[object]) -> str:
    return "{" + ",".join(["NULL" if value is None else str(value) for value in column]) + "}"


async def reject(connection: PoolConnection, space_id: int, rejected: Rejected) -> None:
    """Keep an item that was refused, for people to look at."""
    # What was refused may be unstorable itself: U+0000, the one character that text can't hold, is spelt out.
    texts = [text.replace("\x00", "\\u0000") for text in rejected[2:]]
    await connection.execute(
        "INSERT INTO rejected_entries (space_id, log_id, item, user_id, record, state, error)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        space_id,
        rejected.log_id,
        rejected.place,
        *texts,
    )


async def lock_position(connection: PoolConnection, space_id: int) -> Position | None:
    """Return the position of a space's flusher, locked: nobody else moves it until this transaction ends."""
    row = await connection.fetchrow(
        "SELECT epoch, log_id FROM log_positions WHERE space_id = $1 FOR UPDATE", space_id
    )
    return Position(*row) if row else None


async def move_position(connection: PoolConnection, space_id: int, log_id: str) -> None:
    """Name the last entry that was flushed."""
    await connection.execute(
        "UPDATE log_positions SET log_id = $2, updated_at = now() WHERE space_id = $1", space_id, log_id
    )


async def replace_epoch(connection: PoolConnection, space_id: int, former: str | None, epoch: str) -> str | None:
    """Give a space another epoch, so that no flusher goes on under the former one (None: it had none); the
    position, '0-1' if new. None where it has another epoch than ``former`` by now."""
    insert = (
        "INSERT INTO log_positions (space_id, epoch, log_id) VALUES ($1, $2, '0-1')"
        " ON CONFLICT DO NOTHING RETURNING log_id"
    )
    update = (
        "UPDATE log_positions SET epoch = $2, updated_at = now() WHERE space_id = $1 AND epoch = $3"
        " RETURNING log_id"
    )
    values = (insert, space_id, epoch) if former is None else (update, space_id, epoch, former)
    log_id: str | None = await connection.fetchval(*values)
    return log_id


async def note_rebuild(
    connection: PoolConnection, space_id: int, reason: str, users: int, flushed: int, lost: int
) -> None:
    """Write down that a space was rebuilt, for /readyz and the metrics."""
    await connection.execute(
        "INSERT INTO rebuilds (space_id, reason, users, flushed_events, lost_entries) VALUES ($1, $2, $3, $4, $5)",
        space_id,
        reason,
        users,
        flushed,
        lost,
    )
