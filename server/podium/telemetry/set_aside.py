"""Work that jobs have set aside: an item, or a whole space, failed again and again, and the rest goes on.

Kept in Redis, a hash a space, so that every process can say so: ``/readyz``, ``/metrics`` and the console.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from redis.exceptions import ResponseError

from podium.spaces.space import Space
from podium.storage.redis.client import AWAY, RedisClient, unavailable

JOBS = ("eviction", "figures", "filling", "finals", "flush", "partitions", "rewards", "sweeps", "ticks")
"""The jobs of the worker: the values of the metric's label."""
SPACE = "space"
"""The kind of item that stands for all that a job does in a space."""
FORGOTTEN_MS = 15 * 60_000
"""An entry is out of date this long after its item should have been tried again: it is gone, or no worker runs."""
KEPT_S = 86_400
"""Seconds that Redis keeps entries which nobody writes any more."""
READ_MAX = 1_000
"""Entries of a space that are looked at."""


class SetAside(msgspec.Struct, frozen=True, array_like=True):
    """An item of a job that is left alone until ``until_ms``, unless its ``version`` changes before. ``kind`` is
    ``space``, or what ``name`` identifies; ``error`` is the name of the exception's type, without values."""

    job: str
    kind: str
    name: str
    error: str
    tries: int
    since_ms: int
    until_ms: int
    version: str = ""

    @property
    def field(self) -> str:
        """The entry's field in the hash."""
        return f"{self.job}:{self.kind}:{self.name}"


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(SetAside)


async def write(redis: RedisClient, space: Space, entry: SetAside) -> None:
    """Have every process know of an item that was set aside. ``Unavailable`` where Redis is away."""
    try:
        async with redis.raw.pipeline(transaction=False) as pipeline:
            pipeline.hset(space.keys.set_aside, entry.field, _encoder.encode(entry))
            pipeline.expire(space.keys.set_aside, KEPT_S)
            await pipeline.execute()
    except AWAY as error:
        raise unavailable(error) from error


async def forget(redis: RedisClient, space: Space, *fields: str) -> None:
    """Take items off the list. ``Unavailable`` where Redis is away."""
    try:
        await redis.raw.hdel(space.keys.set_aside, *fields)
    except AWAY as error:
        raise unavailable(error) from error


async def forget_user(redis: RedisClient, space: Space, user: str) -> None:
    """Take a user who is erased off the list. ``Unavailable`` where Redis is away."""
    await forget(redis, space, *(f"{job}:user:{user}" for job in JOBS))


async def read(redis: RedisClient, space: Space) -> list[SetAside]:
    """All entries of a space. ``Unavailable`` where Redis is away."""
    try:
        found = await redis.raw.hgetall(space.keys.set_aside)
    except AWAY as error:
        raise unavailable(error) from error
    return [_decoder.decode(one) for one in list(found.values())[:READ_MAX]]


async def read_all(redis: RedisClient, spaces: Iterable[Space], now_ms: int) -> dict[str, list[SetAside]]:
    """The entries that are not out of date, by the public id of each space that has any; none where Redis is
    away."""
    spaces = list(spaces)
    try:
        async with redis.raw.pipeline(transaction=False) as pipeline:
            for space in spaces:
                pipeline.hgetall(space.keys.set_aside)
            replies = await pipeline.execute()
    except (*AWAY, ResponseError):
        return {}
    found: dict[str, list[SetAside]] = {}
    for space, reply in zip(spaces, replies, strict=True):
        entries = [_decoder.decode(one) for one in list(reply.values())[:READ_MAX]]
        current = [one for one in entries if one.job in JOBS and now_ms < one.until_ms + FORGOTTEN_MS]
        if current:
            found[space.public_id] = current
    return found


def warnings(found: dict[str, list[SetAside]]) -> list[str]:
    """One sentence for each space and job. Users are counted, not named: anybody may read it."""
    sentences = []
    for public_id, entries in found.items():
        for job in sorted({entry.job for entry in entries}):
            users, named = 0, []
            for entry in entries:
                if entry.job != job:
                    continue
                if entry.kind == "user":
                    users += 1
                elif entry.kind != SPACE:
                    named.append(f"{entry.kind} {entry.name}")
            if users:
                named.append("1 user" if users == 1 else f"{users} users")
            what = ", ".join(sorted(named)[:5]) or "all of it"
            sentences.append(
                f"{job} of space {public_id} failed and will be tried again: {what} (see the worker's log)"
            )
    return sentences
