"""Micro-batching: whatever waits when the previous call returns goes into the next
(docs/decisions/0003-tokens.md, docs/decisions/0004-micro-batches.md, docs/decisions/0005-stored-when-answered.md).

One batcher a space and process, one call in flight. Every input ends in exactly one way: an ``Outcome``, a
``RequestError`` (nothing stored), or ``Unavailable`` (stored or not: send it again with its idempotency key).
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import structlog

from podium.clock import Clock, stopwatch_s
from podium.game.apply import Applied, apply
from podium.game.errors import (
    Conflict,
    InputFailed,
    PodiumError,
    RequestError,
    StaleEpoch,
    TooManyRequests,
    Unavailable,
    Unprocessable,
    WritesRefused,
)
from podium.game.inputs import Correction, Erase, Event, Fill, Input, MoveOlder, Recount, RemoveStanding, Tick
from podium.game.older_runs import moves_older
from podium.game.records import GroupMove
from podium.game.state import UserState
from podium.intake import commit
from podium.intake.commit import Placing
from podium.intake.states import States
from podium.spaces import continuity
from podium.spaces.space import Space
from podium.storage.redis.client import AWAY, RedisClient, unavailable
from podium.storage.redis.keys import generation

log = structlog.get_logger(__name__)

CALL_INPUTS = 32
"""Inputs of one call: Redis serves nobody else meanwhile
(docs/decisions/0004-micro-batches.md: calls of 1,000 push p99 to 81 ms)."""
CALL_MOVES = 100
"""Board moves of one call, for the same reason: counted by what each input moves, so a call is cut before the one
that would pass it. An input that moves more is a call of its own."""
INPUT_MOVES = 10_000
"""Board moves of one input, and boards that its state lets go of: a call of a few tenths of a second."""
CALL_SIZE = 1_000_000
"""Characters of state, record and label of a call: it is copied several times, and ends in one log entry."""
INPUT_SIZE = 16_000_000
"""The same of one input; Redis itself takes at most 512 MB in an argument, and 1 GB in a log entry."""
BULK_SHARE = 16
"""Inputs of large requests in a call while single ones wait: they take turns."""
PATIENCE_S = 2.0
"""An unanswered call is repeated until it is answered; those who wait for it hear 503 after this long."""
REPEAT_DELAY_S = 0.1
"""Pause before a lost call is sent again."""
WAITED_MOST_S = 0.1
"""What one input adds at most to the waits that jobs make way for: one that waited for Postgres says nothing about
them."""
TRIES = 50
"""Rounds that an input may lose to other processes before it is given up; each is one round trip."""

THAWS = 5
"""Times that a cold user's state is asked of Postgres for an input: it may not be there, or be unreadable."""


class Outcome(NamedTuple):
    """An accepted input: what it concluded and where the user and the user's groups stand; or, where ``replayed``,
    the state now. ``token`` is that of the state that was written, for what may only follow on just this one.
    ``waited_s`` seconds after it was submitted this was known."""

    applied: Applied | None
    state: UserState | None
    placings: list[Placing]
    groups: Sequence[GroupMove] = ()
    replayed: bool = False
    token: str = ""
    waited_s: float = 0.0


_READ_BEFORE = Correction | Erase | Fill | MoveOlder | Recount | RemoveStanding | Tick
"""Inputs that may name the token of the state that they were made from."""


class Observer(Protocol):
    """Hears of each call that was done."""

    def committed(self, *, inputs: int, events: int, call_s: float, waits_s: list[float]) -> None:
        """``waits_s``: for each accepted input the seconds from submission to known rank."""

    def refused(self, reason: str, inputs: int) -> None:
        """Inputs were refused because Redis takes no writes."""


class Receiver(Protocol):
    """Takes the outcome of an input, in a turn of the loop of its own. Must not raise."""

    def put(self, position: int, result: Outcome | PodiumError, /) -> None:
        """Take the outcome of the input at a position of the request."""


class _Group:
    """The inputs of one request: one future for all of their outcomes."""

    __slots__ = ("future", "left", "results")

    def __init__(self, size: int, future: asyncio.Future[list[Outcome | PodiumError]]) -> None:
        self.results: list[Any] = [None] * size
        self.left = size
        self.future = future

    def put(self, position: int, result: Outcome | PodiumError) -> None:
        self.results[position] = result
        self.left -= 1
        if not self.left and not self.future.done():
            self.future.set_result(self.results)


class _Pending:
    """One input on its way."""

    __slots__ = (
        *("accepted", "checked", "done", "group", "input", "moved"),
        *("position", "queue", "seen", "started_s", "thaws", "tries"),
    )

    def __init__(self, input_: Input, group: Receiver, position: int, queue: deque[_Pending]) -> None:
        self.input = input_
        self.group = group
        self.queue = queue
        self.position = position
        self.started_s = stopwatch_s()
        self.tries = 0
        self.thaws = 0
        self.accepted = False
        self.checked = False
        self.moved = False
        self.seen = False
        self.done = False

    def finish(self, result: Outcome | PodiumError) -> None:
        if not self.done:
            self.done = True
            self.group.put(self.position, result)


class _Refusal(NamedTuple):
    """A refusal that the rules concluded, and what from: the state that the user's input ``behind`` in the same
    call would write; without one the held state, which was ``read`` for this call or may be old."""

    pending: _Pending
    error: RequestError
    behind: _Pending | None
    read: bool

    @property
    def is_current(self) -> bool:
        """Whether Redis had that state during the call."""
        return self.read if self.behind is None else self.behind.accepted


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
    ) -> None:
        """``refresh`` brings ``space.index`` and ``space.epoch`` up to date."""
        self._space = space
        self._redis = redis
        self._states = states
        self._clock = clock
        self._refresh = refresh
        self._queue_limit = queue_limit
        self._log_limit = log_limit
        self._observer = observer
        self.regroup: Callable[[str, dict[str, str]], Awaitable[None]] = _no_older
        """Moves a user in the runs that the state has let go of to the groups of other attributes."""
        self._single: deque[_Pending] = deque()
        self._bulk: deque[_Pending] = deque()
        self._process = secrets.token_urlsafe(9)
        self._calls = 0
        self._running: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[None]] = set()
        self._aside: dict[str, list[_Pending]] = {}
        self._away = False
        self._refused: WritesRefused | None = None
        """Why the last call was refused by a Redis that takes no writes."""
        self._waited = 0, 0.0
        """Single inputs that were settled since the last call, and the seconds that they waited: the next call
        says so in Redis, for jobs that must not keep them waiting."""
        self._generation = generation(clock())
        """Of idempotency keys, as Redis has said; until then a guess, which it corrects."""

    async def submit(self, input_: Input) -> Outcome:
        """Commit one input. Raises what refused it."""
        result = (await self._enqueue(self._single, (input_,)))[0]
        if isinstance(result, Outcome):
            return result
        raise result

    def post(self, input_: Input, receiver: Receiver) -> None:
        """Commit one input; ``receiver`` takes its outcome. Raises what refuses it at once."""
        self._check_room(1)
        self._single.append(_Pending(input_, receiver, 0, self._single))
        self._wake()

    async def submit_many(self, inputs: Sequence[Input]) -> list[Outcome | PodiumError]:
        """Commit the inputs of one large request, in order; they take turns with single ones."""
        return await self._enqueue(self._bulk, inputs)

    def at_once(self, most: int) -> int:
        """How many inputs a job may submit together, at most ``most``: others need room in the queue too."""
        return max(1, min(most, self._queue_limit // 4))

    def prime(self, user: str, token: str, state: UserState) -> None:
        """Hold a state that was read elsewhere, unless one is held: what follows need not read it from Redis."""
        if self._states.known(user) == ("", None):
            self._states.put(user, token, state)

    async def thaw(self, users: list[str]) -> None:
        """Have the states of cold users put back into Redis; ``Unavailable`` where Postgres is away."""
        await self._states.thaw(users)

    async def drain(self) -> None:
        """Wait until nothing is in flight. New inputs are still taken."""
        while under_way := self._asking | ({self._running} if self._running is not None else set()):
            await asyncio.wait(under_way)

    def _enqueue(
        self, queue: deque[_Pending], inputs: Sequence[Input]
    ) -> asyncio.Future[list[Outcome | PodiumError]]:
        self._check_room(len(inputs))
        future: asyncio.Future[list[Outcome | PodiumError]] = asyncio.get_running_loop().create_future()
        group = _Group(len(inputs), future)
        if not inputs:
            future.set_result([])
        queue.extend([_Pending(input_, group, i, queue) for i, input_ in enumerate(inputs)])
        self._wake()
        return future

    def _check_room(self, inputs: int) -> None:
        if self._away:
            raise Unavailable("Redis is away")
        if len(self._single) + len(self._bulk) + inputs > self._queue_limit:
            raise TooManyRequests("too many events are waiting, try again in a second")

    def _wake(self) -> None:
        if self._running is None:
            self._running = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            # One turn of the loop lets the requests that arrived with this one join the first call.
            await asyncio.sleep(0)
            while batch := self._take():
                try:
                    await self._commit(batch)
                except PodiumError as error:
                    if isinstance(error, WritesRefused):
                        self._note_refusal(error, len(batch))
                    _fail(batch, error)
                except Exception:
                    log.exception("commit_failed", space=self._space.public_id, inputs=len(batch))
                    _fail(batch, Unavailable("the event could not be processed"))
        finally:
            self._running = None

    def _note_refusal(self, error: WritesRefused, inputs: int) -> None:
        """Count the refusal; log the first of those with the same reason."""
        self._observer.refused(error.reason, inputs)
        if self._refused is None or self._refused.reason != error.reason:
            log.warning("writes_refused", space=self._space.public_id, reason=error.reason, error=str(error))
        self._refused = error

    def _take(self) -> list[_Pending]:
        batch: list[_Pending] = []
        moves = 0
        single, bulk = self._single, self._bulk
        bulk_left = BULK_SHARE if single else CALL_INPUTS
        counting, by_key = self._space.index.counting, self._space.index.metric_by_key
        while len(batch) < CALL_INPUTS and moves < CALL_MOVES:
            if bulk and bulk_left and (not single or len(batch) % 2):
                pending = bulk.popleft()
                bulk_left -= 1
            elif single:
                pending = single.popleft()
            else:
                break
            if pending.done:
                continue  # its sender was told 503 while it waited for another try
            metric = by_key.get(pending.input.metric) if isinstance(pending.input, Event) else None
            moves += len(counting[metric.number]) if metric is not None else 1
            batch.append(pending)
        return batch

    async def _commit(self, batch: list[_Pending]) -> None:
        space = self._space
        if space.epoch is None:
            await self._refresh(space)
            if space.epoch is None:
                raise Unavailable("Redis is being rebuilt")
        gen = self._generation
        try:
            fetched = await self._states.fetch({pending.input.user for pending in batch})
        except StaleEpoch:
            await self._renew()
            self._requeue(batch)
            return
        if fetched.broken:
            batch[:] = self._without(batch, fetched.broken)
        batch[:] = self._set_aside(batch, fetched.cold, gen)

        index, epoch = space.index, space.epoch
        if epoch is None:  # heard of while the states were read
            raise Unavailable("Redis is being rebuilt")
        self._calls += 1
        entries: list[list[Any]] = []
        sent: list[tuple[_Pending, Applied, str]] = []
        working: dict[str, tuple[str, UserState | None, _Pending | None]] = {}
        refused: list[_Refusal] = []
        seen: list[_Pending] = []
        moves = size = 0
        for at, pending in enumerate(batch):
            input_ = pending.input
            user = input_.user
            expected, state, behind = working.get(user) or (*self._states.known(user), None)
            if pending.seen:
                seen.append(pending)
                continue
            try:
                if isinstance(input_, _READ_BEFORE) and input_.read_at not in ("", expected):
                    raise Conflict("the user's score is changing, try again")
                applied = apply(index, state, input_, gen)
                token = f"{self._process}.{self._calls}.{len(entries)}"
                entry = commit.encode_input(index, input_, applied, state, expected, token)
                moves_more, size_more = len(applied.changes), commit.size_of(entry)
                if moves + moves_more > CALL_MOVES or size + size_more > CALL_SIZE:
                    if entries:
                        _put_back(batch[at:])
                        del batch[at:]
                        break
                    _check_size(input_, applied, size_more)
            except RequestError as error:
                refused.append(_Refusal(pending, error, behind, user in fetched.read))
                continue
            except Exception:  # a mistake of ours, which must not keep the others of the call
                log.exception("input_failed", space=space.public_id, user=user, input=type(input_).__name__)
                pending.finish(InputFailed("the event could not be processed"))
                continue
            moves, size = moves + moves_more, size + size_more
            entries.append(entry)
            sent.append((pending, applied, token))
            working[user] = (token, applied.state, pending)
        again: set[_Pending] = set()
        if entries and not await self._call(epoch, index.version, gen, entries, sent, seen, again):
            self._requeue([pending for pending in batch if not pending.done])
            return
        if refused:
            await self._answer_refused(refused, (epoch, index.version), gen, seen, again)
        # In the order in which they came, which is that of each user's events.
        self._requeue([pending for pending in batch if pending in again])
        if seen:
            await self._answer_seen(seen)

    def _without(self, batch: list[_Pending], broken: set[str]) -> list[_Pending]:
        """Give up the inputs of users whose states can't be read; return the rest."""
        for pending in batch:
            if pending.input.user in broken:
                pending.finish(InputFailed("the user's state can't be read"))
        return [pending for pending in batch if not pending.done]

    def _set_aside(self, batch: list[_Pending], cold: set[str], gen: int) -> list[_Pending]:
        """Those that only Postgres can help with wait for it apart from the others, who are returned.

        A user's later inputs wait behind the earlier ones, so that their order stays.
        """
        ready: list[_Pending] = []
        asking: dict[str, list[_Pending]] = {}
        for pending in batch:
            user = pending.input.user
            if isinstance(pending.input, MoveOlder):
                # Others of the user may be aside and wait for just this one.
                if user in cold:
                    pending.finish(Conflict("the user's state was evicted, try again"))
                else:
                    ready.append(pending)
            elif user in self._aside:
                self._aside[user].append(pending)
            elif not pending.moved and (
                attributes := moves_older(self._space.index, self._states.known(user)[1], pending.input)
            ):
                self._aside[user] = [pending]
                self._start(self._move_older(pending, attributes))
            elif user in cold or (not pending.checked and self._states.may_be_old(pending.input, gen)):
                self._aside[user] = asking[user] = [pending]
            else:
                ready.append(pending)
        if asking:
            self._start(self._ask_postgres(asking, cold))
        return ready

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _move_older(self, pending: _Pending, attributes: dict[str, str]) -> None:
        """Have older runs follow what an input will change; then it goes on, and who waits behind it."""
        user = pending.input.user
        pending.moved = True
        try:
            await self.regroup(user, attributes)
        except PodiumError as error:
            pending.finish(error)
        except Exception:
            log.exception("lookup_failed", space=self._space.public_id, users=1)
            pending.finish(InputFailed("the event could not be processed"))
        for waiting in reversed(self._aside.pop(user)):
            waiting.queue.appendleft(waiting)
        self._wake()

    async def _ask_postgres(self, asking: dict[str, list[_Pending]], cold: set[str]) -> None:
        """Thaw the cold users, look up the old keys of the others; then everybody goes on."""
        error: PodiumError | None = None
        thawing = [user for user in asking if user in cold]
        try:
            if thawing:
                try:
                    await self._states.thaw(thawing)
                except StaleEpoch:
                    await self._renew()
            # Who is cold is looked at again when thawed; who joined meanwhile is looked up in turn.
            looked_up = [pending for user in asking if user not in cold for pending in asking[user]]
            used = await self._states.used_long_ago(pending.input for pending in looked_up)
            for pending in looked_up:
                pending.checked = True
                input_ = pending.input
                pending.seen = isinstance(input_, Event) and (input_.user, input_.metric, input_.key) in used
        except PodiumError as refusal:
            error = refusal
        except Exception:
            log.exception("lookup_failed", space=self._space.public_id, users=len(asking))
            error = Unavailable("the event could not be processed")
        for user in asking:
            waiting = self._aside.pop(user)
            if error is not None:
                _fail(waiting, error)
                continue
            if user in thawing and waiting[0].thaws >= THAWS:
                log.error("cold_state_missing", space=self._space.public_id, user=user, inputs=len(waiting))
            for pending in reversed(waiting):
                pending.thaws += user in thawing
                if pending.thaws > THAWS:
                    pending.finish(InputFailed("the user's state is on its way between the stores"))
                else:
                    pending.queue.appendleft(pending)
        self._wake()

    async def _answer_seen(self, seen: list[_Pending]) -> None:
        users = {pending.input.user for pending in seen}
        for user in users:
            self._states.forget(user)  # the answer shows the state as it is now, whoever wrote it
        await self._states.fetch(users)
        for pending in seen:
            state = self._states.known(pending.input.user)[1]
            pending.finish(Outcome(None, state, [], replayed=True, waited_s=stopwatch_s() - pending.started_s))

    async def _call(
        self,
        epoch: str,
        version: int,
        gen: int,
        entries: list[list[Any]],
        sent: list[tuple[_Pending, Applied, str]],
        seen: list[_Pending],
        again: set[_Pending],
    ) -> bool:
        """False where Redis refused the whole call for what this process has learnt by now: apply it again."""
        started_s = stopwatch_s()
        packed = commit.encode_inputs(entries)
        reply, repeated = await self._send(epoch, version, gen, packed, [s[0] for s in sent])
        if reply[0] == commit.DONE:
            if self._refused is not None:
                log.info("writes_resumed", space=self._space.public_id, reason=self._refused.reason)
                self._refused = None
            if len(reply) > 3:
                log.error("commit_incomplete", space=self._space.public_id, log_id=reply[1], error=reply[3])
            if reply[1]:
                self._space.note_log_id(epoch, reply[1])
            self._settle(sent, reply[2], seen, again, started_s)
            return True
        if reply[0] == commit.FULL:
            text = "the log is full: Postgres has been away for too long"
            raise WritesRefused(text, "log", retry_after_s=10)
        if reply[0] == commit.GENERATION:
            self._generation = reply[1]
        elif reply[0] in (commit.EPOCH, commit.CATALOG):
            if reply[0] == commit.EPOCH:
                self._states.clear()
            await self._renew()
            if repeated:
                raise Unavailable("Redis was replaced while the event was on its way")
        elif reply[0] == commit.UNCONFIRMED:
            await self._confirm(epoch)
        elif reply[0] == commit.BEHIND:
            self._states.clear()
            self._space.epoch = None
            log.error("redis_went_back", space=self._space.public_id, reason="behind", epoch=epoch)
            raise Unavailable("Redis lost its last events: this space is being rebuilt")
        else:
            raise AssertionError(f"unexpected reply {reply!r}")
        return False

    async def _renew(self) -> None:
        """Read catalog and epoch anew, after Redis refused those that were held; ``Unavailable`` without one."""
        await self._refresh(self._space)
        if self._space.epoch is None:
            raise Unavailable("this space is being rebuilt")

    async def _confirm(self, epoch: str) -> None:
        """Have Redis take commits again: it is another server process than before (restarted, restored, promoted).

        Postgres says whether it continues. While Postgres is away, it is enough that Redis lacks nothing of what
        this process knows of: otherwise a Redis that was merely restarted would stand still as long as Postgres.
        """
        try:
            await self._renew()
        except Unavailable:
            log_id = self._space.log_id(epoch)
            if self._space.epoch != epoch or not log_id:
                raise
            if not await continuity.reaches(self._redis, self._space, epoch, log_id):
                self._space.epoch = None
                if await continuity.close(self._redis, self._space, epoch, "behind"):
                    log.error("redis_went_back", space=self._space.public_id, reason="behind", epoch=epoch)
                raise
            log.warning("confirmed_without_postgres", space=self._space.public_id, log_id=log_id)

    async def _send(
        self, epoch: str, version: int, gen: int, packed: bytes, waiting: list[_Pending]
    ) -> tuple[list[Any], bool]:
        """The reply, and whether the call was sent more than once. The same number makes a repetition harmless."""
        args = (
            *(epoch, str(version), self._process, str(self._calls), str(gen), str(self._log_limit), packed),
            self._space.log_id(epoch),
            str(self._waited[0]),
            str(int(self._waited[1] * 1_000_000)),
        )
        self._waited = 0, 0.0
        give_up_s = stopwatch_s() + PATIENCE_S
        repeated = False
        while True:
            try:
                reply = commit.decode_reply(await self._redis.call("commit", self._space.keys.meta, *args))
            except Unavailable as error:
                if isinstance(error, WritesRefused) and not repeated:
                    raise  # nothing was written: there is no reply to wait for
                if not repeated:
                    log.warning("redis_lost", space=self._space.public_id)
                repeated = True
                if stopwatch_s() >= give_up_s and not self._away:
                    self._away = True
                    _fail(waiting, error)
                    _fail(self._single, error)
                    _fail(self._bulk, error)
                    self._single.clear()
                    self._bulk.clear()
                await asyncio.sleep(REPEAT_DELAY_S)
                continue
            if repeated:
                log.info("redis_back", space=self._space.public_id)
            self._away = False
            return reply, repeated

    def _settle(
        self,
        sent: list[tuple[_Pending, Applied, str]],
        replies: list[Any],
        seen: list[_Pending],
        again: set[_Pending],
        started_s: float,
    ) -> None:
        now_s = stopwatch_s()
        waits_s: list[float] = []
        finished: list[tuple[_Pending, Outcome]] = []
        singles, singles_s = self._waited
        events = 0
        for (pending, applied, token), reply in zip(sent, replies, strict=True):
            user = pending.input.user
            status = reply[0]
            if status == commit.ACCEPTED:
                self._states.put(user, token, applied.state)
                pending.accepted = True
                waited_s = now_s - pending.started_s
                waits_s.append(waited_s)
                if pending.queue is self._single:
                    singles, singles_s = singles + 1, singles_s + min(waited_s, WAITED_MOST_S)
                events += applied.record.event is not None
                places = commit.placings(applied.changes, reply[1])
                groups = [GroupMove(*group) for group in reply[2]] if reply[2] else ()
                outcome = Outcome(applied, applied.state, places, groups, False, token, waited_s)
                finished.append((pending, outcome))
            elif status == commit.STALE:
                if self._states.put_blob(user, reply[1], reply[2]):
                    again.add(pending)
                else:
                    pending.finish(InputFailed("the user's state can't be read"))
            elif status == commit.REPLAY:
                seen.append(pending)
            elif status == commit.COLD:
                self._states.forget(user)
                again.add(pending)
            elif status == commit.NOT_FINITE:
                pending.finish(Unprocessable("the score is too large to be ranked"))
            elif status == commit.GROUP_SUM:
                text = "the score of the user's group would be too large to count exactly"
                pending.finish(Unprocessable(text))
            else:
                log.error("input_failed", space=self._space.public_id, user=user, error=reply[1])
                self._states.forget(user)
                pending.finish(InputFailed("the event could not be processed"))
        if finished:
            # In the loop's next turn: by then the next call is on its way, and Redis works meanwhile.
            asyncio.get_running_loop().call_soon(_deliver, finished)
        self._waited = singles, singles_s
        self._observer.committed(inputs=len(sent), events=events, call_s=now_s - started_s, waits_s=waits_s)

    def _requeue(self, batch: list[_Pending]) -> None:
        for pending in reversed(batch):
            pending.tries += 1
            if pending.tries > TRIES:
                pending.finish(InputFailed("too many changes to this user at once"))
            else:
                pending.queue.appendleft(pending)

    async def _answer_refused(
        self,
        refused: list[_Refusal],
        drawn_from: tuple[str, int],
        gen: int,
        seen: list[_Pending],
        again: set[_Pending],
    ) -> None:
        """Answer refusals that were concluded from what Redis holds; have the others concluded anew.

        Another process may have written the user, or the catalog, since this one read it: a refusal that met an
        old state would meet it again at each attempt (docs/decisions/0020-fresh-refusals.md).
        """
        if not await self._is_current(*drawn_from):
            again.update(refusal.pending for refusal in refused)
            return
        for refusal in refused:
            pending = refusal.pending
            if not refusal.is_current:
                self._states.forget(pending.input.user)
                again.add(pending)
            elif isinstance(pending.input, Event) and await self._states.used(pending.input, gen):
                seen.append(pending)
            else:
                pending.finish(refusal.error)

    async def _is_current(self, epoch: str, version: int) -> bool:
        """Whether Redis still has this epoch and no newer catalog; what is newer is read, where not."""
        try:
            known = await self._redis.raw.hmget(self._space.keys.meta, ["epoch", "catalog", "generation"])
        except AWAY as error:
            raise unavailable(error) from error
        same_epoch = known[0] is not None and known[0].decode() == epoch
        if same_epoch and int(known[1] or 0) <= version:
            before, self._generation = self._generation, max(self._generation, int(known[2] or 0))
            return before == self._generation
        if not same_epoch:
            self._states.clear()
        await self._refresh(self._space)
        return False


async def _no_older(user: str, attributes: dict[str, str]) -> None:
    """A batcher by itself knows of no older runs."""


def _check_size(input_: Input, applied: Applied, size: int) -> None:
    """422 where one input is more than a call may be; whoever is to be forgotten is, however much that is."""
    boards = max(len(applied.changes), len(applied.dropped))
    if boards > INPUT_MOVES and not isinstance(input_, Erase):
        raise Unprocessable(f"this would change {boards:,} boards of the user at once, more than {INPUT_MOVES:,}")
    if size > INPUT_SIZE:
        raise Unprocessable(f"the user's state would be too large: at most {INPUT_SIZE // 1_000_000} MB")


def _put_back(batch: list[_Pending]) -> None:
    """Leave inputs, in order, to the next call."""
    for pending in reversed(batch):
        pending.queue.appendleft(pending)


def _deliver(finished: list[tuple[_Pending, Outcome]]) -> None:
    for pending, outcome in finished:
        pending.finish(outcome)


def _fail(batch: Iterable[_Pending], error: PodiumError) -> None:
    for pending in batch:
        pending.finish(error)
