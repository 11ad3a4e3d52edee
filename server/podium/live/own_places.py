"""Those who follow their own place on a board: ``leaderboard:{key}#{userId}``.

The board's messages say whose rows may have changed; the rows themselves are read from Redis, many users in one
call. A reading carries the board's number, and is shown once the messages up to it have come, so that rank, rows
and "who passed whom" belong to one instant.
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
from podium.game.leaderboards.ranking import TIES
from podium.live import protocol
from podium.live.channels import PersonalChannel
from podium.live.rank_tracker import Course, Field, Place, Story, standing
from podium.live.shapes import Target
from podium.live.view import Stats, Viewer
from podium.live.window import Message, Row, units_of
from podium.spaces.space import Space
from podium.storage.redis.client import RedisClient, unavailable

READ_USERS = 32
"""Users of one reading: some 0.5 ms of Redis, as a commit."""
PAUSE_LEAST_S, PAUSE_MOST_S = 0.05, 0.2
"""Least and longest pause between two rounds. A round that took long is followed by a longer pause, so that
thousands of followers leave the process to those who post; with the round itself, all hear within 300 ms."""
PAUSE_SHARE = 5
"""A pause lasts as many times the round before it."""
PATIENCE_S = 1.0
"""A reading waits no longer for the messages before it; then it is shown without who passed whom."""

Thaw = Callable[[Space, list[str]], Awaitable[None]]
"""Puts the states of cold users back into Redis; ``Unavailable`` where Postgres is away."""

log = structlog.get_logger(__name__)
_encode = msgspec.json.Encoder().encode


class _Reading(NamedTuple):
    epoch: str
    number: int
    participants: int
    places: list[Place]


class Follower:
    """One user's place on one channel, for all of the user's viewers. Has what a viewer's ``Watch`` needs."""

    def __init__(self, name: PersonalChannel, around: int, stats: Stats) -> None:
        self.name = name
        self.course = Course(name.user, around)
        self.viewers: dict[Viewer, None] = {}
        self.behind: set[Viewer] = set()
        self.joining = 0
        """Viewers whose first reading is under way."""
        self._stats = stats
        self._head = protocol.publication_head(str(name))
        self._seq = 0
        self._previous: int | None = None
        self._shown: tuple[Target, Place] | None = None
        self._data = ""

    @property
    def known(self) -> bool:
        """Whether there is something to show."""
        return self._shown is not None

    def snapshot(self) -> str:
        """The newest frame's data."""
        return self._data

    def catch_up(self, viewer: Viewer) -> None:
        """The viewer has room again: gets the newest frame if it skipped any."""
        if viewer in self.behind:
            self.behind.discard(viewer)
            self._send(viewer, self._frame())

    def leave(self, viewer: Viewer) -> None:
        """The viewer watches no longer."""
        self.viewers.pop(viewer, None)
        self.behind.discard(viewer)

    def show(self, target: Target, place: Place, participants: int, story: Story | None) -> None:
        """Tell the viewers where the user stands, if that is something new."""
        shown = target, place
        if shown == self._shown:
            return
        first = self._shown is None
        self._shown = shown
        self._seq += not first
        data = standing(target, self._seq, self.course, place, participants, self._previous, story)
        self._previous = data.rank
        self._data = _encode(data).decode()
        if not first:
            frame = self._frame()
            for viewer in self.viewers:
                if viewer not in self.behind:
                    self._send(viewer, frame)

    def _frame(self) -> str:
        return self._head + self._data + protocol.PUBLICATION_TAIL

    def _send(self, viewer: Viewer, frame: str) -> None:
        if viewer.offer(frame):
            self._stats.frames_sent += 1
        else:
            self.behind.add(viewer)


class Followers:
    """All who follow their own place on one channel of a leaderboard.

    ``heard`` is given each message after the board's window took it, ``lost`` says that some are missing.
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
        """``number`` is that of the last message heard; ``thaw`` brings back cold users."""
        self._space = space
        self._redis = redis
        self._stats = stats
        self._target = target
        self._number = number
        self._thaw = thaw
        self._of: dict[tuple[str, int], Follower] = {}
        self._field = Field(number())
        self._heard = asyncio.Event()
        self._due = False
        self._round: asyncio.Task[None] | None = None
        self._failed = False

    def __bool__(self) -> bool:
        return bool(self._of)

    def __iter__(self) -> Any:
        return iter(self._of.values())

    async def join(self, name: PersonalChannel, around: int, viewer: Viewer) -> Follower:
        """Follow; ``snapshot()``, taken before the next await, is where the frames begin.

        ``Unavailable`` where Redis is away.
        """
        key = name.quoted, around
        follower = self._of.get(key)
        if follower is None:
            follower = self._of[key] = Follower(name, around, self._stats)
        follower.joining += 1
        try:
            # Read also for a second viewer: what the first was shown may be a round old.
            await self._read([follower])
            follower.viewers[viewer] = None
        except RedisError as error:
            raise unavailable(error) from error
        finally:
            follower.joining -= 1
            self._drop_if_alone(follower)
        return follower

    def leave(self, follower: Follower, viewer: Viewer) -> None:
        """The viewer follows no longer."""
        follower.leave(viewer)
        self._drop_if_alone(follower)

    def _drop_if_alone(self, follower: Follower) -> None:
        key = follower.name.quoted, follower.course.around
        if not follower.viewers and not follower.joining and self._of.get(key) is follower:
            del self._of[key]
            self._field.remove(follower.course)

    def heard(self, message: Message) -> None:
        """The board changed."""
        self._field.heard(message)
        if self._of:
            self._heard.set()
            self._begin()

    def lost(self, target: Target | None = None, number: Callable[[], int] | None = None) -> None:
        """Messages are missing, or the channel shows another run, whose number is given: all are read anew."""
        if target is not None and number is not None:
            self._target, self._number = target, number
        self._field.lost(self._number())
        for follower in self:
            follower.course.sure = False
        if self._of:
            self._heard.set()
            self._begin()

    def retry(self) -> None:
        """Try again what failed."""
        if self._failed:
            self._begin()

    def stop(self) -> None:
        """Tell nobody any more."""
        if self._round is not None:
            self._round.cancel()
        self._of.clear()

    def _begin(self) -> None:
        self._due = True
        if self._round is None:
            self._round = asyncio.create_task(self._rounds(), name="live-followers")

    async def _rounds(self) -> None:
        try:
            while self._due:
                self._due = False
                began_s = stopwatch_s()
                await self._one_round()
                took_s = stopwatch_s() - began_s
                await asyncio.sleep(min(max(PAUSE_LEAST_S, PAUSE_SHARE * took_s), PAUSE_MOST_S))
            self._failed = False
        except (Unavailable, RedisError) as error:
            if not self._failed:
                log.warning("live_followers_failed", error=str(error))
            self._failed = True
        except Exception:  # the next round must come whatever this one met
            log.exception("live_followers_failed")
            self._failed = True
        finally:
            self._round = None

    async def _one_round(self) -> None:
        moved = [f for f in self if f.known and (f.course.moved or not f.course.sure)]
        for i in range(0, len(moved), READ_USERS):
            await self._read(moved[i : i + READ_USERS])

    async def _read(self, followers: list[Follower]) -> None:
        target = self._target
        reading = await self._reading(target.board, followers)
        told = await self._until(reading.number)
        if target is not self._target:
            self._begin()  # a roll-over came between: what was read is of the run before
        for follower, place in zip(followers, reading.places, strict=True):
            course = follower.course
            if course.sure and reading.number < course.told:
                continue  # another reading was quicker
            story = course.story(reading.number) if told and course.sure else None
            if story is not None and story.rank != place.position:
                story = None
            if target is self._target:
                follower.show(target, place, reading.participants, story)
            if story is not None:
                course.settle(reading.number, story.rank)
            else:
                self._field.place(course, reading.number, place.position)

    async def _reading(self, board: str, followers: list[Follower]) -> _Reading:
        reading = await self._ask(board, followers)
        missing = [f.course.user for f, place in zip(followers, reading.places, strict=True) if not place.position]
        if missing:
            # Redis knows the member of a cold user no more.
            cold = await self._redis.raw.hmget(self._space.keys.cold, missing)
            users = [user for user, token in zip(missing, cold, strict=True) if token is not None]
            if users:
                await self._thaw(self._space, users)
                reading = await self._ask(board, followers)
        return reading

    async def _ask(self, board: str, followers: list[Follower]) -> _Reading:
        asked: list[str | int] = []
        for follower in followers:
            course = follower.course
            asked += course.user, *course.names
        tie_rule = TIES[self._target.config.tie_rule]
        reply = await self._redis.call("around", self._space.keys.meta, board, tie_rule, *asked)
        epoch, number, participants, places = reply
        if not epoch:
            raise Unavailable("the space is being rebuilt")
        return _Reading(
            epoch.decode(),
            number,
            participants,
            [
                Place(
                    place,
                    first,
                    [Row(user.decode(), text.decode(), units_of(score)) for user, text, score, _ in rows],
                    rank,
                )
                for place, first, rows, rank in places
            ],
        )

    async def _until(self, number: int) -> bool:
        """Wait until the message of this number was heard; False if it takes too long."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while self._field.number < number:
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            return False
        return True
