"""The calls of the commit function: numbered, repeated until they are answered, and what their replies ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from podium.clock import Clock, stopwatch_s
from podium.game.errors import Unavailable, WritesRefused
from podium.intake.pending import Observer
from podium.intake.states import States
from podium.spaces import continuity
from podium.spaces.space import Space
from podium.storage.redis import wire
from podium.storage.redis.client import AWAY, RedisClient, unavailable
from podium.storage.redis.keys import generation
from podium.storage.redis.wire import CommitInput, CommitReply, Result

log = structlog.get_logger(__name__)

PATIENCE_S = 2.0
"""An unanswered call is repeated until it is answered; those who wait for it hear 503 after this long."""
REPEAT_DELAY_S = 0.1
"""Pause before a lost call is sent again."""


class Link:
    """The knowledge about a space's Redis that all its lanes share."""

    def __init__(
        self,
        space: Space,
        redis: RedisClient,
        states: States,
        refresh: Callable[[Space], Awaitable[None]],
        clock: Clock,
        observer: Observer,
        log_limit: int,
    ) -> None:
        self.space = space
        self.redis = redis
        self.states = states
        self.observer = observer
        self.log_limit = log_limit
        self.generation = generation(clock())
        """Of idempotency keys, as Redis has said; until then a guess, which it corrects."""
        self.away = False
        """True while nothing is answered."""
        self.waited = 0, 0.0
        """Single inputs that were settled since the last call, and the seconds that they waited: the next call
        says so in Redis, for jobs that must not keep them waiting."""
        self.answered_s = 0.0
        """The time of the last answered call (``stopwatch_s``)."""
        self._refresh = refresh
        self._refused: WritesRefused | None = None
        """The reason of the last refusal by a Redis that takes no writes."""

    async def refresh(self) -> None:
        """Bring ``space.index`` and ``space.epoch`` up to date."""
        await self._refresh(self.space)

    async def renew(self) -> None:
        """Read catalog and epoch anew, after Redis refused those that were held; ``Unavailable`` without one."""
        await self._refresh(self.space)
        if self.space.epoch is None:
            raise Unavailable("this space is being rebuilt")

    async def confirm(self, epoch: str) -> None:
        """Have Redis take commits again: it is another server process than before (restarted, restored, promoted).

        Postgres says whether it continues. While Postgres is away, it is enough that Redis lacks nothing of what
        this process knows of: otherwise a Redis that was merely restarted would stand still as long as Postgres.
        """
        space = self.space
        try:
            await self.renew()
        except Unavailable:
            log_id = space.log_id(epoch)
            # Without an id of its own this process can't tell whether Redis lacks anything.
            if space.epoch != epoch or not log_id:
                raise
            if not await continuity.reaches(self.redis, space, epoch, log_id):
                space.epoch = None
                if await continuity.close(self.redis, space, epoch, "behind"):
                    log.error("redis_went_back", space=space.public_id, reason="behind", epoch=epoch)
                raise
            log.warning("confirmed_without_postgres", space=space.public_id, log_id=log_id)

    async def is_current(self, epoch: str, version: int) -> bool:
        """Return whether Redis still has this epoch and no newer catalog; read what is newer, where not."""
        try:
            known = await self.redis.raw.hmget(self.space.keys.meta, ["epoch", "catalog", "generation"])
        except AWAY as error:
            raise unavailable(error) from error
        # A newer version in meta means that somebody activated a catalog that this process hasn't read.
        same_epoch = known[0] is not None and known[0].decode() == epoch
        if same_epoch and int(known[1] or 0) <= version:
            before, self.generation = self.generation, max(self.generation, int(known[2] or 0))
            return before == self.generation
        if not same_epoch:
            self.states.clear()
        await self.refresh()
        return False

    def note_refusal(self, error: WritesRefused, inputs: int) -> None:
        """Count a refused call; log the first of those with the same reason."""
        self.observer.refused(error.reason, inputs)
        if self._refused is None or self._refused.reason != error.reason:
            log.warning("writes_refused", space=self.space.public_id, reason=error.reason, error=str(error))
        self._refused = error

    def note_done(self) -> None:
        """Redis takes writes."""
        if self._refused is not None:
            log.info("writes_resumed", space=self.space.public_id, reason=self._refused.reason)
            self._refused = None


class Calls:
    """The calls of one lane, one after the other.

    Redis keeps the last number of each ``process`` with its reply: the same number again does nothing and is
    answered with that, a lower one is refused. So each lane is a process of its own to it.
    """

    def __init__(self, link: Link, process: str, give_up: Callable[[Unavailable, float], None]) -> None:
        """``give_up`` is called with the error, and when the call was first sent, while one stays unanswered for
        longer than ``PATIENCE_S``."""
        self._link = link
        self._process = process
        self._give_up = give_up
        self._number = 0

    def begin(self) -> str:
        """Begin the next call, and return the prefix of the tokens of the states that it writes."""
        self._number += 1
        return f"{self._process}.{self._number}"

    async def commit(
        self, epoch: str, version: int, gen: int, entries: list[CommitInput]
    ) -> tuple[list[Result], str] | None:
        """Make the call that was begun: the results of its inputs, and the log's id. None where Redis refused the
        whole call for what this process has learnt by now: apply its inputs again."""
        link = self._link
        space = link.space
        reply, repeated = await self._send(epoch, version, gen, entries)
        if reply.code == wire.DONE:
            link.note_done()
            log_id = str(reply.what)
            if reply.problem:
                log.error("commit_incomplete", space=space.public_id, log_id=log_id, error=reply.problem)
            if log_id:
                space.note_log_id(epoch, log_id)
            return wire.results(reply), log_id
        if reply.code == wire.FULL:
            text = "the log is full: Postgres has been away for too long"
            raise WritesRefused(text, "log", retry_after_s=10)
        if reply.code == wire.GENERATION:
            link.generation = int(reply.what)
        elif reply.code in (wire.EPOCH, wire.CATALOG):
            if reply.code == wire.EPOCH:
                link.states.clear()
            await link.renew()
            # The first sending may have been taken by the Redis that is gone: applying it again could count twice.
            if repeated:
                raise Unavailable("Redis was replaced while the event was on its way")
        elif reply.code == wire.UNCONFIRMED:
            await link.confirm(epoch)
        elif reply.code == wire.BEHIND:
            # Redis lacks entries that it once answered for. States read from it are from before them, too.
            link.states.clear()
            space.epoch = None
            log.error("redis_went_back", space=space.public_id, reason="behind", epoch=epoch)
            raise Unavailable("Redis lost its last events: this space is being rebuilt")
        else:
            raise AssertionError(f"unexpected reply {reply!r}")
        return None

    async def _send(
        self, epoch: str, version: int, gen: int, entries: list[CommitInput]
    ) -> tuple[CommitReply, bool]:
        """The reply, and whether the call was sent more than once. The same number makes a repetition harmless."""
        link = self._link
        space = link.space
        waited = link.waited[0], int(link.waited[1] * 1_000_000)
        reached = space.log_id(epoch)
        args = wire.commit_arguments(
            epoch, version, self._process, self._number, gen, link.log_limit, reached, entries, waited
        )
        # Reported once: a repetition sends the same arguments, and Redis ignores those of a call that it knows.
        link.waited = 0, 0.0
        sent_s = stopwatch_s()
        repeated = False
        while True:
            try:
                reply = wire.decode_commit_reply(await link.redis.call("commit", space.keys.meta, *args))
            except Unavailable as error:
                if isinstance(error, WritesRefused) and not repeated:
                    raise  # nothing was written: there is no reply to wait for
                if not repeated:
                    log.warning("redis_lost", space=space.public_id)
                repeated = True
                # Repeated without end, as only the reply says whether the call was taken; senders needn't wait.
                if stopwatch_s() >= sent_s + PATIENCE_S:
                    self._give_up(error, sent_s)
                await asyncio.sleep(REPEAT_DELAY_S)
                continue
            if repeated:
                log.info("redis_back", space=space.public_id)
            link.away = False
            link.answered_s = stopwatch_s()
            return reply, repeated
