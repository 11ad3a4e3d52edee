"""The hub: who watches what, as of the catalog and the day (docs/decisions/0012-snapshot-and-deltas.md).

A channel is what viewers name; the board that it shows comes from a feed (live/board_feeds.py).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import NamedTuple, TypeVar

import structlog

from podium.clock import Clock
from podium.game.errors import Unavailable
from podium.game.leaderboards import shapes
from podium.game.leaderboards.ranking import board_name, group_name, groups_board, scale_of
from podium.game.leaderboards.runs import final_at_ms, run_name, run_on, run_state, within
from podium.game.leaderboards.shapes import RunInfo
from podium.game.periods import iso, local_day
from podium.live.board_feeds import Feed, Feeds, Standings
from podium.live.channels import LIMITS, LeaderboardChannel, PersonalChannel, UserChannel, is_canonical
from podium.live.own_places import Followers, Thaw
from podium.live.protocol import CommandError, ErrorCode
from podium.live.shapes import Target
from podium.live.subscriber import Listener
from podium.live.user_channels import Describe, UserEvents
from podium.live.view import Later, Stats, View, Viewer, Watched
from podium.live.window import Message, Window
from podium.spaces.catalog_check import REFUSALS
from podium.spaces.space import Space
from podium.storage.redis.client import AWAY, RedisClient, unavailable

TICK_S = 1.0
"""How often numbers are compared, runs and catalogs looked at."""
GRACE_TICKS = 5
"""A board that nobody watches is kept so long, so that a reload of a page costs nothing."""
SLOW_TICKS = 10
"""A viewer that skips frames for so long without catching up once is closed."""
SPECULATIVE_MAX = 1_000
"""Speculative channels that viewers without a token may hold open, and as many those with one."""
log = structlog.get_logger(__name__)


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
    failed: bool = False
    """Whether the last tick met something that nobody has thought of."""

    def leave(self, steps: tuple[int, int], view: View, viewer: Viewer) -> None:
        """A viewer watches no longer."""
        view.leave(viewer)
        if not view.viewers:
            view.stop()
            if self.views.get(steps) is view:
                del self.views[steps]

    def heard(self, window: Window, message: Message, best: int) -> None:
        """The board changed; ``best`` is the best place touched."""
        self.followers.heard(message)
        for view in self.views.values():
            view.changed(window, message.changes, best)

    def reread(self, window: Window) -> None:
        """The board was read again."""
        self.followers.lost()
        for view in self.views.values():
            view.reread(window)

    def move(self, feed: Feed, target: Target) -> None:
        """Show another run, or the same with another state."""
        self.feed.watchers.discard(self)
        self.feed, self.target = feed, target
        feed.watchers.add(self)
        self.followers.lost(target, feed.number)
        if feed.window is not None:
            for view in self.views.values():
                view.roll(feed.window, target)

    def end(self, reason: str) -> None:
        """Nobody watches any more: everyone is told to subscribe again."""
        self.feed.watchers.discard(self)
        for view in self.views.values():
            view.stop()
            for viewer in view.viewers:
                viewer.unsubscribed(str(self.name), reason)
        for follower in self.followers:
            for viewer in follower.viewers:
                viewer.unsubscribed(str(follower.name), reason)
        self.stop()

    def stop(self) -> None:
        """Send nothing any more."""
        for view in self.views.values():
            view.stop()
        self.views.clear()
        self.followers.stop()

    def watched(self) -> Iterable[Watched]:
        """All that somebody watches."""
        return [*self.views.values(), *self.followers]


T = TypeVar("T")
HasNewer = Callable[[Space, int], Awaitable[bool]]
"""Whether a space has a newer catalog than of this version, which is then held (spaces/catalog_check.py)."""
_OF_CATALOG = frozenset({ErrorCode.UNKNOWN_CHANNEL, ErrorCode.PERMISSION_DENIED})
"""Errors that a newer catalog may change."""


class Watch(NamedTuple):
    """One viewer's subscription. ``end`` ends it; ``public`` says whether everybody may see the channel."""

    view: Watched
    public: Callable[[], bool]
    end: Callable[[Viewer], None]


class Hub:
    """The live boards of one process."""

    def __init__(
        self,
        redis: RedisClient,
        clock: Clock,
        thaw: Thaw,
        describe: Describe,
        standings: Standings,
        later: Later | None = None,
        speculative_max: int = SPECULATIVE_MAX,
    ) -> None:
        """``speculative_max``: 0 for any number."""
        self.stats = Stats()
        self.on_tick: list[Callable[[], None]] = []
        self.has_newer_catalog: HasNewer = _nothing_newer
        """Asked before somebody is told that there is no such channel, or that they may not see it."""
        self._redis = redis
        self._clock = clock
        self._thaw = thaw
        self._describe = describe
        self._later = later
        self._listener = Listener(redis, self._on_message, self._on_lost)
        self._feeds = Feeds(redis, self._listener, standings)
        self._channels: dict[tuple[str, LeaderboardChannel], Channel] = {}
        self._speculative: dict[tuple[str, LeaderboardChannel], str] = {}
        """Channels of groups and days that may not exist, and whose quota they count against. Names are made up
        for nothing, and each takes some KB here and a subscription in Redis."""
        self._quotas: Counter[str] = Counter()
        self._speculative_max = speculative_max
        self._users: dict[str, UserEvents] = {}
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
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._feeds.stop()
        for channel in self._channels.values():
            channel.stop()

    async def retried(self, space: Space, attempt: Callable[[], Awaitable[T]]) -> T:
        """Return what an attempt to subscribe returns; one that the catalog refuses is made once more with a newer
        one, if there is."""
        version = space.index.version
        try:
            return await attempt()
        except (CommandError, *REFUSALS) as error:
            of_catalog = not isinstance(error, CommandError) or error.code in _OF_CATALOG
            if not of_catalog or not await self.has_newer_catalog(space, version):
                raise
        return await attempt()

    def resolve(self, space: Space, name: LeaderboardChannel) -> Target:
        """What a channel shows now; error 102 where there is no such leaderboard or run.

        Without a day it is the run that holds today in the home zone: the first where none has begun, the
        last where all are over.
        """
        index = space.index
        board = index.leaderboard_by_key.get(name.key)
        if board is None or board.status == "inactive":
            raise CommandError(ErrorCode.UNKNOWN_CHANNEL)
        if name.groups and board.group_by is None:
            raise CommandError(ErrorCode.UNKNOWN_CHANNEL, "the leaderboard does not rank groups")
        if set(name.attributes) != set(board.breakdown_attributes):
            wanted = "&".join(f"{key}=…" for key in board.breakdown_attributes)
            raise CommandError(ErrorCode.UNKNOWN_CHANNEL, f"the channel must end in ?{wanted}" if wanted else "")
        group = group_name(tuple(name.attributes[key] for key in board.breakdown_attributes)) or None
        today = self._today(space)
        run = run_on(board, name.day or within(board, today))
        if run is None:
            raise CommandError(ErrorCode.UNKNOWN_CHANNEL, "the leaderboard has no run on that day")
        final_ms = final_at_ms(board, run)
        ranking = board_name(board.number, run_name(board, run), group)
        return Target(
            shapes.config(board, index.source_of(board)),
            scale_of(index.source_of(board).scale, board.order),
            groups_board(ranking) if name.groups else ranking,
            RunInfo(run.start, run.end, run_state(board, run, today), None if final_ms is None else iso(final_ms)),
            name.groups,
        )

    async def watch(
        self,
        space: Space,
        name: LeaderboardChannel,
        limit: int,
        interval_ms: int,
        viewer: Viewer,
        quota: str | None = None,
    ) -> Watch:
        """Subscribe; ``watch.view.snapshot()``, taken before the next await, is where its frames begin.

        ``quota`` names the share of speculative channels that the viewer takes from; None is without limit.
        Errors: 102, 106 where that share is used up, and ``Unavailable`` where Redis is away.
        """
        channel, window = await self._open(space, name, limit, quota)
        steps = limit, interval_ms
        view = channel.views.get(steps)
        if view is None:
            later = self._later or asyncio.get_running_loop().call_later
            view = View(str(name), channel.target, limit, interval_ms, window, later, self.stats)
            channel.views[steps] = view
        view.viewers[viewer] = None
        return Watch(view, lambda: channel.target.config.public, partial(channel.leave, steps, view))

    async def follow(
        self, space: Space, name: PersonalChannel, around: int, viewer: Viewer, quota: str | None = None
    ) -> Watch:
        """Subscribe to one user's own place; errors as of ``watch``."""
        while True:
            channel, _ = await self._open(space, name.board, LIMITS[0], quota)
            follower = await channel.followers.join(name, around, viewer)
            if self._channels.get((space.public_id, name.board)) is channel:
                return Watch(follower, lambda: False, partial(channel.followers.leave, follower))
            follower.leave(viewer)  # the catalog changed meanwhile

    async def watch_user(self, space: Space, name: UserChannel, viewer: Viewer) -> Watch:
        """Subscribe to what happens to one user; ``Unavailable`` where Redis is away."""
        events = self._users.get(space.keys.events)
        if events is None:
            events = UserEvents(space, self._listener, self.stats, self._describe)
            self._users[space.keys.events] = events
        view = await events.join(name, viewer)
        return Watch(view, lambda: False, partial(events.leave, view))

    async def _open(
        self, space: Space, name: LeaderboardChannel, limit: int, quota: str | None
    ) -> tuple[Channel, Window]:
        """The channel, of the run and the catalog of now, and its window of at least ``limit`` rows."""
        while True:
            if quota is not None and (name.query or name.day) and (space.public_id, name) not in self._channels:
                await self._check_quota(space, name, quota)
            channel = self._channel(space, name, quota)
            feed = channel.feed
            window = await self._feeds.window(feed, limit)
            # Meanwhile the run may have changed, or the catalog.
            if channel.feed is feed and self._channels.get((space.public_id, name)) is channel:
                channel.idle_ticks = 0
                self._settle(channel)
                return channel, window

    async def _check_quota(self, space: Space, name: LeaderboardChannel, quota: str) -> None:
        """Raise error 106 where the quota of speculative channels is used up, unless the board exists."""
        target = self.resolve(space, name)
        if not 0 < self._speculative_max <= self._quotas[quota]:
            return
        try:
            exists = await self._redis.raw.exists(space.keys.board(target.board))
        except AWAY as error:
            raise unavailable(error) from error
        if not exists or not _is_canonical(space, name, target):
            raise CommandError(ErrorCode.LIMIT_EXCEEDED, "too many channels of groups and days in which nobody is")

    def _settle(self, channel: Channel) -> None:
        """Count a channel no longer once its board is known to have participants."""
        window = channel.feed.window
        if (
            (channel.space.public_id, channel.name) in self._speculative
            and window is not None
            and window.participants
            and _is_canonical(channel.space, channel.name, channel.target)
        ):
            self._count_no_longer(channel)

    def _count_no_longer(self, channel: Channel) -> None:
        quota = self._speculative.pop((channel.space.public_id, channel.name), None)
        if quota is not None:
            self._quotas[quota] -= 1

    async def tick(self) -> None:
        """What is looked at once a second."""
        async with self._ticking:
            for channel in list(self._channels.values()):
                try:
                    await self._refresh(channel)
                    channel.followers.retry()
                except Exception:  # the other channels must go on; the next tick tries this one again
                    if not channel.failed:
                        log.exception(
                            "live_channel_failed", space=channel.space.public_id, board=channel.target.board
                        )
                    channel.failed = True
                else:
                    channel.failed = False
            for key, events in list(self._users.items()):
                if not events:
                    del self._users[key]
                    await self._listener.unsubscribe(key)
            await self._feeds.tick()
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

    def _channel(self, space: Space, name: LeaderboardChannel, quota: str | None) -> Channel:
        key = space.public_id, name
        channel = self._channels.get(key)
        if channel is None:
            target = self.resolve(space, name)
            feed = self._feeds.get(space, target.board)
            channel = Channel(
                space,
                name,
                target,
                space.index.version,
                self._today(space),
                feed,
                Followers(space, self._redis, self.stats, target, feed.number, self._thaw),
            )
            feed.watchers.add(channel)
            self._channels[key] = channel
            if quota is not None and (name.query or name.day):
                self._speculative[key] = quota
                self._quotas[quota] += 1
        return channel

    def _on_message(self, redis_channel: str, data: bytes) -> None:
        if redis_channel in self._users:
            self._users[redis_channel].heard(data)
        else:
            self._feeds.heard(redis_channel, data)

    def _on_lost(self) -> None:
        self._feeds.lost()
        for events in self._users.values():
            events.lost()

    async def _refresh(self, channel: Channel) -> None:
        """Follow the catalog, the day and who is left."""
        channel.idle_ticks = 0 if channel.views or channel.followers else channel.idle_ticks + 1
        speculative = (channel.space.public_id, channel.name) in self._speculative
        if channel.idle_ticks > (0 if speculative else GRACE_TICKS):
            self._forget(channel)
            return
        for view in channel.views.values():
            view.drop_encoded()
        self._settle(channel)
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
        feed = self._feeds.get(space, target.board)
        try:
            await self._feeds.window(feed, max((limit for limit, _ in channel.views), default=0))
        except Unavailable:
            return  # the next tick tries again
        rolled = target != channel.target
        channel.version, channel.day = version, day
        if rolled:
            channel.move(feed, target)

    def _forget(self, channel: Channel) -> None:
        del self._channels[channel.space.public_id, channel.name]
        self._count_no_longer(channel)
        channel.end("the leaderboard has changed")

    def _close_slow(self) -> None:
        watched = [view for channel in self._channels.values() for view in channel.watched()]
        watched += [view for events in self._users.values() for view in events.views()]
        behind = {viewer for view in watched for viewer in view.behind}
        self._slow = {viewer: self._slow.get(viewer, 0) + 1 for viewer in behind}
        for viewer, ticks in self._slow.items():
            if ticks > SLOW_TICKS:
                viewer.close_slow()


async def _nothing_newer(_: Space, __: int) -> bool:
    return False


def _is_canonical(space: Space, name: LeaderboardChannel, target: Target) -> bool:
    board = space.index.leaderboard_by_key.get(name.key)
    return board is not None and is_canonical(name, target.run.start, board.breakdown_attributes)
