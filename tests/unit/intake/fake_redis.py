"""A connection that answers ``load`` and ``commit`` as the Redis function does, for one space, without ranks."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from podium.game.errors import Unavailable
from podium.storage.redis.wire import (
    ACCEPTED,
    CATALOG,
    COLD,
    DONE,
    EPOCH,
    FULL,
    GENERATION,
    INPUT,
    ITEM,
    REPLAY,
    STALE,
    Result,
)
from tests.posting import unpacked

GENERATION_NOW = 3
_pack = msgspec.msgpack.encode


class Sent(NamedTuple):
    """An input of a call as it came."""

    user: str
    expected: str
    token: str
    state: str
    key: str
    moves: int


class FakeRedis:
    """What Redis holds of the space, the calls that came, and what is to go wrong with the next ones."""

    def __init__(self) -> None:
        self.raw = self
        self.meta: dict[str, Any] = {"epoch": "e", "catalog": "1", "generation": GENERATION_NOW}
        self.users: dict[str, tuple[bytes, bytes]] = {}
        self.cold: set[str] = set()
        self.used: set[tuple[str, str]] = set()
        self.kept: dict[str, tuple[str, bytes]] = {}
        self.calls: list[list[Sent]] = []
        """The inputs of each ``commit`` that was done."""
        self.numbers: list[str] = []
        """Of each ``commit`` that came, done or not."""
        self.refused: dict[str, Result] = {}
        """By user the result instead of being accepted."""
        self.away = self.lost = self.logged = 0
        """Calls that don't arrive, replies that get lost, entries in the log."""

    async def call(self, function: str, meta: str, epoch: str, *args: Any) -> Any:
        if function == "load":
            if epoch != self.meta["epoch"]:
                return [EPOCH, self.meta["epoch"].encode()]
            return [DONE, *((b"cold", b"") if u in self.cold else self.users.get(u, (b"", b"")) for u in args)]
        assert function == "commit", function
        version, process, number, generation, log_limit, _, rules, items, *_ = args
        self.numbers.append(number)
        if self.away:
            self.away -= 1
            raise Unavailable("Redis is away")
        if self.kept.get(process, ("",))[0] == number:
            return self.kept[process][1]
        for code, what, is_ in (
            (EPOCH, epoch, self.meta["epoch"]),
            (CATALOG, version, self.meta["catalog"]),
            (GENERATION, generation or str(GENERATION_NOW), str(self.meta["generation"])),
        ):
            if what != is_:
                return _pack([code, int(is_) if code == GENERATION else is_])
        if self.logged >= int(log_limit):
            return _pack([FULL, ""])
        inputs = _inputs(rules, items)
        results: list[int | str] = []
        details: list[int | str] = []
        for at, one in enumerate(inputs, 1):
            result = self._store(one)
            if result.status == ACCEPTED:
                results += (one.moves, *result.ranks)
            else:
                results.append(-result.status)
                details += (at, *result.detail)
        reply = _pack([DONE, f"{len(self.calls) + 1}-0", details, results, []])
        self.calls.append(inputs)
        self.kept[process] = number, reply
        if self.lost:
            self.lost -= 1
            raise Unavailable("the reply is lost")
        return reply

    def _store(self, sent: Sent) -> Result:
        user, expected, token, blob, key, moves = sent
        if key and (user, key) in self.used:
            return Result(REPLAY)
        if user in self.cold:
            return Result(COLD)
        held, state = self.users.get(user, (b"", b""))
        if held.decode() != expected:
            return Result(STALE, detail=(held.decode(), state.decode()))
        if user in self.refused:
            return self.refused[user]
        self.users[user] = token.encode(), blob.encode()
        self.used.add((user, key))
        self.logged += 1
        return Result(ACCEPTED, [0, 1, ""] * moves)

    async def hmget(self, key: str, fields: list[str]) -> list[bytes]:
        return [str(self.meta[field]).encode() for field in fields]


def _inputs(rules: bytes, packed: bytes) -> list[Sent]:
    _, values, _ = unpacked(rules)
    [items] = unpacked(packed)
    found: list[Sent] = []
    for at in range(len(items) // ITEM):
        user, token, state, _ = items[ITEM * at : ITEM * (at + 1)]
        expected, _, _, key, *_, moves = values[INPUT * at : INPUT * (at + 1)]
        found.append(Sent(user, expected, token, state, key, moves))
    return found
