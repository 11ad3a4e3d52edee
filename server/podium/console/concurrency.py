"""Several questions to the stores for one answer, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

AT_ONCE = 4
"""More would take the connections that other requests wait for."""


async def few(*asked: Awaitable[Any]) -> list[Any]:
    """All answers, in the order of the questions; raises what one of them raises."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(question: Awaitable[Any]) -> Any:
        async with gate:
            return await question

    return list(await asyncio.gather(*(one(question) for question in asked)))
