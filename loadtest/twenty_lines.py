"""The leaderboard that a Python developer writes by hand, as the measure beside Podium.

One route: JSON in, one ``MULTI`` of rank, increment, rank on two sorted sets, JSON out. It is fast, honest, and
leaves out what Podium does besides: idempotency keys, exact ties, daily runs by the user's zone, history, streaks,
points, push, and a database. ``python -m loadtest.twenty_lines PORT REDIS_URL`` serves it on Podium's own uvicorn
settings.
"""

from __future__ import annotations

import os
import sys

import redis.asyncio as aioredis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

BOARDS = ("all-time", "daily")
REDIS_URL = "TWENTY_LINES_REDIS"

# ---- the twenty lines -----------------------------------------------------------------------------------------
client = aioredis.from_url(os.environ.get(REDIS_URL, "redis://127.0.0.1"))


async def event(request: Request) -> JSONResponse:
    """Add one event to both boards; the ranks before and after."""
    body = await request.json()
    user, value = body["user"]["id"], body["value"]
    async with client.pipeline(transaction=True) as pipe:
        for board in BOARDS:
            pipe.zrevrank(board, user).zincrby(board, value, user).zrevrank(board, user)
        before, total, after, before_day, _, after_day = await pipe.execute()
    ranks = {
        "all-time": {"previousRank": before, "rank": after},
        "daily": {"previousRank": before_day, "rank": after_day},
    }
    return JSONResponse({"total": total, "leaderboards": ranks}, status_code=201)


async def events(request: Request) -> JSONResponse:
    """Add a list of events in one pipeline."""
    items = await request.json()
    async with client.pipeline(transaction=True) as pipe:
        for item in items:
            for board in BOARDS:
                pipe.zincrby(board, item["value"], item["user"]["id"])
        await pipe.execute()
    return JSONResponse({"accepted": len(items)}, status_code=202)


# ---------------------------------------------------------------------------------------------------------------


def app() -> Starlette:
    """For uvicorn."""
    return Starlette(
        routes=[
            Route("/v1/metrics/{key}/event", event, methods=["POST"]),
            Route("/admin/v1/metrics/events", events, methods=["POST"]),
        ]
    )


if __name__ == "__main__":
    from podium.cli.serve import serve
    from podium.settings import Settings

    os.environ[REDIS_URL] = sys.argv[2]
    sys.exit(
        serve(
            Settings(redis_url=sys.argv[2], database_url="postgres://-", port=int(sys.argv[1])),
            "loadtest.twenty_lines:app",
        )
    )
