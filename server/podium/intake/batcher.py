"""Micro-batching: whatever waits when a call returns goes into the next (docs/decisions/0004-micro-batches.md).

One batcher a space and process. Every input ends in exactly one way: an ``Outcome``, a ``RequestError`` (nothing
stored), or ``Unavailable`` (stored or not: send it again with its idempotency key).

pending.py: an input and its outcome · queue.py: what waits, and who is in a call · lane.py: a batch, from states
to outcomes · calls.py: the numbered calls · postgres_waits.py: who waits for Postgres.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from podium.clock import Clock, stopwatch_s
from podium.game.errors import PodiumError, TooManyRequests, Unavailable
from podium.game.inputs import Event, Input
from podium.game.state import UserState
from podium.intake.calls import Link
from podium.intake.lane import Lane
from podium.intake.pending import Group, Observer, Outcome, Pending, Receiver
from podium.intake.postgres_waits import PostgresWaits
from podium.intake.queue import CALL_INPUTS, Queue
from podium.intake.states import States
from podium.spaces.space import Space
from podium.storage.redis.client import RedisClient

__all__ = ["Batcher", "Observer", "Outcome", "Receiver"]

OVERDUE_S = 0.05
"""Other inputs don't wait for a call that takes longer than this, however few they are: its reply may be lost."""
LANES = 4
"""Calls in flight at most. Redis does one after the other: more than a few only wait there."""


class Batcher:
    """The way of every change into one space."""

    def __init__(
        self,
        space: Space,
        redis: RedisClient,
        states: States,
        *,
        clock: Clock,
        refresh: Callable[[Space], Awaitable[None]],
        queue_limit: int,
        log_limit: int,
        observer: Observer,
        lanes: int = LANES,
    ) -> None:
        """``refresh`` brings ``space.index`` and ``space.epoch`` up to date."""
        self._space = space
        self._states = states
        self._queue_limit = queue_limit
        self._queue = Queue()
        self._link = Link(space, redis, states, refresh, clock, observer, log_limit)
        self._waits = PostgresWaits(self._link, self._queue, self._wake)
        process = secrets.token_urlsafe(9)
        self._idle = [Lane(self._link, self._queue, self._waits, f"{process}-{i}") for i in range(lanes)]
        self._running: dict[asyncio.Task[None], Lane] = {}
        self._largest = 0
        """Inputs of the largest call in flight."""
        self._gathering = False
        """True while a lane is about to take what waits: it lets this turn's requests join first."""

    @property
    def regroup(self) -> Callable[[str, dict[str, str]], Awaitable[None]]:
        """Moves a user to the groups of other attributes, in the runs that the state has dropped."""
        return self._waits.regroup

    @regroup.setter
    def regroup(self, regroup: Callable[[str, dict[str, str]], Awaitable[None]]) -> None:
        self._waits.regroup = regroup

    async def submit(self, input_: Input) -> Outcome:
        """Commit one input. Raises what refused it."""
        result = (await self._enqueue(self._queue.single, (input_,)))[0]
        if isinstance(result, Outcome):
            return result
        raise result

    def post(self, input_: Input, receiver: Receiver) -> None:
        """Commit one input; ``receiver`` takes its outcome. Raises what refuses it at once."""
        self._check_room(1)
        single = self._queue.single
        single.append(Pending(input_, receiver, 0, single))
        self._wake()
        # While a lane is about to take everything, it reads the states itself: one call instead of two.
        if not self._gathering and not self._states.holds(input_.user):
            self._states.want((input_.user,))

    async def submit_many(self, inputs: Sequence[Input]) -> list[Outcome | PodiumError]:
        """Commit the inputs of one large request, in order; they take turns with single ones."""
        return await self._enqueue(self._queue.bulk, inputs)

    def at_once(self, most: int) -> int:
        """Return the number of inputs that a job may submit together, at most ``most``: others need room in the
        queue, too."""
        return max(1, min(most, self._queue_limit // 4))

    def prime(self, user: str, token: str, state: UserState) -> None:
        """Hold a state that was read elsewhere, unless one is held: what follows need not read it from Redis."""
        if self._states.known(user) == ("", None):
            self._states.put(user, token, state)

    async def thaw(self, users: list[str]) -> None:
        """Have the states of cold users put back into Redis; ``Unavailable`` where Postgres is away."""
        await self._states.thaw(users)

    async def drain(self, patience_s: float | None = None) -> bool:
        """Wait until nothing is in flight, for at most ``patience_s``; return whether nothing is. New inputs are
        still taken."""
        give_up_s = None if patience_s is None else stopwatch_s() + patience_s
        while under_way := self._waits.tasks | self._states.tasks | self._running.keys():
            left_s = None if give_up_s is None else give_up_s - stopwatch_s()
            if left_s is not None and left_s <= 0:
                return False
            await asyncio.wait(under_way, timeout=left_s)
        return True

    def _enqueue(
        self, queue: deque[Pending], inputs: Sequence[Input]
    ) -> asyncio.Future[list[Outcome | PodiumError]]:
        self._check_room(len(inputs))
        future: asyncio.Future[list[Outcome | PodiumError]] = asyncio.get_running_loop().create_future()
        group = Group(len(inputs), future)
        if not inputs:
            future.set_result([])
        queue.extend([Pending(input_, group, i, queue) for i, input_ in enumerate(inputs)])
        self._wake()
        self._prefetch(inputs)
        return future

    def _prefetch(self, inputs: Sequence[Input]) -> None:
        """Read the states of users who must wait for the calls under way: held when their turn comes."""
        if not self._gathering:
            self._states.want([input_.user for input_ in inputs])

    def _check_room(self, inputs: int) -> None:
        if self._link.away:
            raise Unavailable("Redis is away")
        if len(self._queue) + inputs > self._queue_limit:
            raise TooManyRequests("too many events are waiting, try again in a second")

    def _wake(self) -> None:
        """Start another lane if that helps."""
        if not self._gathering and self._idle and self._is_due():
            self._gathering = True
            lane = self._idle.pop()
            task = asyncio.create_task(self._run(lane))
            self._running[task] = lane
            task.add_done_callback(self._on_done)

    def _is_due(self) -> bool:
        """Return whether to make another call now: if none is in flight, or as much waits as the largest one took.

        So batches never shrink by there being several: under load each waits until it is full, and at rest, where
        calls are of one or two events, nobody waits for somebody else's.
        """
        return self._queue.ready >= max(1, min(self._largest, CALL_INPUTS))

    async def _run(self, lane: Lane) -> None:
        # One turn of the loop lets the requests that arrived with this one join the call.
        await asyncio.sleep(0)
        self._gathering = False
        loop = asyncio.get_running_loop()
        while batch := self._queue.take(self._moves_of):
            lane.inputs = len(batch)
            self._largest = max(self._largest, lane.inputs)
            self._wake()  # what is left may fill another call
            overdue = loop.call_later(OVERDUE_S, self._on_overdue, lane)
            await lane.run(batch)
            overdue.cancel()
            self._discount(lane)
            # Too little waits for a call of its own: it joins what arrives until another lane's call ends.
            if not self._is_due():
                break

    def _discount(self, lane: Lane) -> None:
        """Let nobody wait for a lane's call any more: it has ended, or takes too long."""
        lane.inputs = 0
        self._largest = max(lane.inputs for lane in self._running.values())

    def _on_overdue(self, lane: Lane) -> None:
        self._discount(lane)
        self._wake()

    def _on_done(self, task: asyncio.Task[None]) -> None:
        # The lane first, then the check: inputs may have come between its last look and its end.
        self._idle.append(self._running.pop(task))
        if not task.cancelled():
            task.result()
        self._wake()

    def _moves_of(self, input_: Input) -> int:
        """Estimate the board moves of an input; those of other inputs are counted once they are applied."""
        index = self._space.index
        metric = index.metric_by_key.get(input_.metric) if isinstance(input_, Event) else None
        return len(index.counting[metric.number]) if metric is not None else 1
