"""The hub: keeps the windows that somebody watches, and hands changes to their views (design decision 12).

A channel is what viewers name; a feed is the board that it shows, one per board and process. A feed
subscribes first, then reads number and window in one call, so that nothing can fall between the two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any, NamedTuple

import msgspec
import structlog
from redis.exceptions import RedisError

from server.backends.redis.client import AWAY, RedisClient
from server.clock import Clock
from server.core.errors import Unavailable
from server.core.periods import local_day
from server.features.leaderboards import shapes
from server.features.leaderboards.ranking import board_name, units
from server.features.leaderboards.runs import run_name, run_on, within
from server.live.channels import LIMITS, LeaderboardChannel, PersonalChannel, UserChannel
from server.live.followers import Followers, Thaw
from server.live.listener import Listener
from server.live.protocol import CommandError, ErrorCode
from server.live.users import Describe, UserEvents
from server.live.view import Later, RunInfo, Stats, Target, View, Viewer, Watched
from server.live.window import MARGIN, Message, Row, Window
from server.spaces.space import Space

TICK_S = 1.0
"""How often numbers are compared, runs and catalogs looked at."""
GRACE_TICKS = 5
"""A board that nobody watches is kept so long, so that a reload of a page costs nothing."""
SLOW_TICKS = 10
"""A viewer that skips frames for so long without catching up once is closed."""
READS_AT_ONCE = 16
"""Reads of windows under way after a lost connection: Redis has other work too."""
HELD_MAX = 1_000
"""Messages kept while a window is read; more than that are let go, and the gap has it read again."""

log = structlog.get_logger(__name__)
_decode_message = msgspec.msgpack.Decoder(Message).decode


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
    channels: set[Channel] = field(default_factory=set)

    @property
    def redis_channel(self) -> str:
        """Where its changes are published."""
        return self.space.keys.channel(self.board)

    def number(self) -> int:
        """The last change that the window knows."""
        return self.window.number if self.window is not None else 0

    def views(self) -> Iterable[View]:
        """All views of the board."""
        return (view for channel in self.channels for view in channel.views.values())


@dataclass(eq=False, slots=True)
class Channel:
    """One channel of a space, as of a catalog version and a day of the home zone."""

    space: Space
    name: LeaderboardChannel
    target: Target
    version: int
    day: date
    feed: Feed
    followers: Followers
    views: dict[tuple[int, int], View] = field(default_factory=dict)
    idle_ticks: int = 0

    def leave(self, steps: tuple[int, int], view: View, viewer: Viewer) -> None:
        """A viewer watches no longer."""
        view.leave(viewer)
        if not view.viewers:
            view.stop()
            if self.views.get(steps) is view:
                del self.views[steps]

    def watched(self) -> Iterable[Watched]:
        """All that somebody watches."""
        return [*self.views.values(), *self.followers]


class Watch(NamedTuple):
    """One viewer's subscription. ``end`` ends it; ``public`` says whether everybody may see the channel."""

    view: Watched
    public: Callable[[], bool]
    end: Callable[[Viewer], None]


class Hub:
    """The live boards of one process."""

    def __init__(
        self, redis: RedisClient, clock: Clock, thaw: Thaw, describe: Describe, later: Later | None = None
    ) -> None:
        self.stats = Stats()
        self.on_tick: list[Callable[[], None]] = []
        self._redis = redis
        self._clock = clock
        self._thaw = thaw
        self._describe = describe
        self._later = later
        self._listener = Listener(redis, self._on_message, self._on_lost)
        self._feeds: dict[str, Feed] = {}
        self._channels: dict[tuple[str, LeaderboardChannel], Channel] = {}
        self._users: dict[str, UserEvents] = {}
        self._reads = asyncio.Semaphore(READS_AT_ONCE)
        self._ticking = asyncio.Lock()
        self._slow: dict[Viewer, int] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def views(self) -> int:
        """Views that somebody watches."""
        return sum(len(channel.views) for channel in self._channels.values())

    @property
    def boards(self) -> int:
        """Boards that are listened to."""
        return len(self._feeds)

    def start(self) -> None:
        """Begin to listen and to tick."""
        self._tasks = [
            asyncio.create_task(self._listener.run(), name="live-listener"),
            asyncio.create_task(self._run_ticks(), name="live-ticks"),
        ]

    async def stop(self) -> None:
        """End everything; viewers get nothing any more."""
        tasks = self._tasks + [feed.reading for feed in self._feeds.values() if feed.reading is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for channel in self._channels.values():
            channel.followers.stop()
            for view in channel.views.values():
                view.stop()

    def resolve(self, space: Space, name: LeaderboardChannel) -> Target:
        """What a channel shows now; error 102 where there is no such leaderboard or run.

        Without a day it is the run that holds today in the home zone: the first where none has begun, the
        last where all are over.
        """
        index = space.index
        board = index.leaderboard_by_key.get(name.key)
        metric = index.metric_by_id.get(board.metric_id) if board is not None else None
        if board is None or metric is None or board.status == "inactive":
            raise CommandError(ErrorCode.UNKNOWN_CHANNEL)
        today = self._today(space)
        run = run_on(board, name.day or within(board, today))
        if run is None:
            raise CommandError(ErrorCode.UNKNOWN_CHANNEL, "the leaderboard has no run on that day")
        over = run.end is not None and today > run.end
        return Target(
            shapes.config(board, metric.key, metric.name),
            10**metric.decimals,
            board_name(board.number, run_name(board, run)),
            RunInfo(run.start, run.end, "provisional" if over else "live"),
        )

    async def watch(
        self, space: Space, name: LeaderboardChannel, limit: int, interval_ms: int, viewer: Viewer
    ) -> Watch:
        """Subscribe; ``watch.view.snapshot()``, taken before the next await, is where its frames begin.

        Errors: 102, and ``Unavailable`` where Redis is away.
        """
        channel, window = await self._open(space, name, limit)
        steps = limit, interval_ms
        view = channel.views.get(steps)
        if view is None:
            later = self._later or asyncio.get_running_loop().call_later
            view = View(str(name), channel.target, limit, interval_ms, window, later, self.stats)
            channel.views[steps] = view
        view.viewers[viewer] = None
        return Watch(view, lambda: channel.target.config.public, partial(channel.leave, steps, view))

    async def follow(self, space: Space, name: PersonalChannel, around: int, viewer: Viewer) -> Watch:
        """Subscribe to one user's own place; errors as of ``watch``."""
        channel, _ = await self._open(space, name.board, LIMITS[0])
        follower = await channel.followers.join(name, around, viewer)
        return Watch(follower, lambda: False, partial(channel.followers.leave, follower))

    async def watch_user(self, space: Space, name: UserChannel, viewer: Viewer) -> Watch:
        """Subscribe to what happens to one user; ``Unavailable`` where Redis is away."""
        events = self._users.get(space.keys.events)
        if events is None:
            events = UserEvents(space, self._listener, self.stats, self._describe)
            self._users[space.keys.events] = events
        view = await events.join(name, viewer)
        return Watch(view, lambda: False, partial(events.leave, view))

    async def _open(self, space: Space, name: LeaderboardChannel, limit: int) -> tuple[Channel, Window]:
        """The channel, of the run and the catalog of now, and its window of at least ``limit`` rows."""
        while True:
            channel = self._channel(space, name)
            feed = channel.feed
            window = await self._window(feed, limit)
            # Meanwhile the run may have changed, or the catalog.
            if channel.feed is feed and self._channels.get((space.public_id, name)) is channel:
                channel.idle_ticks = 0
                return channel, window

    async def tick(self) -> None:
        """What is looked at once a second."""
        async with self._ticking:
            for channel in list(self._channels.values()):
                await self._refresh(channel)
                channel.followers.retry()
            for key, events in list(self._users.items()):
                if not events:
                    del self._users[key]
                    await self._listener.unsubscribe(key)
            for feed in list(self._feeds.values()):
                if not feed.channels and feed.reading is None:
                    del self._feeds[feed.redis_channel]
                    await self._listener.unsubscribe(feed.redis_channel)
            await self._compare_numbers()
            self._close_slow()
            for call in self.on_tick:
                call()

    async def _run_ticks(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                await self.tick()
            except Exception:  # the next tick must come whatever this one met
                log.exception("live_tick_failed")

    def _today(self, space: Space) -> date:
        return local_day(self._clock(), space.index.home)

    def _channel(self, space: Space, name: LeaderboardChannel) -> Channel:
        key = space.public_id, name
        channel = self._channels.get(key)
        if channel is None:
            target = self.resolve(space, name)
            feed = self._feed(space, target.board)
            channel = Channel(
                space,
                name,
                target,
                space.index.version,
                self._today(space),
                feed,
                Followers(space, self._redis, self.stats, target, feed.number, self._thaw),
            )
            feed.channels.add(channel)
            self._channels[key] = channel
        return channel

    def _feed(self, space: Space, board: str) -> Feed:
        feed = Feed(space, board)
        return self._feeds.setdefault(feed.redis_channel, feed)

    async def _window(self, feed: Feed, limit: int) -> Window:
        """The feed's window, of at least ``limit`` rows."""
        feed.limit = max(feed.limit, limit)
        if feed.window is None or feed.window.limit < limit:
            await asyncio.shield(self._read(feed))
            if feed.window is None or feed.window.limit < limit:
                raise Unavailable("Redis is away")
        return feed.window

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
        for channel in feed.channels:
            channel.followers.lost()
        for view in feed.views():
            view.reread(window)

    async def _read_until_whole(self, feed: Feed) -> Window:
        while True:
            await self._listener.subscribe(feed.redis_channel)
            limit = feed.limit
            page = await self._redis.call("page", feed.space.keys.meta, feed.board, 0, limit + MARGIN, "")
            window = _window_of(page, limit)
            if not window.epoch:
                raise Unavailable("the space is being rebuilt")
            held, feed.held = feed.held, []
            for message in held:
                window.apply(message)
            if not window.must_read and limit >= feed.limit:
                return window

    def _on_message(self, redis_channel: str, data: bytes) -> None:
        feed = self._feeds.get(redis_channel)
        if feed is None:
            if redis_channel in self._users:
                self._users[redis_channel].heard(data)
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
                for channel in feed.channels:
                    channel.followers.heard(message)
                for view in feed.views():
                    view.changed(feed.window, message.changes, best)
            elif feed.window.must_read:
                self._read(feed)

    def _on_lost(self) -> None:
        for feed in self._feeds.values():
            self._read(feed)
        for events in self._users.values():
            events.lost()

    async def _refresh(self, channel: Channel) -> None:
        """Follow the catalog, the day and who is left."""
        channel.idle_ticks = 0 if channel.views or channel.followers else channel.idle_ticks + 1
        if channel.idle_ticks > GRACE_TICKS:
            self._forget(channel)
            return
        space, day = channel.space, self._today(channel.space)
        if channel.version == space.index.version and channel.day == day:
            return
        version = space.index.version
        try:
            target = self.resolve(space, channel.name)
        except CommandError:
            target = None
        if target is None or target[:2] != channel.target[:2]:
            # Subscribing anew brings the new configuration, or says why there is none.
            self._forget(channel)
            return
        if target.board != channel.target.board:
            feed = self._feed(space, target.board)
            try:
                await self._window(feed, max((limit for limit, _ in channel.views), default=0))
            except Unavailable:
                return  # the next tick tries again
            channel.feed.channels.discard(channel)
            channel.feed = feed
            feed.channels.add(channel)
        rolled = target != channel.target
        channel.target, channel.version, channel.day = target, version, day
        if rolled:
            channel.followers.lost(target, channel.feed.number)
        if rolled and channel.feed.window is not None:
            for view in channel.views.values():
                view.roll(channel.feed.window, target)

    def _forget(self, channel: Channel) -> None:
        channel.feed.channels.discard(channel)
        del self._channels[channel.space.public_id, channel.name]
        for view in channel.views.values():
            view.stop()
            for viewer in view.viewers:
                viewer.unsubscribed(str(channel.name), "the leaderboard has changed")
        channel.views.clear()
        for follower in channel.followers:
            for viewer in follower.viewers:
                viewer.unsubscribed(str(follower.name), "the leaderboard has changed")
        channel.followers.stop()

    async def _compare_numbers(self) -> None:
        """Find feeds that missed a message: pub/sub may drop some."""
        spaces: dict[str, list[tuple[Feed, int]]] = {}
        for feed in self._feeds.values():
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

    def _compare(self, feed: Feed, before: int, number: int) -> None:
        """``before`` was the window's number when Redis was asked, ``number`` is what Redis said."""
        if feed.reading is not None or feed.window is None:
            return
        # What was there a second ago and has not come is lost; what is newer may be on its way.
        missed = feed.checked is not None and feed.window.number < feed.checked
        feed.checked = number
        if missed or number < before:
            self._read(feed)

    def _close_slow(self) -> None:
        watched = [view for channel in self._channels.values() for view in channel.watched()]
        watched += [view for events in self._users.values() for view in events.views()]
        behind = {viewer for view in watched for viewer in view.behind}
        self._slow = {viewer: self._slow.get(viewer, 0) + 1 for viewer in behind}
        for viewer, ticks in self._slow.items():
            if ticks > SLOW_TICKS:
                viewer.close_slow()


def _window_of(page: list[Any], limit: int) -> Window:
    epoch, number, participants, _, rows = page
    return Window(
        epoch.decode(),
        number,
        participants,
        [Row(user.decode(), name.decode() or None, units(score)) for user, name, score in rows],
        limit,
    )
