"""Waiting for a condition, with a limit; tests never sleep to pass time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

PATIENCE_S = 20
"""How long a condition may take before a test gives up; none is expected to need it."""
_POLL_S = 0.005


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Return once the condition (a plain function, or one that returns an awaitable) holds; TimeoutError."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(_POLL_S)
