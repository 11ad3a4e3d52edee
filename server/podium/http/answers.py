"""JSON answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, TypeVar

import msgspec
from starlette.responses import Response, StreamingResponse

T = TypeVar("T")

encode = msgspec.json.Encoder().encode

YIELD_AFTER = 100
"""Rows of an answer that are made before other tasks may run: a row takes 10 to 50 µs."""


async def in_turns(rows: Iterable[T]) -> AsyncIterator[T]:
    """Yield ``rows``, letting other tasks run now and then: a catalog may have thousands of items."""
    for at, row in enumerate(rows, 1):
        yield row
        if at % YIELD_AFTER == 0:
            await asyncio.sleep(0)


def streamed(pieces: AsyncIterator[bytes], headers: Mapping[str, str] | None = None) -> Response:
    """Return a response whose JSON is sent in pieces, for bodies that take long to encode.

    Other tasks may run between two pieces.
    """

    async def pausing() -> AsyncIterator[bytes]:
        async for piece in pieces:
            yield piece
            await asyncio.sleep(0)  # sending suspends only where the client is behind

    return StreamingResponse(pausing(), headers=headers, media_type="application/json")


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with ``value`` (msgspec types or plain values) as JSON."""
    return Response(encode(value), status, headers, media_type="application/json")
