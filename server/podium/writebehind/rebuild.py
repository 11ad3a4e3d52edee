"""Fills Redis with a space from Postgres
(docs/decisions/0006-exactly-once.md, docs/decisions/0007-record-and-working-set.md).

The order makes it safe to die anywhere: commits are refused from the first step to the last, the next run
starts over, and a flusher that still works for the old epoch finds another one in Postgres.

It is as safe to stall anywhere. An advisory lock keeps others away only while its connection lives, so each step
names what it relies on, and is refused where that is gone: in Postgres the epoch that was found at the beginning,
in Redis the rebuild's token, which the next rebuild replaces and the end of one deletes (functions/podium.lua).
"""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, NamedTuple

import msgspec
import structlog

from podium.clock import Clock, stopwatch_s
from podium.game.errors import Unavailable
from podium.game.leaderboards.labels import label
from podium.game.leaderboards.model import Standing
from podium.game.leaderboards.ranking import board_name, member, score, split_board
from podium.game.leaderboards.rules import ranked
from podium.game.periods import iso
from podium.game.state import decode_state
from podium.intake.idempotency import key_hash
from podium.spaces import continuity
from podium.spaces.continuity import Comparison, Position
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool, PoolConnection, acquired
from podium.storage.redis.client import AWAY, RedisClient, unavailable
from podium.storage.redis.keys import GENERATION_MS, LAYOUT, generation
from podium.storage.redis.wire import AGGREGATES, BLOB, KEYS_TTL, PIECE, TIES, TOKEN
from podium.writebehind import store
from podium.writebehind.flusher import Flusher, WentBack

CHUNK = 250
"""Rows read and sent at a time: enough to hide the round trips, and Redis is busy for 2 ms with it."""
KEYS_MARGIN_MS = 86_400_000
"""Idempotency keys are filled from this much before the previous generation: the clocks of web processes, by which
Postgres has their instants, may differ by as much."""
_LOCK = 0x506F64
"""First half of the advisory lock ("Pod"); the second is the space."""
_LET_GO = """
AND NOT coalesce((
    SELECT strpos(u.state, '"' || concat_ws(':', b.leaderboard, b.run, nullif(b.grp, '')) || '":[') > 0
    FROM users u WHERE u.space_id = b.space_id AND u.id = b.user_id
), false)
"""
"""Entries that no state holds: a release before this one wrote those, too, and left them behind."""
Progress = Callable[[int, int], None]
"""Hears how many rows of how many are done."""

log = structlog.get_logger(__name__)


class Rebuilt(NamedTuple):
    """``flushed`` events were still saved from the old log; ``lost`` log entries could not be, because they
    didn't continue what Postgres holds (what an emptied Redis held, nobody knows)."""

    users: int
    flushed: int
    lost: int


async def rebuild(
    pool: Pool,
    redis: RedisClient,
    space: Space,
    clock: Clock,
    *,
    force: bool = False,
    cold_before_ms: int = 0,
    progress: Progress | None = None,
) -> Rebuilt | None:
    """Fill Redis from Postgres under a new epoch; also how a space first comes alive.

    Unless ``force``, does nothing (None) where Redis continues what Postgres holds. Users who were last seen
    before ``cold_before_ms`` become cold: their states stay in Postgres. ``Unavailable`` where a store is
    away, or another process is at it.
    """
    began_s = stopwatch_s()
    token = secrets.token_hex(8)
    async with acquired(pool) as holder, holder.transaction():
        # Two connections: the lock must be taken before the snapshot that the rows are read from.
        await holder.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        if not await holder.fetchval("SELECT pg_try_advisory_xact_lock($1, $2)", _LOCK, space.id):
            raise Unavailable("another process is rebuilding the space")
        found = await continuity.compare(pool, redis, space)
        if not force and found.broken is None and not await is_outdated(redis, space):
            return None
        try:
            reason = await _reason(redis, space, found)
            if found.broken is not None:
                _report(reason)("rebuild_needed", space=space.public_id, reason=reason)
            # Close the space first: from here on no commit is taken, so the log that is saved next is complete.
            await _step(redis, space, "begin", token, found.epoch, reason)
            flushed, lost = await _save_log(pool, redis, space, clock)
            # Postgres before Redis: a flusher that meets the new epoch in Redis finds it in Postgres, too.
            log_id = await _replace_epoch(pool, space, found.position, token)
            await _clear(redis, space, token)
            loader = _SnapshotLoader(redis, space, token, clock(), cold_before_ms, progress)
            async with (
                acquired(pool) as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                # One snapshot: states and boards are of the same instant.
                await loader.run(connection)
            done = Rebuilt(loader.users, flushed, lost)
            await store.note_rebuild(holder, space.id, reason, *done)
            await _open(holder, redis, space, token, log_id, loader.generation, clock)
            space.epoch = token
            space.note_log_id(token, log_id)
        except AWAY as error:
            raise unavailable(error) from error
    _report(reason)(
        "space_rebuilt",
        space=space.public_id,
        reason=reason,
        users=loader.users,
        flushed_events=flushed,
        lost_entries=lost,
        position=log_id,
        position_time=iso(int(log_id.partition("-")[0])),
        seconds=round(stopwatch_s() - began_s, 3),
    )
    return done


async def is_outdated(redis: RedisClient, space: Space) -> bool:
    """Return whether Redis holds the space as an earlier release laid it out, which must be rebuilt.

    Raises:
        Unavailable: Redis is away.
    """
    try:
        epoch, layout = await redis.raw.hmget(space.keys.meta, ["epoch", "layout"])
    except AWAY as error:
        raise unavailable(error) from error
    return epoch is not None and (layout or b"").decode() != LAYOUT


def _report(reason: str) -> Callable[..., None]:
    """Return the log's level for a rebuild: a new space has never been in Redis, which is no damage."""
    report: Callable[..., None] = log.info if reason == "new" else log.warning
    return report


async def _reason(redis: RedisClient, space: Space, found: Comparison) -> str:
    """Return the reason of a rebuild; that noted at the time, of a space that was closed or left half-built."""
    noted = await redis.raw.hget(space.keys.meta, "closed") if found.broken == "empty" else None
    if noted is not None:
        return str(noted.decode())
    return found.broken or ("outdated" if await is_outdated(redis, space) else "requested")


async def _step(redis: RedisClient, space: Space, step: str, token: str, *args: str | bytes | int) -> None:
    """Have Redis do one step of the rebuild with this token; ``Unavailable`` where another one has begun since."""
    if not await redis.call(f"rebuild_{step}", space.keys.meta, token, *args):
        raise Unavailable("another process has begun to rebuild the space")


async def _replace_epoch(pool: Pool, space: Space, found: Position | None, epoch: str) -> str:
    """Have Postgres say that the space has a new epoch; the position."""
    async with acquired(pool) as connection:
        former = found.epoch if found is not None else None
        log_id = await store.replace_epoch(connection, space.id, former, epoch)
    if log_id is None:
        raise Unavailable("another process has rebuilt the space meanwhile")
    return log_id


async def _save_log(pool: Pool, redis: RedisClient, space: Space, clock: Clock) -> tuple[int, int]:
    """Save what the log of the closed space still holds: events flushed, entries lost.

    What doesn't continue the position is left: Postgres has had newer rows.
    """
    # Closing the space has moved its epoch to this field of meta.
    flusher = Flusher(pool, redis, space, clock, epoch_field="former")
    flushed, more = 0, True
    try:
        while more:
            events, more = await flusher.flush()
            flushed += events
    except WentBack:
        return flushed, await _count_lost(pool, redis, space)
    return flushed, 0


async def _count_lost(pool: Pool, redis: RedisClient, space: Space) -> int:
    async with acquired(pool) as connection:
        position = await continuity.read_position(connection, space.id)
    last, lost = position.log_id if position else "0-1", 0
    page: list[Any]
    while page := await redis.raw.xrange(space.keys.log, min=f"({last}", count=CHUNK):
        lost += len(page)
        last = page[-1][0].decode()
    return lost


async def _clear(redis: RedisClient, space: Space, token: str) -> None:
    """Delete all keys of the space but its meta and the sessions of the console: Postgres has no copy of those."""
    # Each deletion names the token, so a rebuild that was overtaken deletes nothing of the next one's.
    keys, cursor = space.keys, -1
    sessions = keys.sessions.encode()
    while cursor:
        cursor, found = await redis.raw.scan(max(cursor, 0), match=f"{keys.prefix}*", count=CHUNK)
        keys_found = [key for key in found if key != keys.meta.encode() and not key.startswith(sessions)]
        if keys_found:
            await _step(redis, space, "clear", token, *keys_found)


async def _open(
    holder: PoolConnection,
    redis: RedisClient,
    space: Space,
    epoch: str,
    log_id: str,
    generation: int,
    clock: Clock,
) -> None:
    """The last step: from here on, commits that name the new epoch are taken."""
    position = await store.lock_position(holder, space.id)
    if position is None or position.epoch != epoch:
        raise Unavailable("another process has rebuilt the space meanwhile")
    # Whoever changes the catalog from here on waits, and then finds an epoch to tell the new version to.
    version = await holder.fetchval("SELECT catalog_version FROM spaces WHERE id = $1 FOR SHARE", space.id)
    meta = {
        "catalog": version,
        "logged": 0,
        "trimmed": 0,
        "last": log_id,
        "position": log_id,
        "flushed_ms": clock(),
        "layout": LAYOUT,
        "generation": generation,
    }
    await _step(redis, space, "open", epoch, log_id, *(value for field in meta.items() for value in field))


class _SnapshotLoader:
    """One pass over the rows of a space, within one snapshot."""

    def __init__(
        self,
        redis: RedisClient,
        space: Space,
        token: str,
        now_ms: int,
        cold_before_ms: int,
        progress: Progress | None,
    ) -> None:
        self.users = 0
        self.generation = 0
        """Of idempotency keys: that of Redis' clock, or of a state if it is later."""
        self._ahead_ms = 0
        """The time (ms) by which the clock of Redis is ahead of ours."""
        self._redis = redis
        self._space = space
        self._keys = space.keys
        self._token = token
        self._now_ms = now_ms
        self._cold_before_ms = cold_before_ms
        self._progress = progress
        self._sending: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._sending.set_result(None)
        self._final: set[str] = set()
        """Runs whose boards have left the boards' tables: they stay out of Redis."""
        self._groups: dict[tuple[int, str], dict[str, int]] = {}
        self._done = 0
        self._total = 0

    async def run(self, connection: PoolConnection) -> None:
        """Send everything but the log and ``meta``."""
        id_ = self._space.id
        seconds, _ = await self._redis.raw.time()
        self.generation = generation(seconds * 1000)
        # Instants in Postgres are by the clocks of web processes: their age is what counts.
        self._ahead_ms = seconds * 1000 - self._now_ms
        oldest_ms = (self.generation - 1) * GENERATION_MS - self._ahead_ms - KEYS_MARGIN_MS
        rows = await connection.fetch("SELECT leaderboard, run FROM final_runs WHERE space_id = $1", id_)
        self._final = {board_name(*row) for row in rows}
        tables = (
            (self._users, "users", "id, token, state, greatest(newest_ms, updated_ms)", "", ()),
            (self._older, "board_entries b", "leaderboard, run, grp, user_id, value, reached_ms", _LET_GO, ()),
            (
                self._idempotency,
                "idempotency_keys",
                "user_id, metric, key",
                "AND received_ms >= $2",
                (oldest_ms,),
            ),
        )
        for _, table, _, condition, values in tables:
            count = f"SELECT count(*) FROM {table} WHERE space_id = $1 {condition}"  # noqa: S608 # our own words
            self._total += await connection.fetchval(count, id_, *values)
        self._advance(0)
        try:
            for commands, table, columns, condition, values in tables:
                query = f"SELECT {columns} FROM {table} WHERE space_id = $1 {condition}"  # noqa: S608 # our own words
                async for rows in _chunks(connection, query, id_, *values):
                    await self._send(msgspec.msgpack.encode(commands(rows)))
                    self._advance(len(rows))
            await self._sent()
            await self._regroup()
        finally:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)

    async def _send(self, packed: bytes) -> None:
        """Have Redis run the commands while the next ones are made; raises what the ones before met."""
        await self._sent()
        self._sending = asyncio.ensure_future(_step(self._redis, self._space, "run", self._token, packed))

    async def _sent(self) -> None:
        await self._sending

    def _advance(self, rows: int) -> None:
        self._done += rows
        if self._progress is not None:
            self._progress(self._done, self._total)

    def _users(self, rows: list[Any]) -> list[list[Any]]:
        commands: list[list[Any]] = []
        names = ["HSET", self._keys.names]
        cold = ["HSET", self._keys.cold]
        due = ["ZADD", self._keys.due]
        standings: list[tuple[str, str, Standing]] = []
        for user, token, blob, seen_ms in rows:
            try:
                state = decode_state(blob)
            except (msgspec.MsgspecError, ValueError) as error:
                # That user alone is answered with 503; all others must not wait for a state that nobody can read.
                log.error("state_unreadable", space=self._space.public_id, user=user, error=str(error))
                commands.append(["HSET", self._keys.user(user), TOKEN, token, BLOB, blob])
                continue
            self.generation = max(self.generation, state.keyed_since)
            shown = label(state.profile.name, state.profile.attributes)
            if shown:
                names += (user, shown)
            if state.due_ms:
                due += (str(state.due_ms), user)
            on_boards = ranked(state.boards)
            standings += ((board, user, one) for board, one in on_boards.items() if not self._is_final(board))
            if seen_ms < self._cold_before_ms:
                cold += (user, token)
                continue
            fields = [TOKEN, token, BLOB, blob]
            for board, standing in on_boards.items():
                fields += (board, member(standing.reached_ms, user))
            key = self._keys.user(user)
            commands += (["HSET", key, *fields[at : at + PIECE]] for at in range(0, len(fields), PIECE))
        self.users += len(rows)
        commands += [hash_ for hash_ in (names, cold, due) if len(hash_) > 2]
        return commands + self._boards(standings)

    def _is_final(self, board: str) -> bool:
        return bool(self._final) and board_name(*split_board(board)[:2]) in self._final

    def _older(self, rows: list[Any]) -> list[list[Any]]:
        """The standings that states have let go of."""
        return self._boards(
            (board_name(leaderboard, run, group or None), user, Standing(value, reached_ms))
            for leaderboard, run, group, user, value, reached_ms in rows
        )

    def _boards(self, standings: Iterable[tuple[str, str, Standing]]) -> list[list[Any]]:
        """Put standings (board, user) on their boards."""
        keys: dict[str, list[str]] = defaultdict(list)
        by_number = self._space.index.leaderboard_by_number
        for board, user, standing in standings:
            leaderboard, run, group = split_board(board)
            known = by_number.get(leaderboard)
            stored = str(score(standing.value, known.order if known is not None else "desc"))
            keys[self._keys.board(board)] += (stored, member(standing.reached_ms, user))
            if known is not None and known.tie_rule == "dense":
                keys[self._keys.distinct(board)] += (stored, stored)
            if known is not None and known.group_by is not None and group:
                sums = self._groups.setdefault((leaderboard, run), {})
                sums[group] = sums.get(group, 0) + int(stored)
        return [["ZADD", key, *members] for key, members in keys.items()]

    async def _regroup(self) -> None:
        """Rank the groups by what their members have."""
        for (leaderboard, run), sums in self._groups.items():
            rules = self._space.index.leaderboard_by_number[leaderboard]
            how = (AGGREGATES[rules.aggregate], rules.aggregate_top, rules.min_members, TIES[rules.tie_rule])
            flat = [value for group in sums.items() for value in group]
            for i in range(0, len(flat), 2 * CHUNK):
                chunk = flat[i : i + 2 * CHUNK]
                board = board_name(leaderboard, run)
                await _step(self._redis, self._space, "groups", self._token, board, *how, *chunk)

    def _idempotency(self, rows: list[Any]) -> list[list[Any]]:
        sets: dict[str, list[str]] = defaultdict(list)
        for user, metric, key in rows:
            # All in the present generation. By their instants some belong to the one before, but a user whose
            # state names the present one as that of the first key is not looked for there, and clocks differ.
            sets[self._keys.idempotency(self.generation, user)].append(key_hash(metric, key))
        adding = [["SADD", name, *hashes] for name, hashes in sets.items()]
        return adding + [["EXPIRE", name, KEYS_TTL, "NX"] for name in sets]


async def _chunks(connection: PoolConnection, query: str, *values: Any) -> AsyncIterator[list[Any]]:
    cursor = await connection.cursor(query, *values)
    while rows := await cursor.fetch(CHUNK):
        yield rows
