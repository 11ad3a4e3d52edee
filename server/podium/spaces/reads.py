"""Reads about one user that show all that was acknowledged, whichever process took it
(docs/decisions/0019-read-your-writes.md).

A user's state in Redis carries the token of its last commit, the user's row in Postgres that of the last one that
was flushed. Every row about a user is written in the transaction that writes the token, so where the two are
equal, a snapshot of Postgres holds what the state says, and nothing waits. Where they differ, the worker is asked
to flush now, and the read waits until Postgres has reached the end that the log had when the read began.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from podium.clock import stopwatch_s
from podium.game.errors import Unavailable
from podium.game.state import UserState, decode_state
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool, PoolConnection, acquired
from podium.storage.redis.client import AWAY, RedisClient, unavailable
from podium.storage.redis.keys import FLUSH

PATIENCE_S = 2.0
"""A read that Postgres is still behind after this long is answered with 503."""
LISTS_S = 0.5
"""Lists of all users or events wait so long for what was just acknowledged, and then show what is written."""
POLL_S = 0.01
"""Pause between two looks at how far the log is flushed, one for all who wait in a space: a look costs this
process about 0.15 ms."""
ASK_AGAIN_S = 0.2
"""The worker is asked to flush once more after this long: pub/sub may drop a message."""
PAGES = 3
"""Pages at a time that keep a snapshot while they ask for other things: each holds a connection of ten, and may
wait for a second one."""

LogId = tuple[int, int]


class UserSnapshot(NamedTuple):
    """One user at one instant: the state, None for an unknown user, and a connection in a repeatable-read
    transaction whose rows about the user are those of the same commit."""

    connection: PoolConnection
    state: UserState | None


class _Loaded(NamedTuple):
    """A user in Redis: the token, "" for an unknown user; the state as JSON, None of a cold user, whose
    state only Postgres has."""

    token: str
    blob: bytes | None

    @property
    def cold(self) -> bool:
        return self.blob is None

    def state(self) -> UserState | None:
        return decode_state(self.blob) if self.blob else None


@dataclass(slots=True)
class _Waiting:
    """Readers of one space that wait, each for the log to be flushed up to an entry, and the task that looks."""

    futures: list[tuple[LogId, asyncio.Future[None]]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None


class Reads:
    """The reads about users in all spaces of a process.

    Every method raises ``Unavailable`` while Redis is away or being rebuilt; those that need Postgres also where
    it is away, or more than ``patience_s`` behind.
    """

    def __init__(
        self,
        pool: Pool,
        redis: RedisClient,
        refresh: Callable[[Space], Awaitable[None]],
        ask: Callable[[Space], Awaitable[None]] | None = None,
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """``refresh`` reads the newest catalog of a space; ``ask`` has a space flushed, by default by a worker."""
        self.ask = ask or self._ask_worker
        self.patience_s = patience_s
        self.lists_s = LISTS_S
        self._pool = pool
        self._redis = redis
        self._refresh = refresh
        self._waiting: dict[int, _Waiting] = {}
        self._refreshing: dict[int, asyncio.Lock] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._pages = asyncio.Semaphore(PAGES)

    async def state(self, space: Space, user: str) -> UserState | None:
        """Return the user's state as of the last commit, None for an unknown user. Of a cold user it is read from
        Postgres."""
        loaded = await self._load(space, user)
        if not loaded.cold:
            return loaded.state()
        async with self.snapshot(space, user) as found:
            return found.state

    @asynccontextmanager
    async def snapshot(self, space: Space, user: str) -> AsyncIterator[UserSnapshot]:
        """Open a snapshot of Postgres that holds all that was acknowledged for the user, and give the state that
        belongs to it."""
        give_up_s = stopwatch_s() + self.patience_s
        first: _Loaded | None = None
        while True:
            async with AsyncExitStack() as stack:
                # Both stores at once. Equal tokens say the same whichever was read first.
                loading = asyncio.create_task(self._load(space, user))
                stack.push_async_callback(_dropped, loading)
                connection = await stack.enter_async_context(acquired(self._pool))
                await stack.enter_async_context(connection.transaction(isolation="repeatable_read", readonly=True))
                held: str | None = await connection.fetchval(
                    "SELECT token FROM users WHERE space_id = $1 AND id = $2", space.id, user
                )
                loaded = await loading
                current = loaded.token == (held or "")
                if current or first is not None:
                    # Where the tokens differ, Postgres has come as far as the log had when this read began: it is
                    # ahead of the first look at Redis, or it refused what the user's last commit brought
                    # (rejected_entries).
                    refused = not current and first is not None and loaded.token == first.token
                    of_redis = not loaded.cold and (current or refused)
                    state = loaded.state() if of_redis else await self._stored(connection, space, user)
                    yield UserSnapshot(connection, state)
                    self._end(stack.pop_all())
                    return
            first = loaded
            if not await self._flushed(space, await self._newest(space), give_up_s - stopwatch_s()):
                raise Unavailable("what was just posted is on its way to Postgres, try again")

    @asynccontextmanager
    async def page(self, space: Space, user: str) -> AsyncIterator[UserSnapshot]:
        """Open a snapshot for a page that asks the stores for more while it is open; a few at a time."""
        async with self._pages, self.snapshot(space, user) as found:
            yield found

    async def settle_briefly(self, space: Space) -> None:
        """Wait a little for what was just acknowledged, for a list of all users or events."""
        await self.settle(space, self.lists_s)

    async def settle(self, space: Space, within_s: float | None = None) -> bool:
        """Wait until Postgres holds all that was acknowledged in the space until now, at most ``within_s``, by
        default ``patience_s``; whether it does."""
        newest = await self._newest(space)
        return await self._flushed(space, newest, self.patience_s if within_s is None else within_s)

    async def as_of_ms(self, space: Space, now_ms: int) -> int:
        """Return the instant (ms) up to which Postgres holds all that was acknowledged in a space: ``now_ms``
        where nothing waits to be flushed."""
        oldest = await self._redis.call("behind", space.keys.meta)
        return min(now_ms, _log_id(oldest)[0]) if oldest else now_ms

    def _end(self, stack: AsyncExitStack) -> None:
        """End a transaction and give its connection back while the answer is made: nothing depends on it."""

        async def end() -> None:
            with suppress(Unavailable):  # the connection broke, and is gone
                await stack.aclose()

        task = asyncio.create_task(end(), name="snapshot-end")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def aclose(self) -> None:
        """End the looks for those who wait."""
        if self._ending:
            await asyncio.wait(self._ending)
        tasks = [waiting.task for waiting in self._waiting.values() if waiting.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _load(self, space: Space, user: str) -> _Loaded:
        """Read token and state from Redis; and the catalog where Redis knows a newer one, as boosts of a user's
        own are part of it."""
        if space.epoch is None:
            raise Unavailable("Redis is being rebuilt")
        reply = await self._redis.call("current", space.keys.meta, space.epoch, user)
        if reply[0] != 0:
            raise Unavailable("Redis is being rebuilt")
        token, blob, cold, catalog = reply[1:]
        if int(catalog) > space.index.version:
            async with self._refreshing.setdefault(space.id, asyncio.Lock()):
                if int(catalog) > space.index.version:
                    with suppress(Unavailable):  # Postgres is away: what the state says is shown by the older one
                        await self._refresh(space)
        return _Loaded(token.decode(), None if cold else blob)

    async def _stored(self, connection: PoolConnection, space: Space, user: str) -> UserState | None:
        blob = await connection.fetchval("SELECT state FROM users WHERE space_id = $1 AND id = $2", space.id, user)
        return None if blob is None else decode_state(blob)

    async def _newest(self, space: Space) -> LogId:
        """Return the id of the newest log entry; the least there is where all are flushed."""
        return _log_id(await self._redis.call("newest", space.keys.meta))

    async def _position(self, space: Space) -> LogId:
        """Return the id of the last log entry that is flushed, as the flusher tells Redis."""
        try:
            return _log_id(await self._redis.raw.hget(space.keys.meta, "position"))
        except AWAY as error:
            raise unavailable(error) from error

    async def _flushed(self, space: Space, up_to: LogId, within_s: float) -> bool:
        """Have the log flushed up to an entry; False where that takes longer than ``within_s``."""
        if up_to <= await self._position(space):
            return True
        waiting = self._waiting.setdefault(space.id, _Waiting())
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.futures.append((up_to, future))
        if waiting.task is None:
            waiting.task = asyncio.create_task(self._look(space, waiting), name="flush-wait")
        try:
            async with asyncio.timeout(max(0.0, within_s)):
                await future
        except TimeoutError:
            return False
        return True

    async def _look(self, space: Space, waiting: _Waiting) -> None:
        """Ask for a flush, and look how far it has come until nobody waits any more."""
        asked_s = None
        try:
            while True:
                waiting.futures = [one for one in waiting.futures if not one[1].done()]
                if not waiting.futures:
                    return
                if asked_s is None or stopwatch_s() - asked_s >= ASK_AGAIN_S:
                    asked_s = stopwatch_s()
                    await self.ask(space)
                position = await self._position(space)
                for up_to, future in waiting.futures:
                    if up_to <= position and not future.done():
                        future.set_result(None)
                await asyncio.sleep(POLL_S)
        except Exception as error:  # noqa: BLE001 - each who waits is told, and answers with it
            for _, future in waiting.futures:
                if not future.done():
                    future.set_exception(error)
        finally:
            waiting.futures = [one for one in waiting.futures if not one[1].done()]
            waiting.task = None

    async def _ask_worker(self, space: Space) -> None:
        try:
            await self._redis.raw.publish(FLUSH, space.public_id)
        except AWAY as error:
            raise unavailable(error) from error


async def _dropped(task: asyncio.Task[_Loaded]) -> None:
    """End a task whose result, or error, nobody needs any more."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


def _log_id(text: bytes | None) -> LogId:
    if not text:
        return 0, 0
    ms, _, number = text.partition(b"-")
    return int(ms), int(number)
