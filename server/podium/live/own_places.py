"""The channels ``leaderboard:{key}#{userId}``: users' own places on a board.

The board's messages say whose rows may have changed; the rows themselves are read from Redis, for many users in
one call. A reading carries the board's change number. It is shown once the messages up to that number have
arrived, so that rank, rows and "who passed whom" belong to one instant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
import structlog
from redis.exceptions import RedisError

from podium.clock import stopwatch_s
from podium.game.errors import Unavailable
from podium.live.base_view import BaseView, Stats, Viewer
from podium.live.channels import PersonalChannel
from podium.live.rank_tracker import BoardTracker, Place, RankChange, RankTracker, standing
from podium.live.shapes import Target
from podium.live.window import Message, Row, units_of
from podium.spaces.space import Space
from podium.storage.redis.client import RedisClient, unavailable
from podium.storage.redis.wire import TIES

READ_USERS = 32
"""Users of one reading. It takes Redis some 0.5 ms, as long as a commit."""
PAUSE_LEAST_S, PAUSE_MOST_S = 0.05, 0.2
"""Bounds of the pause between two rounds of readings. A round that took long is followed by a longer pause, so
that thousands of viewers leave most of the process to event requests. With the round itself, everybody is up to
date within 300 ms."""
PAUSE_FACTOR = 5
"""A pause lasts this many times as long as the round before it."""
MESSAGE_WAIT_S = 1.0
"""Longest wait of a reading for the messages before it; after that it is shown without who passed whom."""

Thaw = Callable[[Space, list[str]], Awaitable[None]]
"""Put the states of cold users back into Redis. Raises ``Unavailable`` where Postgres is away."""

log = structlog.get_logger(__name__)
_encode = msgspec.json.Encoder().encode


class _Reading(NamedTuple):
    epoch: str
    number: int
    participants: int
    places: list[Place]


class OwnPlaceView(BaseView):
    """The viewers of one user's own place on one channel."""

    def __init__(self, name: PersonalChannel, around: int, stats: Stats) -> None:
        super().__init__(str(name), stats)
        self.name = name
        self.tracker = RankTracker(name.user, around)
        self.joining = 0
        """Viewers whose first reading is under way. They keep the view alive."""
        self._seq = 0
        self._previous: int | None = None
        self._shown: tuple[Target, Place] | None = None
        self._data = ""

    @property
    def has_data(self) -> bool:
        """True once a reading has been shown."""
        return self._shown is not None

    def snapshot(self) -> str:
        """Return the data of the newest frame."""
        return self._data

    def show(self, target: Target, place: Place, participants: int, change: RankChange | None) -> None:
        """Send the user's place, unless it is what was sent last.

        ``participants`` does not count as a change: it changes with every newcomer, far below the user.
        """
        shown = target, place
        if shown == self._shown:
            return
        first = self._shown is None  # it becomes the snapshot, frame 0, and is not sent as a publication
        self._shown = shown
        self._seq += not first
        data = standing(target, self._seq, self.tracker, place, participants, self._previous, change)
        self._previous = data.rank
        self._data = _encode(data).decode()
        if not first:
            self._send_all(self._frame(self._data))

    def _catch_up_frame(self) -> str:
        return self._frame(self._data)


class OwnPlaces:
    """The views of users' own places on one channel of a leaderboard.

    The owner calls ``advance`` with each message that the board's window has taken, and ``invalidate`` where some
    are missing. Readings then run in rounds, in one task, while something has changed.
    """

    def __init__(
        self,
        space: Space,
        redis: RedisClient,
        stats: Stats,
        target: Target,
        number: Callable[[], int],
        thaw: Thaw,
    ) -> None:
        """``number`` returns the number of the last message received."""
        self._space = space
        self._redis = redis
        self._stats = stats
        self._target = target
        self._number = number
        self._thaw = thaw
        self._views: dict[tuple[str, int], OwnPlaceView] = {}
        self._board_tracker = BoardTracker(number())
        self._advanced = asyncio.Event()
        self._round_due = False
        self._round: asyncio.Task[None] | None = None
        self._failed = False

    def __bool__(self) -> bool:
        return bool(self._views)

    def __iter__(self) -> Any:
        return iter(self._views.values())

    async def join(self, name: PersonalChannel, around: int, viewer: Viewer) -> OwnPlaceView:
        """Subscribe a viewer; the frames continue from ``snapshot()``, taken before the next await.

        Raises:
            Unavailable: Redis is away, or Postgres where the user is cold.
        """
        key = name.quoted, around
        view = self._views.get(key)
        if view is None:
            view = self._views[key] = OwnPlaceView(name, around, self._stats)
        view.joining += 1
        try:
            # Read for a second viewer too: what the first was shown may be a round old.
            await self._read([view])
            view.viewers[viewer] = None
        except RedisError as error:
            raise unavailable(error) from error
        finally:
            view.joining -= 1  # also where the viewer was cancelled, or Redis failed
            self._drop_if_unused(view)
        return view

    def leave(self, view: OwnPlaceView, viewer: Viewer) -> None:
        """Remove a viewer, and its view if it was the last."""
        view.leave(viewer)
        self._drop_if_unused(view)

    def _drop_if_unused(self, view: OwnPlaceView) -> None:
        key = view.name.quoted, view.tracker.around
        if not view.viewers and not view.joining and self._views.get(key) is view:
            del self._views[key]
            self._board_tracker.remove(view.tracker)

    def advance(self, message: Message) -> None:
        """Take the board's next message."""
        self._board_tracker.apply_delta(message)
        self._wake()

    def invalidate(self) -> None:
        """Read all places anew, because messages are missing."""
        self._board_tracker.invalidate(self._number())
        for view in self:
            view.tracker.synced = False
        self._wake()

    def show_board(self, target: Target, number: Callable[[], int]) -> None:
        """Show another run, or the same in another state; ``number`` is that of its board."""
        self._target, self._number = target, number
        self.invalidate()

    def retry(self) -> None:
        """Begin a round if the last one failed."""
        if self._failed:
            self._begin_rounds()

    def stop(self) -> None:
        """Send no more frames."""
        if self._round is not None:
            self._round.cancel()
        self._views.clear()

    def _wake(self) -> None:
        if self._views:
            self._advanced.set()
            self._begin_rounds()

    def _begin_rounds(self) -> None:
        self._round_due = True
        if self._round is None:
            self._round = asyncio.create_task(self._run_rounds(), name="live-own-places")

    async def _run_rounds(self) -> None:
        try:
            while self._round_due:
                self._round_due = False  # before the round: what changes during it needs another
                began_s = stopwatch_s()
                await self._read_dirty()
                took_s = stopwatch_s() - began_s
                await asyncio.sleep(min(max(PAUSE_LEAST_S, PAUSE_FACTOR * took_s), PAUSE_MOST_S))
            self._failed = False
        except (Unavailable, RedisError) as error:
            if not self._failed:
                log.warning("live_own_places_failed", error=str(error))
            self._failed = True
        except Exception:  # a bug must not end all updates; retry() begins the next round
            log.exception("live_own_places_failed")
            self._failed = True
        finally:
            self._round = None

    async def _read_dirty(self) -> None:
        # A view without data has its first reading under way in ``join``.
        dirty = [view for view in self if view.has_data and (view.tracker.dirty or not view.tracker.synced)]
        for i in range(0, len(dirty), READ_USERS):
            await self._read(dirty[i : i + READ_USERS])

    async def _read(self, views: list[OwnPlaceView]) -> None:
        """Read the places of these views and show them."""
        target = self._target
        reading = await self._query_thawed(target.board, views)
        caught_up = await self._wait_for_messages(reading.number)
        if target is not self._target:
            self._begin_rounds()  # the run changed meanwhile: this reading is of the run before
        for view, place in zip(views, reading.places, strict=True):
            tracker = view.tracker
            if tracker.synced and reading.number < tracker.sent_number:
                continue  # a newer reading was shown meanwhile
            change = tracker.change_until(reading.number) if caught_up and tracker.synced else None
            if change is not None and change.rank != place.position:
                change = None  # the tracker has drifted: start it anew, and name nobody
            if target is self._target:  # never show the rank of another run
                view.show(target, place, reading.participants, change)
            if change is not None:
                tracker.mark_sent(reading.number, change.rank)
            else:
                self._board_tracker.track(tracker, reading.number, place.position)

    async def _query_thawed(self, board: str, views: list[OwnPlaceView]) -> _Reading:
        """Query the places, after thawing users who are cold."""
        reading = await self._query(board, views)
        missing = [
            view.tracker.user for view, place in zip(views, reading.places, strict=True) if not place.position
        ]
        if missing:
            # The member of a cold user in the sorted set left Redis with its state, so its place is not found.
            cold = await self._redis.raw.hmget(self._space.keys.cold, missing)
            users = [user for user, token in zip(missing, cold, strict=True) if token is not None]
            if users:
                await self._thaw(self._space, users)
                reading = await self._query(board, views)
        return reading

    async def _query(self, board: str, views: list[OwnPlaceView]) -> _Reading:
        users: list[str | int] = []
        for view in views:
            users += view.tracker.user, *view.tracker.rows_to_read
        tie_rule = TIES[self._target.config.tie_rule]
        reply = await self._redis.call("around", self._space.keys.meta, board, tie_rule, *users)
        epoch, number, participants, places = reply
        if not epoch:  # it is absent during a rebuild
            raise Unavailable("the space is being rebuilt")
        return _Reading(
            epoch.decode(),
            number,
            participants,
            [
                Place(
                    position,
                    first,
                    [Row(user.decode(), text.decode(), units_of(score)) for user, text, score, _ in rows],
                    rank,
                )
                for position, first, rows, rank in places
            ],
        )

    async def _wait_for_messages(self, number: int) -> bool:
        """Wait until the message with this number has arrived; return False if it takes too long."""
        try:
            async with asyncio.timeout(MESSAGE_WAIT_S):
                while self._board_tracker.number < number:
                    self._advanced.clear()  # no await between this and the check above: no message is missed
                    await self._advanced.wait()
        except TimeoutError:
            return False
        return True
