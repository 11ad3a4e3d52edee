"""One side of a comparison: a filled stack that serves until its standard input ends.

``python side.py podium|twenty USERS``, with the tree to be measured first on ``PYTHONPATH``: only modules of that
tree are imported, so each side fills its own stores in its own way. Prints one line of JSON: port, key, Redis URL
and process ids by name.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack
from typing import Any

import redis.asyncio as aioredis

from loadtest import bench, probes, stack
from loadtest.generators import HOST, user_id
from loadtest.seed import seed

FILL = 20_000
"""Members of one ZADD."""


async def podium(folder: Any, users: int) -> None:
    """Serve the tree's own Podium, every user on the demo's two boards."""
    async with stack.open_stack(folder, 1) as opened:
        await seed(opened.services, opened.services.directory.production, users)
        await probes.settle_redis(opened.services.redis.raw)
        async with opened.serving():
            await _serve(opened.port, opened.key, opened.services.settings.redis_url, opened.pids)


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


async def _serve(port: int, key: str, redis_url: str, pids: dict[str, int]) -> None:
    line = json.dumps({"port": port, "key": key, "redis": redis_url, "pids": pids})
    await asyncio.to_thread(os.write, 1, line.encode() + b"\n")
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    kind, users = sys.argv[1], int(sys.argv[2])
    with bench.temporary_folder() as folder:
        asyncio.run((podium if kind == "podium" else twenty)(folder, users))
