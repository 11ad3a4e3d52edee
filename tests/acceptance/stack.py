"""A running Podium as its users see it: addresses, keys, clients, and a look into its stores."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import jwt
import redis.asyncio
from trophy import AsyncTrophyApi, CreateLeaderboardRequestItem, CreateMetricRequestItem
from trophy.environment import TrophyApiEnvironment

from podium.game.leaderboards.ranking import member_user
from tests.waiting import until

PROBES = 8
"""Connections opened at once, so that it is likely that every web process gets some."""


@dataclass(frozen=True)
class Board:
    """A metric with a perpetual and a daily leaderboard of its own; numbers are those in Redis and Postgres."""

    metric: str
    metric_id: str
    metric_number: int
    key: str
    number: int
    daily: str
    daily_number: int


@dataclass(frozen=True)
class Standing:
    """One user's place as a store has it; ``units`` are thousandths."""

    user: str
    units: int
    reached_ms: int


@dataclass(frozen=True)
class Stack:
    """Where a Podium runs."""

    url: str
    admin_key: str
    realtime_secret: str
    redis_url: str
    database_url: str
    processes: int = 1
    """Web processes behind ``url``."""

    @property
    def socket_url(self) -> str:
        return self.url.replace("http", "ws", 1) + "/connection/websocket"

    @property
    def trophy_environment(self) -> TrophyApiEnvironment:
        return TrophyApiEnvironment(api=f"{self.url}/v1", admin=f"{self.url}/admin/v1")

    @asynccontextmanager
    async def http(self, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
        """A client with the admin key."""
        options.setdefault("headers", {"X-API-KEY": self.admin_key})
        async with httpx.AsyncClient(base_url=self.url, timeout=30, **options) as client:
            yield client

    @asynccontextmanager
    async def trophy(self) -> AsyncIterator[AsyncTrophyApi]:
        """The published SDK, pointed here."""
        async with httpx.AsyncClient(timeout=30) as client:
            yield AsyncTrophyApi(api_key=self.admin_key, environment=self.trophy_environment, httpx_client=client)

    @asynccontextmanager
    async def database(self) -> AsyncIterator[asyncpg.Connection[Any]]:
        connection = await asyncpg.connect(self.database_url)
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def redis(self) -> AsyncIterator[redis.asyncio.Redis]:
        async with redis.asyncio.Redis.from_url(self.redis_url) as client:
            yield client

    async def space(self) -> str:
        """The public id of the only space."""
        async with self.database() as connection:
            found: str = await connection.fetchval("SELECT public_id FROM spaces ORDER BY id LIMIT 1")
            return found

    async def token(self, user: str, *, secret: str | None = None, valid_s: int = 600, **claims: Any) -> str:
        """A socket token as a customer's own server would mint it."""
        # With its fraction of a second: the SDKs refresh after the whole ones that are left, so it is their room.
        everything = {"sub": user, "aud": await self.space(), "exp": time.time() + valid_s, **claims}
        return jwt.encode(everything, secret or self.realtime_secret, algorithm="HS256")

    async def board(self, *, public: bool = False, start: str | None = None) -> Board:
        """A new metric with its leaderboards, made with the SDK and known to every web process."""
        name = secrets.token_hex(4)
        async with self.trophy() as trophy:
            made = await trophy.admin.metrics.create(
                request=[CreateMetricRequestItem(name="Words", key=f"words-{name}")]
            )
            assert made.issues == []
            [metric] = made.created
            common: dict[str, Any] = {
                "rank_by": "metric",
                "metric_id": metric.id,
                "status": "active",
                "start": start,
                "public": public,
            }
            boards = await trophy.admin.leaderboards.create(
                request=[
                    CreateLeaderboardRequestItem(name="All time", key=f"all-{name}", **common),
                    CreateLeaderboardRequestItem(
                        name="Daily", key=f"daily-{name}", run_unit="day", run_interval=1, **common
                    ),
                ]
            )
            assert boards.issues == []
        await self.known()
        async with self.database() as connection:
            numbers = dict(await connection.fetch("SELECT key, number FROM catalog_items"))
        return Board(
            metric.key,
            metric.id,
            numbers[metric.key],
            f"all-{name}",
            numbers[f"all-{name}"],
            f"daily-{name}",
            numbers[f"daily-{name}"],
        )

    async def known(self) -> None:
        """Until every web process has the catalog of now.

        Which one takes a connection is chance, and one of them may take all. So each must have committed
        something: Redis refuses that to one with an older catalog, which then reads the new one. A user's token
        begins with the process and the lane that committed the user last.
        """
        seen: set[bytes] = set()
        space = await self.space()
        users = [f"probe{number}" for number in range(PROBES)]
        async with self.redis() as redis_client:

            async def everybody() -> bool:
                async with self.http() as client:
                    renamed = await asyncio.gather(*(_renamed(client, user) for user in users))
                for user in itertools.compress(users, renamed):
                    token = await redis_client.hget(f"{{{space}}}:u:{user}", "t")
                    seen.add(token.split(b".")[0].rpartition(b"-")[0])
                return len(seen) == self.processes

            await until(everybody)

    async def flushed(self, metric_number: int, events: int) -> None:
        """Until Postgres holds that many events of the metric."""
        async with self.database() as connection:

            async def all_there() -> bool:
                found = await connection.fetchval("SELECT count(*) FROM events WHERE metric = $1", metric_number)
                return bool(found >= events)

            await until(all_there)

    async def redis_board(self, number: int, run: str = "") -> list[Standing]:
        """A board as Redis has it, best first."""
        async with self.redis() as client:
            rows = await client.zrange(f"{{{await self.space()}}}:b:{number}:{run}", 0, -1, withscores=True)
        return [
            Standing(member_user(member.decode()), -int(score), int(member[:12], 16)) for member, score in rows
        ]

    async def postgres_board(self, number: int, run: str = "") -> list[Standing]:
        """A board as Postgres has it, best first."""
        async with self.database() as connection:
            rows = await connection.fetch(
                "SELECT user_id, value, reached_ms FROM standings WHERE leaderboard = $1 AND run = $2"
                " ORDER BY value DESC, reached_ms, user_id",
                number,
                run,
            )
        return [Standing(*row) for row in rows]


async def _renamed(client: httpx.AsyncClient, user: str) -> bool:
    """Not where the process has only just begun to find its stores again."""
    answer = await client.put(f"/v1/users/{user}", json={"name": secrets.token_hex(4)})
    assert answer.status_code in (200, 503), answer.text
    return answer.status_code == 200


async def post(
    client: httpx.AsyncClient,
    metric: str,
    user: str | Mapping[str, Any],
    value: float,
    *,
    key: str = "",
    **more: Any,
) -> httpx.Response:
    """Post one event."""
    body = {"user": {"id": user} if isinstance(user, str) else user, "value": value, **more}
    headers = {"Idempotency-Key": key} if key else {}
    return await client.post(f"/v1/metrics/{metric}/event", json=body, headers=headers)


async def together(
    stack: Stack, posters: int, work: Iterable[Mapping[str, Any]], metric: str
) -> list[dict[str, Any]]:
    """Post every event of ``work`` from that many posters at once, each with its own connection; the answers."""
    items = list(work)
    left = iter(range(len(items)))
    answers: list[dict[str, Any]] = [{} for _ in items]

    async def poster() -> None:
        async with stack.http() as client:
            for i in left:
                answer = await post(client, metric, **items[i])
                assert answer.status_code == 201, answer.text
                answers[i] = answer.json()

    await asyncio.gather(*(poster() for _ in range(posters)))
    return answers
