"""A lane: one call to Redis at a time (docs/decisions/0003-tokens.md to 0005-stored-when-answered.md)."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import structlog

from podium.clock import stopwatch_s
from podium.game.apply import Applied, apply
from podium.game.errors import (
    Conflict,
    InputFailed,
    PodiumError,
    RequestError,
    StaleEpoch,
    Unavailable,
    Unprocessable,
    WritesRefused,
)
from podium.game.inputs import (
    Correction,
    CountHistory,
    Erase,
    Event,
    Input,
    MoveOlder,
    Recount,
    RemoveStanding,
    Tick,
)
from podium.game.state import UserState
from podium.intake import commit
from podium.intake.calls import Calls, Link
from podium.intake.pending import Outcome, Pending, fail
from podium.intake.postgres_waits import PostgresWaits
from podium.intake.queue import CALL_MOVES, Queue
from podium.storage.redis import wire
from podium.storage.redis.wire import CommitInput, Result

log = structlog.get_logger(__name__)

INPUT_MOVES = 10_000
"""Board moves of one input, and boards that its state lets go of: a call of a few tenths of a second."""
CALL_SIZE = 1_000_000
"""Characters of state, record and label of a call: it is copied several times, and ends in one log entry."""
INPUT_SIZE = 16_000_000
"""The same of one input; Redis itself takes at most 512 MB in an argument, and 1 GB in a log entry."""
WAITED_MOST_S = 0.1
"""The most that one input adds to the waits that jobs make way for: one that waited for Postgres says nothing
about them."""
TRIES = 50
"""Rounds that an input may lose to other processes before it is given up; each is one round trip."""

_READ_BEFORE = Correction | Erase | CountHistory | MoveOlder | Recount | RemoveStanding | Tick
"""Inputs that may name the token of the state that they were made from."""


class _Refusal(NamedTuple):
    """A refusal that the rules concluded, and what from: the state that the user's input ``behind`` in the same
    call would write; without one the held state, which was ``read`` for this call or may be old."""

    pending: Pending
    error: RequestError
    behind: Pending | None
    read: bool

    @property
    def is_current(self) -> bool:
        """True if Redis had that state during the call."""
        return self.read if self.behind is None else self.behind.accepted


class _Round:
    """The interim results of committing one batch."""

    __slots__ = ("again", "held", "refused", "seen", "sent")

    def __init__(self, batch: list[Pending]) -> None:
        self.held = {pending.input.user for pending in batch}
        """Users whose later inputs wait for the end of this round."""
        self.sent: list[tuple[Pending, Applied, str]] = []
        self.refused: list[_Refusal] = []
        self.seen: list[Pending] = []
        """Repetitions of an idempotency key."""
        self.again: set[Pending] = set()
        """Inputs that another round has to apply."""


class Lane:
    """Commits batches, one after the other, with call numbers of its own.

    A user's inputs are in one lane at a time (queue.py), so that what a lane promises of order and repetition
    holds for each user, however many lanes there are.
    """

    def __init__(self, link: Link, queue: Queue, waits: PostgresWaits, process: str) -> None:
        self._link = link
        self._queue = queue
        self._waits = waits
        self._calls = Calls(link, process, self._give_up)
        self._round = _Round([])
        self.inputs = 0
        """Inputs of the batch that is under way."""

    async def run(self, batch: list[Pending]) -> None:
        """Commit a batch that was taken from the queue. Never raises; each input ends in exactly one way, or is
        back in the queue."""
        link = self._link
        round_ = self._round = _Round(batch)
        # Kept whole, as _commit takes out of the batch what goes to Postgres or to another call.
        whole = list(batch)
        try:
            await self._commit(round_, batch)
        except PodiumError as error:
            if isinstance(error, WritesRefused):
                link.note_refusal(error, len(batch))
            _fail_open(batch, error)
        except Exception:
            log.exception("commit_failed", space=link.space.public_id, inputs=len(batch))
            _fail_open(batch, Unavailable("the event could not be processed"))
        # In the order in which they came, which is that of each user's events.
        again = [pending for pending in whole if pending in round_.again and not pending.done]
        for pending in again:
            pending.tries += 1
            if pending.tries > TRIES:
                pending.finish(InputFailed("too many changes to this user at once"))
        self._queue.release(round_.held, [pending for pending in again if not pending.done])

    async def _commit(self, round_: _Round, batch: list[Pending]) -> None:
        link = self._link
        space, states = link.space, link.states
        if space.epoch is None:
            await link.refresh()
            if space.epoch is None:
                raise Unavailable("Redis is being rebuilt")
        gen = link.generation
        try:
            fetched = await states.fetch(round_.held)
        except StaleEpoch:
            # A rebuild came between: nothing was applied yet, so all of it starts over under the new epoch.
            await link.renew()
            round_.again.update(batch)
            return
        for pending in batch:
            if pending.input.user in fetched.broken:
                pending.finish(InputFailed("the user's state can't be read"))
        batch[:] = self._waits.set_aside([one for one in batch if not one.done], fetched.cold, gen)

        index, epoch = space.index, space.epoch
        if epoch is None:  # heard of while the states were read
            raise Unavailable("Redis is being rebuilt")
        # The index is fixed for the whole call: its version goes with it, and Redis refuses an older one.
        prefix = self._calls.begin()
        entries: list[CommitInput] = []
        working: dict[str, tuple[str, UserState | None, Pending | None]] = {}
        sent = round_.sent
        moves = size = 0
        for at, pending in enumerate(batch):
            input_ = pending.input
            user = input_.user
            # A user's later input builds on the state that the earlier one would write. If Redis refuses the
            # earlier one, its token is never written, so the later one is refused as stale by itself.
            expected, state, behind = working.get(user) or (*states.known(user), None)
            if pending.seen:
                round_.seen.append(pending)
                continue
            try:
                if isinstance(input_, _READ_BEFORE) and input_.read_at not in ("", expected):
                    raise Conflict("the user's score is changing, try again")
                applied = apply(index, state, input_, gen)
                token = f"{prefix}.{len(entries)}"
                entry = commit.encode_input(index, input_, applied, state, expected, token)
                moves_more, size_more = len(applied.changes), entry.size
                if moves + moves_more > CALL_MOVES or size + size_more > CALL_SIZE:
                    # Only now is known what the input really moves; the queue could but estimate it.
                    if entries:
                        self._cut(round_, batch, at)
                        break
                    _check_size(input_, applied, size_more)
            except RequestError as error:
                # Not answered yet: it may have been concluded from an old state (_answer_refused).
                round_.refused.append(_Refusal(pending, error, behind, user in fetched.read))
                continue
            except Exception:  # a mistake of ours, which must not keep the others of the call
                log.exception("input_failed", space=space.public_id, user=user, input=type(input_).__name__)
                pending.finish(InputFailed("the event could not be processed"))
                continue
            moves, size = moves + moves_more, size + size_more
            entries.append(entry)
            sent.append((pending, applied, token))
            working[user] = (token, applied.state, pending)
        if entries:
            started_s = stopwatch_s()
            done = await self._calls.commit(epoch, index.version, gen, entries)
            if done is None:
                # Redis refused the call as a whole, so no token of it was written.
                round_.again.update(pending for pending in batch if not pending.done)
                return
            self._settle(round_, done[0], started_s)
        if round_.refused:
            await self._answer_refused(round_, (epoch, index.version), gen)
        if round_.seen:
            await self._answer_seen(round_.seen)

    def _cut(self, round_: _Round, batch: list[Pending], at: int) -> None:
        """Leave the inputs from a place on to the next call. Those whose users have none in this one need not wait
        for it."""
        rest = batch[at:]
        del batch[at:]
        here = {pending.input.user for pending in batch}
        free = [pending for pending in rest if pending.input.user not in here]
        users = {pending.input.user for pending in free}
        round_.held -= users
        self._queue.release(users, free)
        self._queue.put_back([pending for pending in rest if pending.input.user in here])

    def _give_up(self, error: Unavailable, sent_s: float) -> None:
        """Tell those who wait for a call that stays unanswered; all others too, if no other call was answered
        since."""
        link = self._link
        fail([sent[0] for sent in self._round.sent], error)
        self._queue.fail_behind(self._round.held, error)
        # Another lane's answer after this call was sent says that Redis is there, and only this reply is late.
        if link.answered_s < sent_s:
            link.away = True
            self._queue.fail_all(error)

    def _settle(self, round_: _Round, results: list[Result], started_s: float) -> None:
        """Take the results of the inputs that were sent."""
        link = self._link
        states = link.states
        now_s = stopwatch_s()
        waits_s: list[float] = []
        finished: list[tuple[Pending, Outcome]] = []
        singles, singles_s = link.waited
        events = 0
        for (pending, applied, token), result in zip(round_.sent, results, strict=True):
            user = pending.input.user
            status = result.status
            if status == wire.ACCEPTED:
                states.put(user, token, applied.state)
                pending.accepted = True
                waited_s = now_s - pending.started_s
                waits_s.append(waited_s)
                if pending.queue is self._queue.single:
                    singles, singles_s = singles + 1, singles_s + min(waited_s, WAITED_MOST_S)
                events += applied.record.event is not None
                places = commit.placings(applied.changes, result.ranks)
                outcome = Outcome(applied, applied.state, places, result.groups, False, token, waited_s)
                finished.append((pending, outcome))
            elif status == wire.STALE:
                if states.put_blob(user, *result.detail):
                    round_.again.add(pending)
                else:
                    pending.finish(InputFailed("the user's state can't be read"))
            elif status == wire.REPLAY:
                round_.seen.append(pending)
            elif status == wire.COLD:
                # Evicted since it was held: the next round finds it cold, and asks Postgres.
                states.forget(user)
                round_.again.add(pending)
            elif status == wire.NOT_FINITE:
                pending.finish(Unprocessable("the score is too large to be ranked"))
            elif status == wire.GROUP_SUM:
                text = "the score of the user's group would be too large to count exactly"
                pending.finish(Unprocessable(text))
            else:
                log.error("input_failed", space=link.space.public_id, user=user, error=result.detail[0])
                states.forget(user)
                pending.finish(InputFailed("the event could not be processed"))
        if finished:
            # In the loop's next turn: by then the next call is on its way, and Redis works meanwhile.
            asyncio.get_running_loop().call_soon(_deliver, finished)
        link.waited = singles, singles_s
        link.observer.committed(inputs=len(round_.sent), events=events, call_s=now_s - started_s, waits_s=waits_s)

    async def _answer_refused(self, round_: _Round, drawn_from: tuple[str, int], gen: int) -> None:
        """Answer refusals that were concluded from what Redis holds; have the others concluded anew.

        Another process may have written the user, or the catalog, since this one read it: a refusal that met an
        old state would meet it again at each attempt (docs/decisions/0020-fresh-refusals.md).
        """
        states = self._link.states
        if not await self._link.is_current(*drawn_from):
            round_.again.update(refusal.pending for refusal in round_.refused)
            return
        for refusal in round_.refused:
            pending = refusal.pending
            if not refusal.is_current:
                states.forget(pending.input.user)
                round_.again.add(pending)
            elif isinstance(pending.input, Event) and await states.used(pending.input, gen):
                round_.seen.append(pending)
            else:
                pending.finish(refusal.error)

    async def _answer_seen(self, seen: list[Pending]) -> None:
        """Answer repetitions with the state as it is now, whoever wrote it."""
        states = self._link.states
        users = {pending.input.user for pending in seen}
        # What is held may be older than the event that first used the key, in whichever process that was.
        for user in users:
            states.forget(user)
        await states.fetch(users)
        for pending in seen:
            state = states.known(pending.input.user)[1]
            waited_s = stopwatch_s() - pending.started_s
            pending.finish(Outcome(None, state, [], replayed=True, waited_s=waited_s))


def _fail_open(batch: list[Pending], error: PodiumError) -> None:
    """Refuse a batch, but for what is stored: that is told so in the loop's next turn."""
    fail([pending for pending in batch if not pending.accepted], error)


def _deliver(finished: list[tuple[Pending, Outcome]]) -> None:
    for pending, outcome in finished:
        pending.finish(outcome)


def _check_size(input_: Input, applied: Applied, size: int) -> None:
    """422 where one input is more than a call may be; whoever is to be forgotten is, however much that is."""
    boards = max(len(applied.changes), len(applied.dropped))
    if boards > INPUT_MOVES and not isinstance(input_, Erase):
        raise Unprocessable(f"this would change {boards:,} boards of the user at once, more than {INPUT_MOVES:,}")
    if size > INPUT_SIZE:
        raise Unprocessable(f"the user's state would be too large: at most {INPUT_SIZE // 1_000_000} MB")
