"""Health checks of the parts that this server needs, for ``/readyz`` and the console."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal, NamedTuple

import asyncpg
import msgspec
from redis.exceptions import NoPermissionError, ResponseError

from podium.game.errors import Unavailable
from podium.game.periods import iso
from podium.spaces.continuity import WENT_BACK
from podium.spaces.space import Space
from podium.storage.postgres import schema
from podium.storage.postgres.pool import AWAY as POSTGRES_AWAY
from podium.storage.postgres.pool import Pool
from podium.storage.postgres.pool import unavailable as postgres_unavailable
from podium.storage.redis.client import AWAY as REDIS_AWAY
from podium.storage.redis.client import RedisClient
from podium.storage.redis.client import unavailable as redis_unavailable
from podium.telemetry import heartbeats, set_aside
from podium.telemetry.clock_check import wrong_clocks
from podium.telemetry.servers import memory_of, memory_warning, postgres_problem, redis_problem

LOOK_S = 2.0
"""A store that takes longer than this to answer is reported as missing."""
LAG_WARNED_S = 30.0
"""Flush lag from which on there is a warning."""
REJECTED_MAX = 10_000
"""Most rejected items that are counted; a larger number would not tell more."""


class Part(msgspec.Struct, frozen=True):
    """The state of one part; ``detail`` says what is missing."""

    status: Literal["ok", "missing"]
    detail: str = ""


class Readiness(msgspec.Struct, frozen=True):
    """``ready`` is True where events are accepted.

    ``warnings`` name risks for events that were answered with 201.
    """

    ready: bool
    parts: dict[str, Part]
    warnings: tuple[str, ...] = ()


class Rebuilds(NamedTuple):
    """The rebuilds of a space for one reason (spaces/continuity.py).

    The last three fields are about the newest one: its instant (ms), whether that is less than a day ago, and the
    number of log entries that were lost because they did not continue what Postgres has.
    """

    space_id: int
    reason: str
    times: int
    last_ms: int
    recent: bool
    lost_entries: int


class LogState(NamedTuple):
    """The log of a space in Redis: entries and bytes not flushed, and the age (s) of the oldest of them."""

    entries: int
    bytes: int
    lag_s: float


async def readiness(
    redis: RedisClient, pool: Pool, spaces: list[Space], now_ms: int, *, has_time: bool = True
) -> Readiness:
    """Check every part, each for at most ``LOOK_S``. ``has_time`` tells whether this process's clock agrees with
    Redis'.

    Events are accepted while Postgres is away, so that is only a warning. An older schema is not: what is accepted
    could not be written.
    """
    parts: dict[str, Part] = {}
    warnings: list[str] = []
    redis_part, (postgres, schema_part, ahead), rejected, rebuilt = await asyncio.gather(
        _redis(redis, warnings), _postgres(pool), rejected_items(pool), rebuilds(pool)
    )
    parts["redis"], parts["postgres"], parts["schema"] = redis_part, postgres, schema_part
    if postgres.status == "missing":
        warnings.append(
            f"{postgres.detail}: events are accepted, except for users whose state is not in Redis; reads that"
            " need Postgres are answered with 503"
        )
    if ahead:
        warnings.append(ahead)
    missing = [space.public_id for space in spaces if space.epoch is None]
    if not spaces:
        parts["spaces"] = Part("missing", "no space is known: run `podium migrate`")
    elif missing:
        parts["spaces"] = Part("missing", f"being rebuilt (is a worker running?): {', '.join(missing[:5])}")
    else:
        parts["spaces"] = Part("ok")
    if redis_part.status == "ok":
        warnings += set_aside.warnings(await set_aside.read_all(redis, spaces, now_ms))
        warnings += await wrong_clocks(redis)
        if await heartbeats.ages_s(redis) == {}:
            warnings.append("no worker is at work: nothing is written to Postgres, and no ranking becomes final")
        warnings += [
            f"the oldest event of space {public_id} that is not in Postgres was accepted {state.lag_s:.0f} s ago"
            for public_id, state in (await log_states(redis, spaces, now_ms)).items()
            if state.lag_s >= LAG_WARNED_S
        ]
    warnings += [
        f"{rejected[space.id]} accepted items of space {space.public_id} can't be written to Postgres: see"
        " `podium rejected list`"
        for space in spaces
        if rejected and space.id in rejected
    ]
    names = {space.id: space.public_id for space in spaces}
    warnings += [
        f"Redis went back in time ({done.reason}): space {names[done.space_id]} was rebuilt from Postgres, over at"
        f" {iso(done.last_ms)}. Events that had not been flushed are lost, of them {done.lost_entries} log entries"
        " that Redis still held"
        for done in rebuilt or ()
        if done.recent and done.reason in WENT_BACK and done.space_id in names
    ]
    if has_time:
        parts["clock"] = Part("ok")
    else:
        parts["clock"] = Part("missing", "this process's clock has not been found to agree with Redis' clock")
    ready = all(parts[name].status == "ok" for name in ("redis", "schema", "spaces", "clock"))
    return Readiness(ready, parts, tuple(warnings))


async def _redis(redis: RedisClient, warnings: list[str]) -> Part:
    """Check all that a commit needs of Redis (login, version, functions, writes), then its settings and memory."""
    hidden = ""
    try:
        async with asyncio.timeout(LOOK_S):
            try:
                info = await redis.raw.info()
            except ResponseError as error:
                if isinstance(error, REDIS_AWAY) and not isinstance(error, NoPermissionError):
                    raise
                info, hidden = {}, str(error)
            if problem := redis_problem(info):
                return Part("missing", problem)
            # This key does not exist, but the call needs the same functions and rights as a commit.
            await redis.call("load", "{podium}:ready", "", "")
            try:
                config = await redis.raw.config_get("append*", "maxmemory-policy")
            except ResponseError as error:
                if isinstance(error, REDIS_AWAY) and not isinstance(error, NoPermissionError):
                    raise
                config, hidden = {}, str(error)
    except REDIS_AWAY as error:
        return Part("missing", redis_unavailable(error).message)
    except Unavailable as error:
        return Part("missing", error.message)
    except ResponseError as error:
        return Part("missing", f"Redis refuses a command that Podium needs: {error}")
    if hidden:
        # Hosted Redis often hides CONFIG, and an account may lack the right to it.
        warnings.append(f"Redis does not show the settings that docs/operations.md asks for: {hidden}")
    if warning := memory_warning(memory_of(info)):
        warnings.append(warning)
    if config and (config.get("appendonly") != "yes" or config.get("appendfsync") != "always"):
        warnings.append(
            "Redis runs without `appendonly yes` and `appendfsync always`: a crash of Redis can lose events"
            " that were answered with 201"
        )
    if config and config.get("maxmemory-policy") != "noeviction":
        warnings.append("Redis must run with `maxmemory-policy noeviction`, or it will drop states and boards")
    return Part("ok")


async def _postgres(pool: Pool) -> tuple[Part, Part, str]:
    """Check Postgres and its schema; return both parts and a warning, "" for none."""
    try:
        async with pool.acquire(timeout=LOOK_S) as connection:
            try:
                async with asyncio.timeout(LOOK_S):
                    number = int(await connection.fetchval("SHOW server_version_num"))
                    has = await schema.found(connection)
            except TimeoutError:
                # Releasing it would wait until Postgres confirms the cancellation of the query.
                connection.terminate()
                raise
    except POSTGRES_AWAY as error:
        return Part("missing", f"{postgres_unavailable(error).message} ({_reason(error)})"), Part("ok"), ""
    if problem := postgres_problem(number):
        return Part("missing", problem), Part("ok"), ""
    if problem := schema.behind(has):
        return Part("ok"), Part("missing", problem), ""
    return Part("ok"), Part("ok"), schema.ahead(has)


def _reason(error: BaseException) -> str:
    """Return the driver's message, which names users and databases but never passwords."""
    return str(error) or type(error).__name__


async def rebuilds(pool: Pool) -> list[Rebuilds] | None:
    """Return the rebuilds by space and reason, None where Postgres is away."""
    query = (
        "SELECT space_id, reason, count(*), (extract(epoch FROM max(at)) * 1000)::bigint,"
        " max(at) > now() - interval '1 day', (array_agg(lost_entries ORDER BY id DESC))[1]"
        " FROM rebuilds GROUP BY space_id, reason ORDER BY space_id, reason"
    )
    try:
        async with asyncio.timeout(LOOK_S), pool.acquire(timeout=LOOK_S) as connection:
            return [Rebuilds(*row) for row in await connection.fetch(query, timeout=LOOK_S)]
    except (*POSTGRES_AWAY, asyncpg.PostgresError):
        return None


async def rejected_items(pool: Pool) -> dict[int, int] | None:
    """Return the number of rejected items by the space's id, None where Postgres is away.

    At most ``REJECTED_MAX`` are counted in all.
    """
    query = (
        "SELECT space_id, count(*) FROM (SELECT space_id FROM rejected_entries LIMIT $1) AS few GROUP BY space_id"
    )
    try:
        async with asyncio.timeout(LOOK_S), pool.acquire(timeout=LOOK_S) as connection:
            return dict(tuple(row) for row in await connection.fetch(query, REJECTED_MAX, timeout=LOOK_S))
    except (*POSTGRES_AWAY, asyncpg.PostgresError):
        return None


async def log_state(redis: RedisClient, space: Space, now_ms: int) -> LogState | None:
    """Return the state of a space's log, None while Redis is away or has no such space."""
    return (await log_states(redis, [space], now_ms)).get(space.public_id)


async def log_states(redis: RedisClient, spaces: Sequence[Space], now_ms: int) -> dict[str, LogState]:
    """Return the state of each space's log by public id, {} while Redis is away."""
    try:
        async with redis.raw.pipeline(transaction=False) as pipe:
            for space in spaces:
                pipe.xlen(space.keys.log)
                pipe.hmget(space.keys.meta, ["logged", "trimmed"])
                pipe.xrange(space.keys.log, count=2)
            replies = await pipe.execute(raise_on_error=False)
    except (*REDIS_AWAY, ResponseError):
        return {}
    found = {}
    for at, space in enumerate(spaces):
        length, numbers, first = replies[3 * at : 3 * at + 3]
        if any(isinstance(reply, Exception) for reply in (length, numbers, first)) or not length:
            continue
        logged, trimmed = numbers
        # The first entry is the position itself: it stays when it has been flushed
        # (docs/decisions/0006-exactly-once.md).
        lag_s = max(0.0, (now_ms - int(first[1][0].split(b"-")[0])) / 1000) if len(first) > 1 else 0.0
        found[space.public_id] = LogState(length - 1, int(logged or 0) - int(trimmed or 0), lag_s)
    return found
