"""One side of a comparison: a filled stack that serves until its standard input ends.

``python side.py podium|twenty USERS``, with the tree to be measured first on ``PYTHONPATH``: only modules of that
tree are imported, so each side fills its own stores in its own way. Prints one line of JSON: port, key, Redis URL
and process ids by name. Then it answers each line of its input with one of JSON: ``game`` adds the rest of the
demo's catalog, ``verify`` compares Redis with Postgres.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import redis.asyncio as aioredis

from loadtest import bench, probes, stack, verify
from loadtest.generators import HOST, user_id
from loadtest.seed import seed

setup = sys.modules[stack.make_catalog.__module__]
"""The tree's own, whatever its package is called."""
FILL = 20_000
"""Members of one ZADD."""
QUIET_S = 5.0
"""Reconciliation is over once nothing was committed for so long."""
RECONCILED_S = 1_800.0


async def podium(folder: Any, users: int) -> None:
    """Serve the tree's own Podium, every user on the demo's two boards."""
    async with stack.open_stack(folder, 1) as opened:
        await seed(opened.services, opened.services.directory.production, users)
        await probes.settle_redis(opened.services.redis.raw)
        async with opened.serving():

            async def obey(what: str) -> dict[str, Any]:
                if what == "verify":
                    return {"wrong": await _differences(opened)}
                await _add_game(opened)
                return {}

            await _serve(opened.port, opened.key, opened.services.settings.redis_url, opened.pids, obey)


async def _add_game(opened: stack.Stack) -> None:
    """Add streak, points, achievements and three more boards; wait until all users are reconciled with them."""
    services = opened.services
    await setup.make_game(opened.url, opened.key, datetime.now(UTC).date())
    await services.directory.refresh()
    commits, quiet_since_s = -1, time.monotonic()
    async with asyncio.timeout(RECONCILED_S):
        while time.monotonic() < quiet_since_s + QUIET_S:
            await asyncio.sleep(1)
            found = await services.redis.raw.info("commandstats")
            if (now := found.get("cmdstat_xadd", {}).get("calls", 0)) != commits:
                commits, quiet_since_s = now, time.monotonic()
    await probes.until_flushed(services, services.directory.production)


async def _differences(opened: stack.Stack) -> list[str]:
    """Return how Redis and Postgres differ, once all is flushed."""
    services = opened.services
    await services.directory.refresh()
    await probes.until_flushed(services, services.directory.production)
    return await verify.differences(services, services.directory.production)


async def twenty(folder: Any, users: int) -> None:
    """Serve the twenty lines on a Valkey of the same settings."""
    async with AsyncExitStack() as exits:
        valkey = exits.enter_context(stack.start_valkey(folder))
        client = aioredis.Redis.from_url(valkey.url)
        for board in ("all-time", "daily"):
            for first in range(0, users, FILL):
                scores = {user_id(i): (i * 7919) % 100_000 for i in range(first, min(first + FILL, users))}
                await client.zadd(board, scores)
        await probes.settle_redis(client)
        port = stack.free_port()
        environment = {**os.environ, "TWENTY_LINES_REDIS": valkey.url}
        script = ["-m", "loadtest.twenty_lines", str(port), valkey.url]
        with stack.child(folder, "web", script, environment) as web:
            url = f"http://{HOST}:{port}/v1/metrics/m/event"
            await stack.until_answered(url, 405, [web])
            await _serve(port, "", valkey.url, {"valkey": valkey.pid, "web": web.pid})
        await client.aclose()


Obey = Callable[[str], Awaitable[dict[str, Any]]]


async def _nothing(_: str) -> dict[str, Any]:
    """The twenty lines have no game, and nothing to compare."""
    return {"wrong": []}


async def _serve(port: int, key: str, redis_url: str, pids: dict[str, int], obey: Obey = _nothing) -> None:
    """Say where the side is; then do as each line of the input says, until it ends."""
    await _say({"port": port, "key": key, "redis": redis_url, "pids": pids})
    while what := (await asyncio.to_thread(sys.stdin.readline)).strip():
        await _say(await obey(what))


async def _say(found: dict[str, Any]) -> None:
    await asyncio.to_thread(os.write, 1, json.dumps(found).encode() + b"\n")


if __name__ == "__main__":
    kind, users = sys.argv[1], int(sys.argv[2])
    with bench.temporary_folder() as folder:
        asyncio.run((podium if kind == "podium" else twenty)(folder, users))
