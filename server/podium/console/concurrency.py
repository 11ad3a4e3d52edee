"""Concurrent calls for one page, with a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

AT_ONCE = 4
"""Concurrent calls of one page. More would take the connections of the pool that other requests wait for."""


async def gather_limited(*calls: Awaitable[Any]) -> list[Any]:
    """Await all calls, at most ``AT_ONCE`` at a time; return their results in order, or raise the first error."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def run(call: Awaitable[Any]) -> Any:
        async with slots:
            return await call

    return list(await asyncio.gather(*(run(call) for call in calls)))
