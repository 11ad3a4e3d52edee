"""Reads about one user that show everything acknowledged by any process
(docs/decisions/0019-read-your-writes.md).

A user's state in Redis has the token of its last commit, and the user's row in Postgres that of the last commit
that was flushed. Every row about a user is written in the transaction that writes the token. So if the two tokens
are equal, a snapshot of Postgres agrees with the state, and the read needn't wait. If they differ, the worker is
asked to flush now, and the read waits until Postgres has reached the end that the log had when the read began.
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
"""Seconds that a read waits for Postgres before it is answered with 503."""
LISTS_S = 0.5
"""Seconds that lists of all users or events wait for Postgres, before they show what is written."""
POLL_S = 0.01
"""Seconds between two reads of the flusher's position, which all waiting reads of a space share. One costs this
process about 0.15 ms."""
ASK_AGAIN_S = 0.2
"""Seconds after which the worker is asked to flush once more, since pub/sub may drop a message."""
PAGES = 3
"""Console pages that may hold a snapshot at the same time. Each holds one of ten connections, and may wait for a
second one; more of them could wait for each other."""

LogId = tuple[int, int]


class UserSnapshot(NamedTuple):
    """One user at one instant: the state (None for an unknown user), and a connection in a repeatable-read
    transaction whose rows about the user belong to the same commit."""

    connection: PoolConnection
    state: UserState | None


class _Loaded(NamedTuple):
    """A user in Redis: the token ("" for an unknown user), and the state as JSON (None for a cold user, whose
    state is only in Postgres)."""

    token: str
    blob: bytes | None

    @property
    def cold(self) -> bool:
        return self.blob is None

    def state(self) -> UserState | None:
        return decode_state(self.blob) if self.blob else None


@dataclass(slots=True)
class _Waiting:
    """The waiting reads of one space, each with the log entry that must be flushed, and the task that checks."""

    futures: list[tuple[LogId, asyncio.Future[None]]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None


class Reads:
    """Reads about users in all spaces of a process.

    Every method raises ``Unavailable`` while Redis is away or being rebuilt. Methods that need Postgres also raise
    it if Postgres is away, or more than ``patience_s`` behind.
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
        """``refresh`` reads the newest catalog of a space. ``ask`` requests a flush, by default from a worker."""
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
        """Return the user's state as of the last commit, or None for an unknown user. A cold user's is in
        Postgres."""
        loaded = await self._load(space, user)
        if not loaded.cold:
            return loaded.state()
        async with self.snapshot(space, user) as found:
            return found.state

    @asynccontextmanager
    async def snapshot(self, space: Space, user: str) -> AsyncIterator[UserSnapshot]:
        """Open a snapshot of Postgres that has everything acknowledged for the user, with the state that belongs
        to it."""
        give_up_s = stopwatch_s() + self.patience_s
        first: _Loaded | None = None
        while True:
            async with AsyncExitStack() as stack:
                # Read both stores in parallel: equal tokens mean the same in whichever order they were read.
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
                    # The second time, Postgres has reached the end that the log had when this read began. If the
                    # tokens still differ, either a newer commit was made since, or Postgres refused the user's
                    # last commit (rejected_entries), and will never have its token.
                    refused = not current and first is not None and loaded.token == first.token
                    of_redis = not loaded.cold and (current or refused)
                    state = loaded.state() if of_redis else await self._stored(connection, space, user)
                    yield UserSnapshot(connection, state)
                    self._end(stack.pop_all())
                    return
            first = loaded
            if not await self._flushed(space, await self._newest(space), give_up_s - stopwatch_s()):
                raise Unavailable("events that were just posted are still being written to Postgres, try again")

    @asynccontextmanager
    async def page(self, space: Space, user: str) -> AsyncIterator[UserSnapshot]:
        """Open a snapshot for a page that makes other queries while it is open. At most ``PAGES`` at a time."""
        async with self._pages, self.snapshot(space, user) as found:
            yield found

    async def settle_briefly(self, space: Space) -> None:
        """Wait briefly for what was just acknowledged, before a list of all users or events is read."""
        await self.settle(space, self.lists_s)

    async def settle(self, space: Space, within_s: float | None = None) -> bool:
        """Wait until Postgres has everything acknowledged in the space until now. Return whether it has.

        The wait takes at most ``within_s`` seconds, by default ``patience_s``.
        """
        newest = await self._newest(space)
        return await self._flushed(space, newest, self.patience_s if within_s is None else within_s)

    async def as_of_ms(self, space: Space, now_ms: int) -> int:
        """Return the instant (ms) up to which Postgres has everything acknowledged in a space.

        It is ``now_ms`` if nothing waits to be flushed.
        """
        oldest = await self._redis.call("behind", space.keys.meta)
        return min(now_ms, _log_id(oldest)[0]) if oldest else now_ms

    def _end(self, stack: AsyncExitStack) -> None:
        """End a transaction and return its connection in a task, so that the answer needn't wait for that."""

        async def end() -> None:
            with suppress(Unavailable):  # the connection broke, and the pool has dropped it
                await stack.aclose()

        task = asyncio.create_task(end(), name="snapshot-end")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def aclose(self) -> None:
        """Wait for ending transactions, and cancel the tasks that check for waiting reads."""
        if self._ending:
            await asyncio.wait(self._ending)
        tasks = [waiting.task for waiting in self._waiting.values() if waiting.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _load(self, space: Space, user: str) -> _Loaded:
        """Read token and state from Redis. Refresh the catalog if Redis knows a newer one: it has boosts of the
        user."""
        if space.epoch is None:
            raise Unavailable("Redis is being rebuilt")
        reply = await self._redis.call("current", space.keys.meta, space.epoch, user)
        if reply[0] != 0:
            raise Unavailable("Redis is being rebuilt")
        token, blob, cold, catalog = reply[1:]
        if int(catalog) > space.index.version:
            async with self._refreshing.setdefault(space.id, asyncio.Lock()):
                if int(catalog) > space.index.version:
                    with suppress(Unavailable):  # Postgres is away: show the state with the older catalog
                        await self._refresh(space)
        return _Loaded(token.decode(), None if cold else blob)

    async def _stored(self, connection: PoolConnection, space: Space, user: str) -> UserState | None:
        blob = await connection.fetchval("SELECT state FROM users WHERE space_id = $1 AND id = $2", space.id, user)
        return None if blob is None else decode_state(blob)

    async def _newest(self, space: Space) -> LogId:
        """Return the id of the newest log entry, or the least possible id if all are flushed."""
        return _log_id(await self._redis.call("newest", space.keys.meta))

    async def _position(self, space: Space) -> LogId:
        """Return the id of the last flushed log entry, which the flusher writes to Redis."""
        try:
            return _log_id(await self._redis.raw.hget(space.keys.meta, "position"))
        except AWAY as error:
            raise unavailable(error) from error

    async def _flushed(self, space: Space, up_to: LogId, within_s: float) -> bool:
        """Wait until the log is flushed up to an entry. Return False if that takes longer than ``within_s``."""
        if up_to <= await self._position(space):
            return True
        waiting = self._waiting.setdefault(space.id, _Waiting())
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.futures.append((up_to, future))
        if waiting.task is None:
            waiting.task = asyncio.create_task(self._check_position(space, waiting), name="flush-wait")
        try:
            async with asyncio.timeout(max(0.0, within_s)):
                await future
        except TimeoutError:
            return False
        return True

    async def _check_position(self, space: Space, waiting: _Waiting) -> None:
        """Ask for a flush, and read the flusher's position until nobody waits any more."""
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
        except Exception as error:  # noqa: BLE001 - every waiting read raises it
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
    """Cancel a task whose result, or error, isn't needed any more."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


def _log_id(text: bytes | None) -> LogId:
    if not text:
        return 0, 0
    ms, _, number = text.partition(b"-")
    return int(ms), int(number)
