"""Users whose inputs wait for Postgres, apart from all others: a cold user never holds up the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from podium.game.errors import Conflict, InputFailed, PodiumError, StaleEpoch, Unavailable
from podium.game.inputs import Event, MoveOlder
from podium.game.older_runs import moves_older
from podium.intake.calls import Link
from podium.intake.pending import Pending, fail
from podium.intake.queue import Queue

log = structlog.get_logger(__name__)

THAWS = 5
"""Times that a cold user's state is asked of Postgres for an input: it may not be there, or be unreadable."""


class PostgresWaits:
    """Inputs by user, in order, that go on once Postgres has answered for the first of them."""

    def __init__(self, link: Link, queue: Queue, wake: Callable[[], None]) -> None:
        """``wake`` is called when inputs are back in the queue."""
        self._link = link
        self._queue = queue
        self._wake = wake
        self._waiting: dict[str, list[Pending]] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.regroup: Callable[[str, dict[str, str]], Awaitable[None]] = _no_older
        """Moves a user in the runs that the state has let go of to the groups of other attributes."""

    def set_aside(self, batch: list[Pending], cold: set[str], gen: int) -> list[Pending]:
        """Defer inputs that need Postgres; return the rest.

        A user's later inputs wait behind the earlier ones, so that their order stays.
        """
        ready: list[Pending] = []
        asking: dict[str, list[Pending]] = {}
        states, index = self._link.states, self._link.space.index
        for pending in batch:
            input_ = pending.input
            user = input_.user
            if isinstance(input_, MoveOlder):
                # Others of the user may be aside and wait for just this one.
                if user in cold:
                    pending.finish(Conflict("the user's state was evicted, try again"))
                else:
                    ready.append(pending)
            elif user in self._waiting:
                self._waiting[user].append(pending)
            elif not pending.moved and (attributes := moves_older(index, states.known(user)[1], input_)):
                self._waiting[user] = [pending]
                self._start(self._move_older(pending, attributes))
            elif user in cold or (not pending.checked and states.may_be_old(input_, gen)):
                self._waiting[user] = asking[user] = [pending]
            else:
                ready.append(pending)
        if asking:
            self._start(self._ask_postgres(asking, cold))
        return ready

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _move_older(self, pending: Pending, attributes: dict[str, str]) -> None:
        """Have older runs follow what an input will change; then it goes on, and who waits behind it."""
        user = pending.input.user
        pending.moved = True
        try:
            await self.regroup(user, attributes)
        except PodiumError as error:
            pending.finish(error)
        except Exception:
            log.exception("lookup_failed", space=self._link.space.public_id, users=1)
            pending.finish(InputFailed("the event could not be processed"))
        self._queue.put_back(self._waiting.pop(user))
        self._wake()

    async def _ask_postgres(self, asking: dict[str, list[Pending]], cold: set[str]) -> None:
        """Thaw the cold users, look up the old keys of the others; then everybody goes on."""
        error: PodiumError | None = None
        states, space = self._link.states, self._link.space
        thawing = [user for user in asking if user in cold]
        try:
            if thawing:
                try:
                    await states.thaw(thawing)
                except StaleEpoch:
                    await self._link.renew()
            # A thawed user's keys are looked up in the next round, as are those of inputs that joined meanwhile.
            looked_up = [pending for user in asking if user not in cold for pending in asking[user]]
            used = await states.used_long_ago(pending.input for pending in looked_up)
            for pending in looked_up:
                pending.checked = True
                input_ = pending.input
                pending.seen = isinstance(input_, Event) and (input_.user, input_.metric, input_.key) in used
        except PodiumError as refusal:
            error = refusal
        except Exception:
            log.exception("lookup_failed", space=space.public_id, users=len(asking))
            error = Unavailable("the event could not be processed")
        for user in asking:
            waiting = self._waiting.pop(user)
            if error is not None:
                fail(waiting, error)
                continue
            if user in thawing and waiting[0].thaws >= THAWS:
                log.error("cold_state_missing", space=space.public_id, user=user, inputs=len(waiting))
            for pending in waiting:
                pending.thaws += user in thawing
                if pending.thaws > THAWS:
                    pending.finish(InputFailed("the user's state is on its way between the stores"))
            self._queue.put_back([pending for pending in waiting if not pending.done])
        self._wake()


async def _no_older(user: str, attributes: dict[str, str]) -> None:
    """A batcher by itself knows of no older runs."""
