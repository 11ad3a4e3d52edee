"""Events of one space, from request to answer: the part that HTTP, batches and the socket share."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Protocol

import msgspec

from podium.clock import Clock
from podium.game.catalog import CatalogIndex
from podium.game.errors import PodiumError, RequestError, Unavailable
from podium.game.inputs import Correction, Erase, Event, Input, RemoveStanding
from podium.game.leaderboards.ranking import board_name, split_board
from podium.game.leaderboards.rules import ranked
from podium.game.records import GroupMove, LogRecord
from podium.game.state import UserState
from podium.intake.answers import EventResponse, event_response
from podium.intake.batcher import Batcher, Outcome
from podium.intake.commit import Placing
from podium.intake.idempotency import event_hash
from podium.intake.older_runs import OlderStandings
from podium.intake.user_limits import UserLimit
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool, acquired
from podium.storage.redis.client import RedisClient
from podium.storage.redis.wire import TIES


class Refusal(msgspec.Struct, frozen=True):
    """An item of a batch that was left out."""

    index: int
    error: str


class BatchResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """``accepted`` events are stored; ``replayed`` of them were before, by their idempotency keys, and count once.
    ``refused`` ones were left out, the rest of the batch was not."""

    accepted: int
    replayed: int = 0
    refused: list[Refusal] = []


class Reply(Protocol):
    """Hears what became of an event."""

    def stored(self, answer: EventResponse, rank_s: float) -> None:
        """It is stored, or was before; its rank was known ``rank_s`` seconds after it was posted."""

    def refused(self, error: Exception) -> None:
        """It was refused, or may be stored or not (``Unavailable``)."""


class Intake:
    """The endpoints' way into one space."""

    def __init__(
        self,
        space: Space,
        batcher: Batcher,
        redis: RedisClient,
        pool: Pool,
        clock: Clock,
        user_limit: UserLimit | None = None,
    ) -> None:
        self.space = space
        self.batcher = batcher
        self._redis = redis
        self._pool = pool
        self._user_limit = user_limit
        self.older = OlderStandings(space, batcher, redis, pool, clock)
        batcher.regroup = self.older.regroup
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run what an answer waits for."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def event(self, event: Event) -> EventResponse:
        """Store one checked event; the answer, or what refused it."""
        if self._user_limit is not None:
            self._user_limit.take((event,), event.received_ms)
        outcome = await self.batcher.submit(event)
        if outcome.replayed:
            return await self._replay(self.space.index, event, outcome)
        return self._answer(event, outcome)

    def post(self, event: Event, reply: Reply) -> None:
        """Store one checked event; ``reply`` hears how it ended. Raises what refuses it at once.

        As ``event``, without a task and a future for each.
        """
        if self._user_limit is not None:
            self._user_limit.take((event,), event.received_ms)
        self.batcher.post(event, _Posted(self, event, reply))

    def _answer(self, event: Event, outcome: Outcome) -> EventResponse:
        index = self.space.index
        return event_response(
            index,
            index.metric_by_key[event.metric],
            event.key,
            event.id,
            _state(outcome),
            outcome.placings,
            outcome.groups,
            replayed=False,
            record=outcome.applied.record if outcome.applied is not None else None,
        )

    async def events(self, events: list[Event]) -> BatchResponse:
        """Store checked events; how many are stored now, and which were left out.

        ``Unavailable`` if some may not be stored: send the batch again, with idempotency keys.
        """
        if self._user_limit is not None:
            self._user_limit.take(events, events[0].received_ms)
        return _counted(await self.batcher.submit_many(events))

    async def change(self, input_: Input) -> UserState:
        """Store a command; the state after it."""
        return _state(await self._commit(input_))

    async def commit_with_record(self, input_: Input) -> tuple[UserState, LogRecord]:
        """Store a command; the state after it, and what it concluded."""
        outcome = await self._commit(input_)
        if outcome.applied is None:
            raise AssertionError("a command is never a replay")
        return outcome.applied.state, outcome.applied.record

    async def _commit(self, input_: Input) -> Outcome:
        if isinstance(input_, Erase | RemoveStanding | Correction):
            return await self.older.commit(input_)
        return await self.batcher.submit(input_)

    async def _replay(self, index: CatalogIndex, event: Event, outcome: Outcome) -> EventResponse:
        state = _state(outcome)
        metric = index.metric_by_key[event.metric]
        boards = [b for b in ranked(state.boards) if self._counts(index, b, metric.id)]
        asked: list[str | int] = []
        for board in boards:
            tie_rule = index.leaderboard_by_number[split_board(board).leaderboard].tie_rule
            asked += (event.user, board, TIES[tie_rule])
        places = await self._redis.call("standing", self.space.keys.meta, *asked) if boards else []
        placings = [Placing(b, rank, rank, None) for b, (rank, *_) in zip(boards, places, strict=True)]
        event_id = await self._original(event, metric.number)
        groups = await self._groups(index, boards)
        return event_response(
            index, metric, event.key, event_id, state, placings, groups, replayed=True, at_ms=event.received_ms
        )

    async def _groups(self, index: CatalogIndex, boards: Iterable[str]) -> list[GroupMove]:
        """Return the present places of the groups whose boards a user stands on."""
        found = []
        for board in boards:
            number, run, group = split_board(board)
            leaderboard = index.leaderboard_by_number[number]
            if group is not None and leaderboard.group_by is not None:
                name = board_name(number, run)
                [[rank, score, members]] = await self._redis.call(
                    "groups", self.space.keys.meta, name, TIES[leaderboard.tie_rule], group
                )
                found.append(GroupMove(name, group, rank, rank, score.decode(), members))
        return found

    def _counts(self, index: CatalogIndex, board: str, metric_id: str) -> bool:
        leaderboard = index.leaderboard_by_number.get(split_board(board).leaderboard)
        return leaderboard is not None and leaderboard.source_id == metric_id

    async def _original(self, event: Event, metric: int) -> str:
        """The id of the event that used the key first: Redis knows it until a while after Postgres does."""
        hashed = event_hash(event.user, metric, event.key or "")
        found = await self._redis.call("original", self.space.keys.meta, hashed)
        if found:
            return str(found.decode())
        async with acquired(self._pool) as connection:
            found = await connection.fetchval(
                "SELECT event_id FROM idempotency_keys"
                " WHERE space_id = $1 AND user_id = $2 AND metric = $3 AND key = $4",
                self.space.id,
                event.user,
                metric,
                event.key,
            )
        if found is None:
            # Only one that another release committed, and that is not flushed yet.
            raise Unavailable("the first event with this idempotency key is on its way to Postgres")
        return str(found)


class _Posted:
    """Takes the outcome of one event, and answers it."""

    __slots__ = ("_event", "_intake", "_reply")

    def __init__(self, intake: Intake, event: Event, reply: Reply) -> None:
        self._intake = intake
        self._event = event
        self._reply = reply

    def put(self, _: int, result: Outcome | PodiumError) -> None:
        """See ``intake.batcher.Receiver``."""
        if not isinstance(result, Outcome):
            self._reply.refused(result)
        elif result.replayed:
            self._intake.start(self._replay(result))
        else:
            try:
                answer = self._intake._answer(self._event, result)
            except Exception as error:  # noqa: BLE001 - a mistake of ours: it is answered, and logged, like any other
                self._reply.refused(error)
            else:
                self._reply.stored(answer, result.waited_s)

    async def _replay(self, outcome: Outcome) -> None:
        try:
            answer = await self._intake._replay(self._intake.space.index, self._event, outcome)
        except Exception as error:  # noqa: BLE001 - as above
            self._reply.refused(error)
        else:
            self._reply.stored(answer, outcome.waited_s)


def _state(outcome: Outcome) -> UserState:
    if outcome.state is None:
        raise Unavailable("the user's state is on its way between the stores")
    return outcome.state


def _counted(results: list[Outcome | PodiumError]) -> BatchResponse:
    refused, replayed = [], 0
    for i, result in enumerate(results):
        if isinstance(result, RequestError):
            refused.append(Refusal(i, str(result)))
        elif isinstance(result, PodiumError):
            raise result
        elif result.replayed:
            replayed += 1
    return BatchResponse(len(results) - len(refused), replayed, refused)
