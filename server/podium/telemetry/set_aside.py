"""Items that jobs have set aside: an item, or a whole space, that failed several times, so that the rest goes on.

They are kept in Redis, one hash per space, and every web process reports them: ``/readyz``, ``/metrics`` and the
console.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from redis.exceptions import ResponseError

from podium.spaces.space import Space
from podium.storage.redis.client import AWAY, RedisClient, unavailable

JOBS = ("eviction", "figures", "filling", "finals", "flush", "partitions", "rewards", "sweeps", "ticks")
"""The jobs of the worker, which are the values of the metric's label."""
SPACE = "space"
"""The kind of an item that stands for all work of a job in a space."""
OUTDATED_MS = 15 * 60_000
"""An entry is ignored this long after its item was to be tried again: the item is gone, or no worker runs."""
KEPT_S = 86_400
"""Seconds for which Redis keeps the entries after the last write."""
READ_MAX = 1_000
"""Most entries of a space that are read."""


class SetAside(msgspec.Struct, frozen=True, array_like=True):
    """An item that a job does not try again before ``until_ms``, unless its ``version`` changes.

    ``kind`` is the kind of thing that ``name`` identifies, or ``space``. ``error`` is the exception's type without
    its message, which may hold personal data.
    """

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
    """Write an entry. Raises ``Unavailable`` where Redis is away."""
    try:
        async with redis.raw.pipeline(transaction=False) as pipeline:
            pipeline.hset(space.keys.set_aside, entry.field, _encoder.encode(entry))
            pipeline.expire(space.keys.set_aside, KEPT_S)
            await pipeline.execute()
    except AWAY as error:
        raise unavailable(error) from error


async def forget(redis: RedisClient, space: Space, *fields: str) -> None:
    """Delete entries by their fields. Raises ``Unavailable`` where Redis is away."""
    try:
        await redis.raw.hdel(space.keys.set_aside, *fields)
    except AWAY as error:
        raise unavailable(error) from error


async def forget_user(redis: RedisClient, space: Space, user: str) -> None:
    """Delete all entries about a user who is erased. Raises ``Unavailable`` where Redis is away."""
    await forget(redis, space, *(f"{job}:user:{user}" for job in JOBS))


async def read(redis: RedisClient, space: Space) -> list[SetAside]:
    """Return the entries of a space. Raises ``Unavailable`` where Redis is away."""
    try:
        found = await redis.raw.hgetall(space.keys.set_aside)
    except AWAY as error:
        raise unavailable(error) from error
    return [_decoder.decode(one) for one in list(found.values())[:READ_MAX]]


async def read_all(redis: RedisClient, spaces: Iterable[Space], now_ms: int) -> dict[str, list[SetAside]]:
    """Return the entries that are not outdated, by the space's public id; {} where Redis is away."""
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
        current = [one for one in entries if one.job in JOBS and now_ms < one.until_ms + OUTDATED_MS]
        if current:
            found[space.public_id] = current
    return found


def warnings(found: dict[str, list[SetAside]]) -> list[str]:
    """Return a sentence for each space and job. Users are counted, not named, as anybody may read it."""
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
            items = ", ".join(sorted(named)[:5]) or "all of it"
            sentences.append(
                f"{job} of space {public_id} failed and will be tried again: {items} (see the worker's log)"
            )
    return sentences
