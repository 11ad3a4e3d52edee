"""Moves the log of one space to Postgres, exactly once (docs/decisions/0006-exactly-once.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import asyncpg
import msgspec
import structlog

from podium.clock import Clock, stopwatch_s
from podium.game.errors import Unavailable, WritesRefused
from podium.spaces.continuity import Position, Reason, read_position
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool, PoolConnection, acquired
from podium.storage.redis.client import AWAY, FUNCTIONS, RedisClient, unavailable
from podium.storage.redis.wire import raw_entry
from podium.writebehind import store
from podium.writebehind.batches import Batch, Item, collect, read_entry
from podium.writebehind.erasing import erase
from podium.writebehind.store import Rejected

BATCH_EVENTS = 4_000
"""Enough that a transaction's fixed cost no longer shows, and few enough that it ends within about 0.2 s."""
ITEM_RANKS = 12
"""An item with so many ranks (three for each board) weighs as much as another event: a piece of a backfill has 50
boards."""
PAGE_ENTRIES = 128
"""Log entries read in one call: Redis serves nobody else meanwhile, and an entry holds at most a commit."""

REFUSED = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    msgspec.DecodeError,
)
"""Errors that the values of one item may cause: Postgres, or the driver for it, can't take one, or it isn't what
game/records.py says; repeating won't cure it. Everything else is a fault of ours, or passes: the log waits."""

log = structlog.get_logger(__name__)


class WentBack(Unavailable):
    """Redis doesn't continue what Postgres holds: emptied, restored or never filled. Rebuild the space."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class _Missed(Exception):
    """Redis has another epoch, or no longer the entry at the position: it went back in time, unless Postgres'
    position has moved meanwhile."""

    def __init__(self, position: Position, missed: WentBack) -> None:
        super().__init__(str(missed))
        self.position = position
        self.missed = missed


class Flushed(NamedTuple):
    """``events`` that were written; with ``more`` the log holds more already."""

    events: int
    more: bool


@dataclass(slots=True)
class FlushStats:
    """Counts of the flusher's work, for telemetry. ``lag_ms``: age of the oldest entry when last looked."""

    events: int = 0
    batches: int = 0
    batch_s: float = 0.0
    rejected: int = 0
    lag_ms: int = 0


@dataclass(slots=True)
class Read:
    """Log entries from ``first`` to ``last`` (ids, empty without any); with ``more`` there may be more. ``weight``
    is about how many events of few boards would be as much to write."""

    first: str = ""
    last: str = ""
    items: list[Item] = field(default_factory=list)
    unreadable: list[Rejected] = field(default_factory=list)
    more: bool = False
    weight: int = 0

    def add(self, entries: list[tuple[str, dict[bytes, bytes]]]) -> None:
        """Append entries: id and fields."""
        for log_id, fields in entries:
            try:
                items = read_entry(log_id, fields)
                self.items += items
                self.weight += sum(1 + len(item.item.ranks) // ITEM_RANKS for item in items)
            except msgspec.DecodeError as error:
                blob = raw_entry(fields).hex()
                self.unreadable.append(Rejected(log_id, -1, "", blob, "", f"unreadable entry: {error}"))
            self.first = self.first or log_id
            self.last = log_id


def _is_ours(error: BaseException | None) -> bool:
    """Return whether the driver was handed what no item can hold, which it reports like a value out of range."""
    while error is not None:
        if isinstance(error, TypeError | AttributeError):
            return True
        error = error.__cause__ or error.__context__
    return False


class Flusher:
    """One space's flusher. Any number may run at once: each batch is written by one of them.

    ``epoch_field`` of the space's meta must name the epoch of Postgres: ``former`` for the last flush of a
    log that a rebuild has closed.
    """

    def __init__(
        self,
        pool: Pool,
        redis: RedisClient,
        space: Space,
        clock: Clock,
        stats: FlushStats | None = None,
        *,
        epoch_field: Literal["epoch", "former"] = "epoch",
    ) -> None:
        self.stats = stats or FlushStats()
        self._pool = pool
        self._redis = redis
        self._space = space
        self._clock = clock
        self._epoch_field = epoch_field
        self._position: Position | None = None
        self._trimmed: Position | None = None
        self._failing: tuple[str, int] | None = None
        self._flushed = 0

    async def flush(self) -> Flushed:
        """Write one batch, if there is one, and trim the log.

        Raises ``WentBack``, and ``Unavailable`` where Redis or Postgres is away. Whatever it raises, rows and
        position agree, and the next call goes on from there.
        """
        self._flushed = 0
        try:
            return await self._flush()
        except _Missed as miss:
            # Other flushers move the position before they trim the log, and a rebuild replaces the epoch in
            # Postgres before it does in Redis. So Redis went back only if Postgres still says the same.
            self._position = None
            if await self._locate() == miss.position:
                self._position = None
                raise miss.missed from None
            return Flushed(self._flushed, more=True)

    async def _flush(self) -> Flushed:
        position = self._position or await self._locate()
        read = await self._read(position)
        if not read.last:
            self.stats.lag_ms = 0
            # A commit announces itself only to a trimmed log: what came before the trim is looked for again.
            return Flushed(0, more=await self._trim(position))
        began_s = stopwatch_s()
        self.stats.lag_ms = max(0, self._clock() - int(read.first.partition("-")[0]))
        self._position = None  # until the commit is known, only Postgres knows
        # Other flushers may have read the same entries: the row lock in _write lets one of them write.
        rejected = await self._write(position, read)
        if rejected is None:
            return Flushed(0, more=True)  # another flusher was first: its position is read next
        self._position = position._replace(log_id=read.last)
        self._flushed = len(read.items)
        self.stats.events += len(read.items) - len(rejected) + len(read.unreadable)
        self.stats.batches += 1
        self.stats.batch_s += stopwatch_s() - began_s
        self.stats.rejected += len(rejected)
        for item in rejected:
            log.error(
                "log_item_rejected",
                space=self._space.public_id,
                user=item.user,
                log_id=item.log_id,
                item=item.place,
                error=item.error,
            )
        await self._trim(self._position)
        return Flushed(len(read.items), read.more)

    async def _locate(self) -> Position:
        async with acquired(self._pool) as connection:
            position = await read_position(connection, self._space.id)
        if position is None:
            raise WentBack("new", "the space has never been alive")
        self._position = position
        return position

    async def _read(self, position: Position) -> Read:
        """A batch from behind the position, or as much as there is."""
        read = Read()
        last = position.log_id
        while read.weight < BATCH_EVENTS:
            # Page by page, as one long XRANGE would keep everybody else waiting.
            page = await self._page(position, last)
            read.add(page)
            if len(page) < PAGE_ENTRIES:
                return read
            last = read.last
        read.more = True
        return read

    async def _page(self, position: Position, last: str) -> list[tuple[str, dict[bytes, bytes]]]:
        """Entries behind ``last``, which must still be there; otherwise Redis has gone back in time."""
        keys = self._space.keys
        try:
            async with self._redis.raw.pipeline(transaction=True) as pipeline:
                # In one transaction: the entries belong to the epoch that is read with them. The first entry is
                # the one at the position, which the trim keeps; if it is missing, Redis went back.
                pipeline.hget(keys.meta, self._epoch_field)
                pipeline.xrange(keys.log, min=last, count=PAGE_ENTRIES + 1)
                epoch, found = await pipeline.execute()
        except AWAY as error:
            raise unavailable(error) from error
        if epoch is None:
            raise _Missed(position, WentBack("empty", "Redis has no epoch"))
        if epoch.decode() != position.epoch:
            raise _Missed(position, WentBack("other", "Redis has another epoch than Postgres"))
        if not found or found[0][0].decode() != last:
            raise _Missed(position, WentBack("behind", f"Redis no longer has the log entry {last}"))
        return [(log_id.decode(), fields) for log_id, fields in found[1:]]

    async def _write(self, position: Position, read: Read) -> list[Rejected] | None:
        """Rows and position in one transaction: what was rejected, or None if another flusher was first."""
        async with acquired(self._pool) as connection, connection.transaction():
            if await store.lock_position(connection, self._space.id) != position:
                return None
            # Rows, rejected items and the position commit together, so a crash repeats all of it or nothing.
            rejected = read.unreadable + await self._write_and_erase(connection, read.items)
            for item in rejected:
                await store.reject(connection, self._space.id, item)
            await store.move_position(connection, self._space.id, read.last)
        return rejected

    async def _write_and_erase(self, connection: PoolConnection, items: list[Item]) -> list[Rejected]:
        """Write all items that Postgres takes; an erasure takes what was written of its user before it."""
        # An erasure must not delete what its user did afterwards, so the items before it are written first.
        rejected, first = [], 0
        for at, (_, _, item) in enumerate(items):
            if item.erased:
                rejected += await self._write_items(connection, items[first : at + 1])
                await erase(connection, self._space.id, item.user)
                first = at + 1
        return rejected + await self._write_items(connection, items[first:])

    async def _write_items(self, connection: PoolConnection, items: list[Item]) -> list[Rejected]:
        """Write all items that Postgres takes; what it refuses is halved until the bad ones stand alone."""
        if not items:
            return []
        try:
            batch = self._collect(items)
            async with connection.transaction():  # a savepoint: a refusal undoes these items only
                await store.write(connection, self._space.id, batch)
        except asyncpg.CheckViolationError:
            raise  # only partitions have bounds: one was made meanwhile, and the next attempt goes there
        except REFUSED as error:
            if _is_ours(error):
                raise
            if len(items) > 1:
                # In order, so that the last state of a user stays the last one written.
                middle = len(items) // 2
                first = await self._write_items(connection, items[:middle])
                return first + await self._write_items(connection, items[middle:])
            (log_id, place, item), reason = items[0], f"{type(error).__name__}: {error}"
            return [Rejected(log_id, place, item.user, item.record, item.state, reason)]
        return []

    def _collect(self, items: list[Item]) -> Batch:
        """Return the rows of items. What fails by a fault of ours is logged with the first item that it fails at:
        nothing is flushed until that is mended, or the item set aside."""
        try:
            return collect(self._space.id, items)
        except REFUSED:
            raise
        except Exception:
            for log_id, place, item in items:
                try:
                    collect(self._space.id, [Item(log_id, place, item)])
                except Exception:
                    if self._failing != (log_id, place):
                        self._failing = (log_id, place)
                        log.exception(
                            "log_item_failed",
                            space=self._space.public_id,
                            user=item.user,
                            log_id=log_id,
                            item=place,
                        )
                    raise
            raise

    async def _trim(self, position: Position) -> bool:
        """Have Redis forget what is flushed; False if it already has."""
        # The log of a closed space is deleted as a whole by the rebuild.
        if position == self._trimmed or self._epoch_field != "epoch":
            return False
        keys = self._space.keys
        try:
            done = await self._redis.call("trim", keys.meta, position.epoch, position.log_id, self._clock())
        except WritesRefused as error:
            if error.reason == FUNCTIONS:
                await self._make_room(position)
            raise
        if not done:
            raise _Missed(position, WentBack("behind", f"Redis no longer has the log entry {position.log_id}"))
        self._trimmed = position
        return True

    async def _make_room(self, position: Position) -> None:
        """Drop flushed entries without the function that Redis has no room to load: they may be what fills it."""
        try:
            await self._redis.raw.xtrim(self._space.keys.log, minid=position.log_id, approximate=False)
        except AWAY as error:
            raise unavailable(error) from error
