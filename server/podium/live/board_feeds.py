"""The boards that a process listens to: one feed a board, which keeps the first rows from the published changes.

A feed subscribes first, then reads number and window in one call, so that nothing can fall between the two.
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
"""Reads of windows under way after a lost connection: Redis has other work too."""
HELD_MAX = 1_000
"""Messages kept while a window is read; more than that are let go, and the gap has it read again."""

log = structlog.get_logger(__name__)
_decode_message = msgspec.msgpack.Decoder(Message).decode


Standings = Callable[[Space, str, int], Awaitable[tuple[int, list[Row]]]]
"""Participants and the first so many rows of a board whose run is final; none where it is not. ``Unavailable``
where Postgres is away."""


class Watcher(Protocol):
    """Who hears of a board."""

    def heard(self, window: Window, message: Message, best: int) -> None:
        """The board changed; ``best`` is the best place touched."""

    def reread(self, window: Window) -> None:
        """The board was read again: messages may be missing."""


@dataclass(eq=False, slots=True)
class Feed:
    """One board. ``window`` is None until it was read once; ``held`` are messages that come during a read."""

    space: Space
    board: str
    limit: int = 0
    window: Window | None = None
    reading: asyncio.Task[None] | None = None
    held: list[Message] = field(default_factory=list)
    stale: bool = False
    """A read failed: the next tick tries again."""
    checked: int | None = None
    """The board's number in Redis at the last tick."""
    watchers: set[Watcher] = field(default_factory=set)

    @property
    def redis_channel(self) -> str:
        """Where its changes are published."""
        return self.space.keys.channel(self.board)

    def number(self) -> int:
        """The last change that the window knows."""
        return self.window.number if self.window is not None else 0


class Feeds:
    """The feeds of one process, by Redis channel."""

    def __init__(self, redis: RedisClient, listener: Listener, standings: Standings) -> None:
        """``standings`` has those of runs that are final, and may have left Redis."""
        self._redis = redis
        self._standings = standings
        self._listener = listener
        self._of: dict[str, Feed] = {}
        self._reads = asyncio.Semaphore(READS_AT_ONCE)

    def __len__(self) -> int:
        return len(self._of)

    def get(self, space: Space, board: str) -> Feed:
        """The feed of a board; it lives as long as it has watchers, or is read."""
        feed = Feed(space, board)
        return self._of.setdefault(feed.redis_channel, feed)

    async def window(self, feed: Feed, limit: int) -> Window:
        """The feed's window, of at least ``limit`` rows; ``Unavailable`` where Redis is away."""
        feed.limit = max(feed.limit, limit)
        if feed.window is None or feed.window.limit < limit:
            await asyncio.shield(self._read(feed))
            if feed.window is None or feed.window.limit < limit:
                raise Unavailable("Redis is away")
        return feed.window

    def heard(self, redis_channel: str, data: bytes) -> None:
        """Redis published something."""
        feed = self._of.get(redis_channel)
        if feed is None:
            return
        try:
            message = _decode_message(data)
        except msgspec.DecodeError:
            log.exception("live_message_unreadable", board=feed.board)
            self._read(feed)
            return
        if feed.reading is not None:
            if len(feed.held) >= HELD_MAX:
                feed.held.clear()
            feed.held.append(message)
        elif feed.window is not None:
            best = feed.window.apply(message)
            if best is not None:
                for watcher in feed.watchers:
                    watcher.heard(feed.window, message, best)
            elif feed.window.must_read:
                self._read(feed)

    def lost(self) -> None:
        """Messages may be missing: read everything again."""
        for feed in self._of.values():
            self._read(feed)

    async def tick(self) -> None:
        """Let go of what nobody watches; find feeds that missed a message: pub/sub may drop some."""
        for feed in list(self._of.values()):
            if not feed.watchers and feed.reading is None:
                del self._of[feed.redis_channel]
                await self._listener.unsubscribe(feed.redis_channel)
        spaces: dict[str, list[tuple[Feed, int]]] = {}
        for feed in self._of.values():
            if feed.stale:
                self._read(feed)
            elif feed.reading is None and feed.window is not None:
                known = spaces.setdefault(feed.space.keys.numbers, [])
                known.append((feed, feed.window.number))
        for key, feeds in spaces.items():
            try:
                found = await self._redis.raw.hmget(key, [feed.board for feed, _ in feeds])
            except AWAY:
                return  # the listener says so, and has everything read again
            for (feed, before), number in zip(feeds, found, strict=True):
                self._compare(feed, before, int(number or 0))

    async def stop(self) -> None:
        """End what is being read."""
        tasks = [feed.reading for feed in self._of.values() if feed.reading is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _read(self, feed: Feed) -> asyncio.Task[None]:
        if feed.reading is None:
            feed.held = []
            feed.reading = asyncio.create_task(self._read_window(feed), name="live-read")
        return feed.reading

    async def _read_window(self, feed: Feed) -> None:
        try:
            async with self._reads:
                window = await self._read_until_whole(feed)
        except (Unavailable, RedisError) as error:
            if not feed.stale:
                log.warning("live_read_failed", board=feed.board, error=str(error))
            feed.stale = True
            return
        finally:
            feed.reading = None
            feed.held = []
        feed.window, feed.stale, feed.checked = window, False, None
        for watcher in feed.watchers:
            watcher.reread(window)

    async def _read_until_whole(self, feed: Feed) -> Window:
        while True:
            await self._listener.subscribe(feed.redis_channel)
            limit = feed.limit
            page = await self._redis.call("page", feed.space.keys.meta, feed.board, 0, limit + MARGIN, "", 0)
            window = _window_of(page, limit)
            if not window.epoch:
                raise Unavailable("the space is being rebuilt")
            held, feed.held = feed.held, []
            for message in held:
                window.apply(message)
            if not window.must_read and limit >= feed.limit:
                if not window.participants:
                    final = await self._standings(feed.space, feed.board, limit + MARGIN)
                    window.participants, window.rows = final
                return window

    def _compare(self, feed: Feed, before: int, number: int) -> None:
        """``before`` was the window's number when Redis was asked, ``number`` is what Redis said."""
        if feed.reading is not None or feed.window is None:
            return
        # What was there a second ago and has not come is lost; what is newer may be on its way.
        missed = feed.checked is not None and feed.window.number < feed.checked
        feed.checked = number
        if missed or number < before:
            self._read(feed)


def _window_of(page: list[Any], limit: int) -> Window:
    epoch, number, participants, _, rows, _ = page
    return Window(
        epoch.decode(),
        number,
        participants,
        [Row(user.decode(), text.decode(), units_of(score)) for user, text, score, _ in rows],
        limit,
    )
