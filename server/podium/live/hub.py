"""The hub: the channels and views of a process, kept up to date with catalog and day.

Path of a change: ``Listener`` → ``Feeds.on_message`` → ``Channel.on_delta`` → ``View.mark_dirty`` → one frame for
all viewers of the view. Why snapshots and deltas: docs/decisions/0012-snapshot-and-deltas.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from functools import partial
from typing import TypeVar

import structlog

from podium.clock import Clock
from podium.game.errors import Unavailable
from podium.game.leaderboards import shapes
from podium.game.leaderboards.ranking import board_name, group_name, groups_board, scale_of
from podium.game.leaderboards.runs import final_at_ms, run_name, run_on, run_state, within
from podium.game.leaderboards.shapes import RunInfo
from podium.game.periods import iso, local_day
from podium.live.base_view import Later, Stats, Viewer
from podium.live.board_channel import Channel, Watch
from podium.live.board_feeds import Feeds, FinalStandings
from podium.live.channels import LIMITS, LeaderboardChannel, PersonalChannel, UserChannel, is_canonical
from podium.live.own_places import OwnPlaces, Thaw
from podium.live.protocol import CommandError, ErrorCode
from podium.live.shapes import Target
from podium.live.speculation import SPECULATIVE_MAX, SpeculativeChannels, is_speculative
from podium.live.subscriber import Listener
from podium.live.user_channels import LoggedAnswer, UserEvents
from podium.live.view import View
from podium.live.window import Window
from podium.spaces.catalog_check import REFUSALS
from podium.spaces.space import Space
from podium.storage.redis.client import AWAY, RedisClient, unavailable

TICK_S = 1.0
"""Interval of the checks of change numbers, runs, catalogs and slow viewers."""
GRACE_TICKS = 5
"""Ticks that a channel without viewers is kept, so that reloading a page costs no new read."""
SLOW_TICKS = 10
"""Ticks after which a viewer that skips frames and never catches up is closed."""
log = structlog.get_logger(__name__)


T = TypeVar("T")
HasNewer = Callable[[Space, int], Awaitable[bool]]
"""Return whether a space has a newer catalog than this version, and load it (spaces/catalog_check.py)."""
_CATALOG_ERRORS = frozenset({ErrorCode.UNKNOWN_CHANNEL, ErrorCode.PERMISSION_DENIED})
"""Errors that a newer catalog may resolve."""


class Hub:
    """The live boards of one process."""

    def __init__(
        self,
        redis: RedisClient,
        clock: Clock,
        thaw: Thaw,
        logged_answer: LoggedAnswer,
        final_standings: FinalStandings,
        later: Later | None = None,
        speculative_max: int = SPECULATIVE_MAX,
    ) -> None:
        """``speculative_max`` is per quota, 0 for any number. ``later`` replaces ``loop.call_later`` in tests."""
        self.stats = Stats()
        self.on_tick: list[Callable[[], None]] = []
        self.has_newer_catalog: HasNewer = _nothing_newer
        """Called before a subscription is refused: another process may have stored a newer catalog."""
        self._redis = redis
        self._clock = clock
        self._thaw = thaw
        self._logged_answer = logged_answer
        self._later = later
        self._listener = Listener(redis, self._on_message, self._on_lost)
        self._feeds = Feeds(redis, self._listener, final_standings)
        self._channels: dict[tuple[str, LeaderboardChannel], Channel] = {}
        self._speculative = SpeculativeChannels(speculative_max)
        self._users: dict[str, UserEvents] = {}  # by Redis channel
        self._ticking = asyncio.Lock()
        self._slow: dict[Viewer, int] = {}  # ticks that each has been behind
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def views(self) -> int:
        """The number of views of boards that somebody watches."""
        return sum(len(channel.views) for channel in self._channels.values())

    @property
    def boards(self) -> int:
        """The number of boards that the process subscribes to."""
        return len(self._feeds)

    def start(self) -> None:
        """Start to receive messages and to tick."""
        self._tasks = [
            asyncio.create_task(self._listener.run(), name="live-listener"),
            asyncio.create_task(self._run_ticks(), name="live-ticks"),
        ]

    async def stop(self) -> None:
        """Stop all tasks; viewers get no more frames."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._feeds.stop()
        for channel in self._channels.values():
            channel.stop()

    async def retry_with_newer_catalog(self, space: Space, attempt: Callable[[], Awaitable[T]]) -> T:
        """Await an attempt to subscribe; repeat it once if it was refused and there is a newer catalog."""
        version = space.index.version
        try:
            return await attempt()
        except (CommandError, *REFUSALS) as error:
            may_be_stale = not isinstance(error, CommandError) or error.code in _CATALOG_ERRORS
            if not may_be_stale or not await self.has_newer_catalog(space, version):
                raise
        return await attempt()

    def resolve(self, space: Space, name: LeaderboardChannel) -> Target:
        """Return the board that a channel shows now.

        Without a day it is that of the run that contains today in the home zone: the first run where none has
        begun, the last where all are over.

        Raises:
            CommandError: 102 where there is no such leaderboard or run.
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
        """Subscribe a viewer; its frames continue from ``watch.view.snapshot()``, taken before the next await.

        ``quota`` is the quota of speculative channels that the viewer uses; None is unlimited.

        Raises:
            CommandError: 102 for an unknown channel, 106 where the quota is used up.
            Unavailable: Redis is away.
        """
        channel, window = await self._open(space, name, limit, quota)
        options = limit, interval_ms
        view = channel.views.get(options)
        if view is None:
            later = self._later or asyncio.get_running_loop().call_later
            view = View(str(name), channel.target, limit, interval_ms, window, later, self.stats)
            channel.views[options] = view
        # No await from here to the caller's snapshot(): the frames must continue from it without a gap.
        view.viewers[viewer] = None
        return Watch(view, lambda: channel.target.config.public, partial(channel.leave, options, view))

    async def watch_place(
        self, space: Space, name: PersonalChannel, around: int, viewer: Viewer, quota: str | None = None
    ) -> Watch:
        """Subscribe a viewer to one user's own place; raises as ``watch`` does."""
        while True:
            channel, _ = await self._open(space, name.board, LIMITS[0], quota)
            view = await channel.own_places.join(name, around, viewer)
            if self._channels.get((space.public_id, name.board)) is channel:
                return Watch(view, lambda: False, partial(channel.own_places.leave, view))
            view.leave(viewer)  # the catalog changed during the await, and ended the channel

    async def watch_user(self, space: Space, name: UserChannel, viewer: Viewer) -> Watch:
        """Subscribe a viewer to one user's events.

        Raises:
            Unavailable: Redis is away.
        """
        # One per space: Redis publishes the events of all its users on one channel.
        events = self._users.get(space.keys.events)
        if events is None:
            events = UserEvents(space, self._listener, self.stats, self._logged_answer)
            self._users[space.keys.events] = events
        view = await events.join(name, viewer)
        return Watch(view, lambda: False, partial(events.leave, view))

    async def _open(
        self, space: Space, name: LeaderboardChannel, limit: int, quota: str | None
    ) -> tuple[Channel, Window]:
        """Return the channel, as of the current run and catalog, and its window of at least ``limit`` rows."""
        while True:
            if quota is not None and is_speculative(name) and (space.public_id, name) not in self._channels:
                await self._check_quota(space, name, quota)
            channel = self._channel(space, name, quota)
            feed = channel.feed
            window = await self._feeds.window(feed, limit)
            # The run or the catalog may have changed during the await: then begin again.
            if channel.feed is feed and self._channels.get((space.public_id, name)) is channel:
                channel.idle_ticks = 0
                self._confirm_board(channel)
                return channel, window

    async def _check_quota(self, space: Space, name: LeaderboardChannel, quota: str) -> None:
        """Raise ``CommandError`` 106 where the quota is used up, unless the board exists."""
        target = self.resolve(space, name)
        if not self._speculative.is_used_up(quota):
            return
        try:
            exists = await self._redis.raw.exists(space.keys.board(target.board))
        except AWAY as error:
            raise unavailable(error) from error
        if not exists or not _is_canonical(space, name, target):
            raise CommandError(
                ErrorCode.LIMIT_EXCEEDED, "too many channels of groups and days without participants"
            )

    def _confirm_board(self, channel: Channel) -> None:
        """Stop counting a channel as speculative once its board is known to have participants."""
        window = channel.feed.window
        if (
            channel.key in self._speculative
            and window is not None
            and window.participants
            and _is_canonical(channel.space, channel.name, channel.target)
        ):
            self._speculative.discard(channel.key)

    async def tick(self) -> None:
        """Check what depends on time; called once a second."""
        async with self._ticking:  # tests call it too
            for channel in list(self._channels.values()):  # _refresh may close some
                try:
                    await self._refresh(channel)
                    channel.own_places.retry()
                except Exception:  # a bug in one channel must not stop the others; the next tick tries it again
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
            except Exception:  # a failed tick must not be the last
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
                OwnPlaces(space, self._redis, self.stats, target, feed.number, self._thaw),
            )
            feed.watchers.add(channel)
            self._channels[key] = channel
            if quota is not None and is_speculative(name):
                self._speculative.add(key, quota)
        return channel

    def _on_message(self, redis_channel: str, data: bytes) -> None:
        if redis_channel in self._users:
            self._users[redis_channel].publish_commit(data)
        else:
            self._feeds.on_message(redis_channel, data)

    def _on_lost(self) -> None:
        self._feeds.reread_all()
        for events in self._users.values():
            events.publish_reset()

    async def _refresh(self, channel: Channel) -> None:
        """Close a channel without viewers; bring another up to date with catalog and day."""
        channel.idle_ticks = 0 if channel.views or channel.own_places else channel.idle_ticks + 1
        if channel.idle_ticks > (0 if channel.key in self._speculative else GRACE_TICKS):
            self._close(channel)
            return
        for view in channel.views.values():
            view.drop_encoded()  # viewers who subscribe together, as after a restart, have shared it by now
        self._confirm_board(channel)
        space, day = channel.space, self._today(channel.space)
        if channel.version == space.index.version and channel.day == day:
            return
        # A new day may begin another run; a new version may change the configuration, or delete the leaderboard.
        version = space.index.version
        try:
            target = self.resolve(space, channel.name)
        except CommandError:
            target = None
        if target is None or target[:2] != channel.target[:2]:
            # Frames carry no configuration, so viewers subscribe again; the answer has it, or says why there is
            # none.
            self._close(channel)
            return
        feed = self._feeds.get(space, target.board)
        try:
            await self._feeds.window(feed, max((limit for limit, _ in channel.views), default=0))
        except Unavailable:
            return  # the next tick tries again
        channel.version, channel.day = version, day
        if target != channel.target:
            channel.show_board(feed, target)

    def _close(self, channel: Channel) -> None:
        del self._channels[channel.key]
        self._speculative.discard(channel.key)
        channel.end("the leaderboard has changed")

    def _close_slow(self) -> None:
        views = [view for channel in self._channels.values() for view in channel.all_views()]
        views += [view for events in self._users.values() for view in events.views()]
        behind = {viewer for view in views for viewer in view.behind}
        # A viewer that has caught up is not in ``behind`` any more, and starts from 0 the next time.
        self._slow = {viewer: self._slow.get(viewer, 0) + 1 for viewer in behind}
        for viewer, ticks in self._slow.items():
            if ticks > SLOW_TICKS:
                viewer.close_slow()


async def _nothing_newer(_: Space, __: int) -> bool:
    return False


def _is_canonical(space: Space, name: LeaderboardChannel, target: Target) -> bool:
    board = space.index.leaderboard_by_key.get(name.key)
    return board is not None and is_canonical(name, target.run.start, board.breakdown_attributes)
