"""Items that Postgres refused: listed, and written after all once what was wrong is mended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import NamedTuple

import msgspec

from podium.game.leaderboards.ranking import split_board
from podium.game.records import LogItem, decode_record
from podium.game.state import decode_state
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool, PoolConnection, acquired
from podium.storage.redis.client import AWAY, RedisClient, unavailable
from podium.storage.redis.wire import BLOB, TOKEN
from podium.writebehind import store
from podium.writebehind.batches import Batch, Item, collect, transposed
from podium.writebehind.flusher import REFUSED

PAGE = 100
"""Items read at a time."""


class Entry(NamedTuple):
    """A row of ``rejected_entries``; ``item`` is the place in its log entry, -1 where that could not be read."""

    id: int
    at: datetime
    log_id: str
    item: int
    user_id: str
    record: str
    state: str
    error: str


class Resent(NamedTuple):
    """An entry, and why it could not be written: "" where it was."""

    entry: Entry
    problem: str


async def read_rejected(pool: Pool, space_id: int, last: int = 0) -> list[Entry]:
    """Return up to ``PAGE`` entries of a space behind the id ``last``, in the order in which they were rejected.

    Raises:
        Unavailable: Postgres is away.
    """
    async with acquired(pool) as connection:
        rows = await connection.fetch(
            f"SELECT {', '.join(Entry._fields)} FROM rejected_entries"  # noqa: S608 # our own words
            " WHERE space_id = $1 AND id > $2 ORDER BY id LIMIT $3",
            space_id,
            last,
            PAGE,
        )
    return [Entry(*row) for row in rows]


async def resend(pool: Pool, redis: RedisClient, space: Space) -> AsyncIterator[Resent]:
    """Write what was rejected: events, keys, awards and the like from the record, each once; the user, and where
    the user stands, as Redis has them now. The ranks of days that are over aren't made up for.

    Raises:
        Unavailable: A store is away. What was written so far stays so, and is rejected no more.
    """
    last = 0
    while entries := await read_rejected(pool, space.id, last):
        for entry in entries:
            yield Resent(entry, await _resend(pool, redis, space, entry))
        last = entries[-1].id


async def _resend(pool: Pool, redis: RedisClient, space: Space, entry: Entry) -> str:
    try:
        async with acquired(pool) as connection, connection.transaction():
            # The flusher waits meanwhile: what is in Redis now is no older than anything that it has written.
            await store.lock_position(connection, space.id)
            gone = "DELETE FROM rejected_entries WHERE id = $1 RETURNING true"
            if not await connection.fetchval(gone, entry.id):
                return "somebody else has just resent it"
            await store.write(connection, space.id, await _batch(connection, redis, space, entry))
    except REFUSED as error:
        return f"{type(error).__name__}: {error}"
    return ""


async def _batch(connection: PoolConnection, redis: RedisClient, space: Space, entry: Entry) -> Batch:
    """The rows of an entry."""
    if entry.item < 0 or not entry.state:
        raise msgspec.ValidationError("there is nothing in it that can be written")
    record, user = decode_record(entry.record), entry.user_id
    token, blob = await _newest(connection, redis, space, entry)
    ranks: list[int | str] = [0] * (3 * len(record.boards))
    batch = collect(space.id, [Item(entry.log_id, entry.item, LogItem(user, token, blob, entry.record, ranks))])
    state = decode_state(blob)
    # Where the user stands, the state says; what it had let go of by then, nothing but the record does.
    dropped = [one for one in record.dropped or () if one.board not in state.boards]
    entries = [(*_place(one.board), user, one.value, one.reached_ms, 0) for one in dropped]
    left = [
        (*_place(one.board), user) for one in record.boards if one.value is None and one.board not in state.boards
    ]
    points = [(one.system, user, state.points.get(one.system, one.total)) for one in record.awards]
    return batch._replace(
        board_entries=transposed(entries, 7),
        left=transposed(left, 4),
        user_points=transposed(dict.fromkeys(points), 3),
        place_days=transposed((), 4),
        board_days=transposed((), 6),
        newcomers=transposed((), 6),
    )


async def _newest(connection: PoolConnection, redis: RedisClient, space: Space, entry: Entry) -> tuple[str, str]:
    """The user's token and state: in Redis, else (evicted) in Postgres, else as they were rejected."""
    try:
        token, blob = await redis.raw.hmget(space.keys.user(entry.user_id), [TOKEN, BLOB])
    except AWAY as error:
        raise unavailable(error) from error
    if token is not None:
        return token.decode(), blob.decode()
    query = "SELECT token, state FROM users WHERE space_id = $1 AND id = $2"
    row = await connection.fetchrow(query, space.id, entry.user_id)
    return (f"resent.{entry.id}", entry.state) if row is None else (row["token"], row["state"])


def _place(board: str) -> tuple[int, str, str]:
    leaderboard, run, group = split_board(board)
    return leaderboard, run, group or ""
