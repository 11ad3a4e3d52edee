"""Events committed as a web process would, without one: load, apply, one call of the Redis function."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec

from podium.clock import Clock
from podium.game.apply import apply
from podium.game.catalog import Catalog, CatalogIndex
from podium.game.ids import new_uuid7
from podium.game.inputs import ChangeUser, Event, Input
from podium.game.leaderboards.model import Leaderboard
from podium.game.metrics.model import Metric
from podium.game.records import LogItem
from podium.game.state import UserState, decode_state
from podium.game.users.rules import NOTHING, Upsert
from podium.intake import commit
from podium.spaces.space import Space
from podium.storage.redis import wire
from podium.storage.redis.client import RedisClient
from podium.storage.redis.keys import generation
from podium.storage.redis.wire import Result

METRIC = "words-written"
PERPETUAL, DAILY = 2, 3
"""Numbers of the catalog's leaderboards."""


def small_catalog(version: int = 1) -> Catalog:
    """One metric, a perpetual and a daily leaderboard by it."""
    board = {"metric_id": "m", "start": date(2026, 1, 1), "status": "active"}
    return Catalog(
        version=version,
        metrics=(Metric(id="m", number=1, key=METRIC, name="Words written"),),
        leaderboards=(
            Leaderboard(id="p", number=PERPETUAL, key="all-time", name="All time", **board),
            Leaderboard(id="d", number=DAILY, key="daily", name="Daily", run_unit="day", run_interval=1, **board),
        ),
    )


class Poster:
    """Commits inputs into one space."""

    def __init__(self, redis: RedisClient, space: Space, clock: Clock, *, process: str = "poster") -> None:
        space.index = CatalogIndex(small_catalog())
        self._redis = redis
        self._space = space
        self._clock = clock
        self._process = process
        self._numbers = itertools.count(1)
        self.generation = generation(clock())

    def event(self, user: str, value: float, *, key: str | None = None, name: str | None = None) -> Event:
        """An event of the catalog's metric, now."""
        upsert = NOTHING if name is None else Upsert(name=name)
        now_ms = self._clock()
        return Event(new_uuid7(now_ms), user, METRIC, value, now_ms, upsert, key=key)

    async def post(self, *inputs: Input) -> list[Result]:
        """Commit inputs of different users in one call; the result of each."""
        keys, index = self._space.keys, self._space.index
        epoch = self._space.epoch or ""
        loaded = await self._redis.call("load", keys.meta, epoch, *(i.user for i in inputs))
        assert loaded[0] == wire.DONE
        number = next(self._numbers)
        entries = []
        for at, (input_, (token, blob)) in enumerate(zip(inputs, loaded[1:], strict=True)):
            # A cold user is taken for a new one here, which the function refuses.
            known = token not in (b"", b"cold")
            state: UserState | None = decode_state(blob) if known else None
            applied = apply(index, state, input_, self.generation)
            expected = token.decode() if known else ""
            new = f"{self._process}-{number}-{at}"
            entries.append(commit.encode_input(index, input_, applied, state, expected, new))
        args = wire.commit_arguments(
            epoch, index.version, self._process, number, self.generation, 1_000_000_000, "", entries
        )
        reply = wire.decode_commit_reply(await self._redis.call("commit", keys.meta, *args))
        if reply.code == wire.GENERATION:
            self.generation = int(reply.what)
            return await self.post(*inputs)
        assert reply.code == wire.DONE, reply
        return wire.results(reply)

    async def post_all(self, events: Sequence[Event]) -> None:
        """Commit events one call each; all must be accepted."""
        for event in events:
            assert [result.status for result in await self.post(event)] == [wire.ACCEPTED]


async def confirm(redis: RedisClient, space: Space, epoch: str) -> None:
    """Have Redis take commits of an epoch that a test gave it by hand, as a comparison with Postgres does."""
    assert await redis.call("confirm", space.keys.meta, epoch, "", "0") == [wire.DONE, b""]


def rename(user: str, name: str, now_ms: int) -> ChangeUser:
    """A change of a display name."""
    return ChangeUser(user, Upsert(name=name), now_ms)


def unpacked(packed: bytes) -> list[Any]:
    """MessagePack values that stand one behind the other."""
    for many in range(16):  # the decoder takes one value: a list of so many
        try:
            values: list[Any] = msgspec.msgpack.decode(bytes([0x90 + many]) + packed)
        except msgspec.DecodeError:
            continue
        return values
    raise AssertionError(packed)


def encode_commit(*items: LogItem) -> bytes:
    """A commit of accepted items, as the function writes it into the log."""
    texts: list[str] = []
    results: list[int | str] = []
    groups: list[int | str] = []
    for at, item in enumerate(items, 1):
        texts += (item.user, item.token, item.state, item.record)
        results += (len(item.ranks) // 3, *item.ranks)
        for group in item.groups:
            groups += (at, *group)
    return msgspec.msgpack.encode((texts, results, groups))
