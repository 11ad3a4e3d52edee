"""The states that a process holds: a bounded cache in front of Redis, Redis in front of Postgres."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple

import msgspec
import structlog
from redis.exceptions import ResponseError

from podium.game.errors import PodiumError, StaleEpoch
from podium.game.inputs import Event, Input
from podium.game.state import UserState, decode_state
from podium.intake.idempotency import key_hash
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool, acquired
from podium.storage.redis.client import AWAY, RedisClient, unavailable
from podium.storage.redis.wire import DONE

log = structlog.get_logger(__name__)

LOAD_USERS = 32
"""Users of one call that reads ahead: Redis serves nobody else meanwhile."""
WANTED_MAX = 1_000
"""Users who wait to be read ahead; more are read when their turn comes."""

_NEW: tuple[str, UserState | None] = ("", None)


class Fetched(NamedTuple):
    """Users who were read just now, and those of them who are not held: cold ones, and those whose states are
    broken, which nobody can read."""

    read: set[str]
    cold: set[str]
    broken: set[str]


Thaw = Callable[[Space, list[str]], Awaitable[None]]
"""Puts the states of cold users back into Redis; ``Unavailable`` where Postgres is away."""


class States:
    """User states by id, each with the token it was read or written under. Never trusted without the token:
    a commit that was computed from an old one comes back with the new one (docs/decisions/0003-tokens.md)."""

    def __init__(self, space: Space, redis: RedisClient, pool: Pool, thaw: Thaw, *, most: int) -> None:
        """``most`` states are kept between calls, the longest unused go first."""
        self._space = space
        self._redis = redis
        self._pool = pool
        self._thaw = thaw
        self._most = most
        self._held: OrderedDict[str, tuple[str, UserState | None]] = OrderedDict()
        self._wanted: dict[str, None] = {}
        self._loading: frozenset[str] = frozenset()
        """Users whom the prefetch has asked for, until ``_loaded``."""
        self._loaded = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()
        """The prefetch, where one is under way."""

    def known(self, user: str) -> tuple[str, UserState | None]:
        """Token and state as last heard; of a user who is new, or not held, ``("", None)``."""
        return self._held.get(user, _NEW)

    def holds(self, user: str) -> bool:
        """Return whether a user is held, be it as one that does not exist."""
        return user in self._held

    def put(self, user: str, token: str, state: UserState | None) -> None:
        """Hold what was just written or read."""
        self._held[user] = (token, state)
        self._held.move_to_end(user)

    def put_blob(self, user: str, token: str, blob: str | bytes) -> bool:
        """Hold what Redis answered; an empty token means that it has no such user. False where it can't be read:
        then nothing is held."""
        try:
            state = decode_state(blob) if token else None
        except (msgspec.MsgspecError, ValueError) as error:
            log.error("state_unreadable", space=self._space.public_id, user=user, token=token, error=str(error))
            self.forget(user)
            return False
        self.put(user, token, state)
        return True

    def forget(self, user: str) -> None:
        """Read this user anew next time."""
        self._held.pop(user, None)

    def clear(self) -> None:
        """Forget everything: Redis was replaced."""
        self._held.clear()

    def want(self, users: Iterable[str]) -> None:
        """Begin to read the states of users, in calls of ``LOAD_USERS``, one at a time: ``fetch`` finds them held.

        Nobody waits for it and it promises nothing: whom it did not bring, ``fetch`` reads.
        """
        held, wanted, loading = self._held, self._wanted, self._loading
        for user in users:
            if user not in held and user not in loading and len(wanted) < WANTED_MAX:
                wanted[user] = None
        if wanted and not self.tasks and self._space.epoch is not None:
            task = asyncio.create_task(self._prefetch())
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _prefetch(self) -> None:
        while self._wanted:
            users = list(self._wanted)[:LOAD_USERS]
            for user in users:
                del self._wanted[user]
            self._loading, self._loaded = frozenset(users), asyncio.Event()
            try:
                await self._load(users, set(), set(), only_new=True)
            except (PodiumError, StaleEpoch):
                self._wanted.clear()  # fetch() meets the same, and says so
            finally:
                self._loading = frozenset()
                self._loaded.set()

    async def fetch(self, users: set[str]) -> Fetched:
        """Hold all of ``users`` but the cold ones. ``StaleEpoch`` where Redis has another epoch than the space."""
        held = self._held
        while len(held) > self._most + len(users):
            held.popitem(last=False)
        missing, coming = [], []
        for user in users:
            if user in held:
                held.move_to_end(user)
            elif user in self._loading:
                coming.append(user)
            else:
                missing.append(user)
                self._wanted.pop(user, None)
        loaded = self._loaded
        cold: set[str] = set()
        broken: set[str] = set()
        if missing:
            await self._load(missing, cold, broken)
        if coming:
            await loaded.wait()
            # All but cold ones, as a rule: that they are is said by a read of this call only.
            if coming := [user for user in coming if user not in held]:
                await self._load(coming, cold, broken)
        return Fetched({*missing, *coming}, cold, broken)

    async def thaw(self, users: list[str]) -> None:
        """Have the states of cold users put back into Redis; ``Unavailable`` where Postgres is away."""
        await self._thaw(self._space, users)

    async def _load(self, users: list[str], cold: set[str], broken: set[str], *, only_new: bool = False) -> None:
        """Read users; ``only_new``: whoever is held by then stays so, as a commit may have been quicker."""
        epoch = self._space.epoch
        try:
            reply: list[Any] = await self._redis.call("load", self._space.keys.meta, epoch or "", *users)
        except ResponseError as error:
            # A key of one of them is not what it should be: each alone, and only that one fails.
            if len(users) > 1:
                for user in users:
                    await self._load([user], cold, broken, only_new=only_new)
                return
            log.error("state_unreadable", space=self._space.public_id, user=users[0], error=str(error))
            broken.add(users[0])
            return
        if reply[0] != DONE:
            # Not "no such user": nobody knows, until it is read under the epoch that Redis has now.
            self.clear()
            raise StaleEpoch
        for user, (token, blob) in zip(users, reply[1:], strict=True):
            if token == b"cold":
                cold.add(user)
            elif only_new and user in self._held:
                continue
            elif not self.put_blob(user, token.decode(), blob):
                broken.add(user)

    async def used(self, event: Event, generation: int) -> bool:
        """Return whether Redis knows the event's idempotency key; ``generation`` may be the one before the
        present.

        Raises:
            StaleEpoch: Redis has another epoch than the space.
        """
        metric = self._space.index.metric_by_key.get(event.metric)
        if event.key is None or metric is None:
            return False
        hashed = key_hash(metric.number, event.key)
        keys = self._space.keys
        try:
            async with self._redis.raw.pipeline(transaction=True) as pipeline:
                pipeline.hget(keys.meta, "epoch")
                for number in (generation + 1, generation, generation - 1):
                    pipeline.sismember(keys.idempotency(number, event.user), hashed)
                epoch, *found = await pipeline.execute()
        except AWAY as error:
            raise unavailable(error) from error
        if epoch is None or epoch.decode() != self._space.epoch:
            raise StaleEpoch
        return any(found)

    def may_be_old(self, input_: Input, generation: int) -> bool:
        """Return whether only Postgres may remember the input's idempotency key: the user used keys before
        those that Redis holds."""
        if not isinstance(input_, Event) or input_.key is None:
            return False
        state = self.known(input_.user)[1]
        return state is not None and 0 <= state.keyed_since < generation - 1

    async def used_long_ago(self, inputs: Iterable[Input]) -> set[tuple[str, str, str | None]]:
        """``(user, metric key, idempotency key)`` of the keyed events that Postgres remembers, in one look-up."""
        by_key = self._space.index.metric_by_key
        asked: dict[tuple[str, int, str], tuple[str, str, str | None]] = {}
        for input_ in inputs:
            if isinstance(input_, Event) and input_.key is not None and (metric := by_key.get(input_.metric)):
                asked[(input_.user, metric.number, input_.key)] = (input_.user, input_.metric, input_.key)
        if not asked:
            return set()
        users, metrics, keys = zip(*asked, strict=True)
        async with acquired(self._pool) as connection:
            rows = await connection.fetch(
                """
                SELECT k.user_id, k.metric, k.key
                FROM unnest($2::text[], $3::int[], $4::text[]) AS asked (user_id, metric, key)
                JOIN idempotency_keys k ON k.space_id = $1 AND k.user_id = asked.user_id
                    AND k.metric = asked.metric AND k.key = asked.key
                """,
                self._space.id,
                list(users),
                list(metrics),
                list(keys),
            )
        return {asked[(row["user_id"], row["metric"], row["key"])] for row in rows}
