"""The boards that a process subscribes to: a feed for each, which keeps its first rows up to date.

A feed subscribes to the board's messages first, then reads change number and window in one call. Messages up to
that number are ignored, so no change is missed or applied twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
import structlog
from redis.exceptions import RedisError

from podium.game.errors import Unavailable
from podium.live.subscriber import Listener
from podium.live.window import MARGIN, Message, Row, Window, units_of
from podium.spaces.space import Space
from podium.storage.redis.client import AWAY, RedisClient

READS_AT_ONCE = 16
"""Concurrent reads of windows. After a lost connection all feeds read, and Redis has other work too."""
BUFFER_MAX = 1_000
"""Messages buffered during a read. Beyond this they are dropped, and the gap makes the feed read again."""

log = structlog.get_logger(__name__)
_decode_message = msgspec.msgpack.Decoder(Message).decode


FinalStandings = Callable[[Space, str, int], Awaitable[tuple[int, list[Row]]]]
"""Return the number of participants and the first so many rows of a board whose run is final.

Both are empty where the run is not final. Raises ``Unavailable`` where Postgres is away.
"""


class Watcher(Protocol):
    """A part that is notified of a board's changes."""

    def on_delta(self, window: Window, message: Message, best: int) -> None:
        """Handle a message that the window has taken; ``best`` is the best place it touched."""

    def on_reread(self, window: Window) -> None:
        """Handle a window that was read again: messages may be missing."""


@dataclass(eq=False, slots=True)
class Feed:
    """One board.

    ``window`` is None until it was read once; ``buffer`` has the messages that arrive during a read.
    """

    space: Space
    board: str
    limit: int = 0
    window: Window | None = None
    reading: asyncio.Task[None] | None = None
    buffer: list[Message] = field(default_factory=list)
    read_failed: bool = False
    """The next tick reads again."""
    number_at_tick: int | None = None
    """The board's number in Redis at the last tick."""
    watchers: set[Watcher] = field(default_factory=set)

    @property
    def redis_channel(self) -> str:
        """The channel where Redis publishes its changes."""
        return self.space.keys.channel(self.board)

    def number(self) -> int:
        """Return the number of the last change that the window includes."""
        return self.window.number if self.window is not None else 0


class Feeds:
    """The feeds of one process, by Redis channel."""

    def __init__(self, redis: RedisClient, listener: Listener, final_standings: FinalStandings) -> None:
        """``final_standings`` reads boards of runs that are final, which may have left Redis."""
        self._redis = redis
        self._final_standings = final_standings
        self._listener = listener
        self._by_channel: dict[str, Feed] = {}
        self._reads = asyncio.Semaphore(READS_AT_ONCE)

    def __len__(self) -> int:
        return len(self._by_channel)

    def get(self, space: Space, board: str) -> Feed:
        """Return the feed of a board. It is kept as long as it has watchers or is being read."""
        feed = Feed(space, board)
        return self._by_channel.setdefault(feed.redis_channel, feed)

    async def window(self, feed: Feed, limit: int) -> Window:
        """Return the feed's window, of at least ``limit`` rows.

        Raises:
            Unavailable: Redis is away.
        """
        feed.limit = max(feed.limit, limit)
        if feed.window is None or feed.window.limit < limit:
            await asyncio.shield(self._start_read(feed))  # others may wait for the same read
            if feed.window is None or feed.window.limit < limit:
                raise Unavailable("Redis is away")
        return feed.window

    def on_message(self, redis_channel: str, data: bytes) -> None:
        """Decode a message and apply it to its board's window."""
        feed = self._by_channel.get(redis_channel)
        if feed is None:
            return
        try:
            message = _decode_message(data)
        except msgspec.DecodeError:
            log.exception("live_message_unreadable", board=feed.board)
            self._start_read(feed)
            return
        if feed.reading is not None:
            if len(feed.buffer) >= BUFFER_MAX:
                feed.buffer.clear()
            feed.buffer.append(message)
        elif feed.window is not None:
            best = feed.window.apply(message)
            if best is not None:
                for watcher in feed.watchers:
                    watcher.on_delta(feed.window, message, best)
            elif feed.window.must_read:
                self._start_read(feed)

    def reread_all(self) -> None:
        """Start to read every board again, because messages may be missing."""
        for feed in self._by_channel.values():
            self._start_read(feed)

    async def tick(self) -> None:
        """Drop feeds that nobody watches, and read those again that missed a message.

        Pub/sub gives no guarantee of delivery, and a board that stays quiet shows no gap. So each feed's number is
        compared with Redis once a second.
        """
        for feed in list(self._by_channel.values()):
            if not feed.watchers and feed.reading is None:
                del self._by_channel[feed.redis_channel]
                await self._listener.unsubscribe(feed.redis_channel)
        spaces: dict[str, list[tuple[Feed, int]]] = {}
        for feed in self._by_channel.values():
            if feed.read_failed:
                self._start_read(feed)
            elif feed.reading is None and feed.window is not None:
                known = spaces.setdefault(feed.space.keys.numbers, [])
                known.append((feed, feed.window.number))
        for key, feeds in spaces.items():
            try:
                found = await self._redis.raw.hmget(key, [feed.board for feed, _ in feeds])
            except AWAY:
                return  # the listener loses its connection too, and then every board is read again
            for (feed, before), number in zip(feeds, found, strict=True):
                self._check_number(feed, before, int(number or 0))

    async def stop(self) -> None:
        """Cancel all reads."""
        tasks = [feed.reading for feed in self._by_channel.values() if feed.reading is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start_read(self, feed: Feed) -> asyncio.Task[None]:
        if feed.reading is None:
            feed.buffer = []
            feed.reading = asyncio.create_task(self._read_window(feed), name="live-read")
        return feed.reading

    async def _read_window(self, feed: Feed) -> None:
        try:
            async with self._reads:
                window = await self._read_until_complete(feed)
        except (Unavailable, RedisError) as error:
            if not feed.read_failed:
                log.warning("live_read_failed", board=feed.board, error=str(error))
            feed.read_failed = True
            return
        finally:
            feed.reading = None
            feed.buffer = []
        feed.window, feed.read_failed, feed.number_at_tick = window, False, None
        for watcher in feed.watchers:
            watcher.on_reread(window)

    async def _read_until_complete(self, feed: Feed) -> Window:
        """Read until the buffered messages continue the window without a gap, and it has enough rows."""
        while True:
            await self._listener.subscribe(feed.redis_channel)
            limit = feed.limit
            page = await self._redis.call("page", feed.space.keys.meta, feed.board, 0, limit + MARGIN, "", 0)
            window = _window_of(page, limit)
            if not window.epoch:
                raise Unavailable("the space is being rebuilt")
            buffered, feed.buffer = feed.buffer, []
            for message in buffered:
                window.apply(message)
            if not window.must_read and limit >= feed.limit:
                if not window.participants:
                    # Empty, or removed from Redis after its run became final.
                    final = await self._final_standings(feed.space, feed.board, limit + MARGIN)
                    window.participants, window.rows = final
                return window

    def _check_number(self, feed: Feed, before: int, number: int) -> None:
        """Read a feed again if its window lags behind Redis.

        ``before`` was the window's number when Redis was asked, ``number`` is the answer.
        """
        if feed.reading is not None or feed.window is None:
            return
        # A change of the last tick that has not arrived within a second is lost; newer ones may be on their way.
        missed = feed.number_at_tick is not None and feed.window.number < feed.number_at_tick
        feed.number_at_tick = number
        if missed or number < before:  # lower than before: Redis lost data, and the board begins anew
            self._start_read(feed)


def _window_of(page: list[Any], limit: int) -> Window:
    epoch, number, participants, _, rows, _ = page
    return Window(
        epoch.decode(),
        number,
        participants,
        [Row(user.decode(), text.decode(), units_of(score)) for user, text, score, _ in rows],
        limit,
    )
