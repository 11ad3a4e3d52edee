"""JSON answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, TypeVar

import msgspec
from starlette.responses import Response, StreamingResponse

T = TypeVar("T")

encode = msgspec.json.Encoder().encode


AT_ONCE = 100
"""Rows of an answer that are made before others have their turn: a row takes 10 to 50 µs."""


async def in_turns(rows: Iterable[T]) -> AsyncIterator[T]:
    """``rows``, with others having their turn now and then: for answers with as many as a catalog has."""
    for at, row in enumerate(rows, 1):
        yield row
        if at % AT_ONCE == 0:
            await asyncio.sleep(0)


def streamed(pieces: AsyncIterator[bytes], headers: Mapping[str, str] | None = None) -> Response:
    """An answer whose body is JSON in pieces, for what takes long to encode. Others have their turn between."""

    async def in_turns() -> AsyncIterator[bytes]:
        async for piece in pieces:
            yield piece
            await asyncio.sleep(0)  # sending waits only for a client that is behind

    return StreamingResponse(in_turns(), headers=headers, media_type="application/json")


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer whose body is ``value`` (msgspec types or plain values) as JSON."""
    return Response(encode(value), status, headers, media_type="application/json")
