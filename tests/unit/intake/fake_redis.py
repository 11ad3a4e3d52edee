"""A connection that answers ``load`` and ``commit`` as the Redis function does, for one space, without ranks."""

from __future__ import annotations

from typing import Any

import msgspec

from podium.game.errors import Unavailable
from podium.intake.commit import ACCEPTED, CATALOG, COLD, DONE, EPOCH, FULL, GENERATION, REPLAY, STALE

GENERATION_NOW = 3
_pack, _unpack = msgspec.msgpack.encode, msgspec.msgpack.decode


class FakeRedis:
    """What Redis holds of the space, the calls that came, and what is to go wrong with the next ones."""

    def __init__(self) -> None:
        self.raw = self
        self.meta: dict[str, Any] = {"epoch": "e", "catalog": "1", "generation": GENERATION_NOW}
        self.users: dict[str, tuple[bytes, bytes]] = {}
        self.cold: set[str] = set()
        self.used: set[tuple[str, str]] = set()
        self.kept: dict[str, tuple[str, bytes]] = {}
        self.calls: list[list[list[Any]]] = []
        """The entries of each ``commit`` that was done."""
        self.numbers: list[str] = []
        """Of each ``commit`` that came, done or not."""
        self.refused: dict[str, list[Any]] = {}
        """By user the reply instead of being accepted."""
        self.away = self.lost = self.logged = 0
        """Calls that don't arrive, replies that get lost, entries in the log."""

    async def call(self, function: str, meta: str, epoch: str, *args: Any) -> Any:
        if function == "load":
            if epoch != self.meta["epoch"]:
                return [EPOCH, self.meta["epoch"].encode()]
            return [DONE, *((b"cold", b"") if u in self.cold else self.users.get(u, (b"", b"")) for u in args)]
        assert function == "commit", function
        version, process, number, generation, log_limit, packed, *_ = args
        self.numbers.append(number)
        if self.away:
            self.away -= 1
            raise Unavailable("Redis is away")
        if self.kept.get(process, ("",))[0] == number:
            return self.kept[process][1]
        for code, what, is_ in (
            (EPOCH, epoch, self.meta["epoch"]),
            (CATALOG, version, self.meta["catalog"]),
            (GENERATION, int(generation), self.meta["generation"]),
        ):
            if what != is_:
                return _pack([code, is_])
        if self.logged >= int(log_limit):
            return _pack([FULL, ""])
        entries = _unpack(packed)
        reply = _pack([DONE, f"{len(self.calls) + 1}-0", [self._store(entry) for entry in entries]])
        self.calls.append(entries)
        self.kept[process] = number, reply
        if self.lost:
            self.lost -= 1
            raise Unavailable("the reply is lost")
        return reply

    def _store(self, entry: list[Any]) -> list[Any]:
        user, expected, token, blob, _, key = entry[:6]
        if key and (user, key) in self.used:
            return [REPLAY]
        if user in self.cold:
            return [COLD]
        held, state = self.users.get(user, (b"", b""))
        if held.decode() != expected:
            return [STALE, held.decode(), state.decode()]
        if user in self.refused:
            return self.refused[user]
        self.users[user] = token.encode(), blob.encode()
        self.used.add((user, key))
        self.logged += 1
        return [ACCEPTED, [0, 1, ""] * len(entry[8]), []]

    async def hmget(self, key: str, fields: list[str]) -> list[bytes]:
        return [str(self.meta[field]).encode() for field in fields]
