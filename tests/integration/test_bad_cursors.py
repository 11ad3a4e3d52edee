"""Cursors that somebody made up are refused, whether a run is live or final."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import msgspec

from podium.jobs.finals import Finals
from podium.services import Services
from tests.conftest import SettableClock
from tests.integration.test_boards import DAY_MS, flush, get, score
from tests.integration.test_finals import MONDAY, daily, finals

__all__ = ["daily", "finals"]


def forged(cursor: str, **fields: Any) -> str:
    """A page's cursor with other fields."""
    names = ("board", "score", "member", "rows")
    was = msgspec.msgpack.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    now = {**dict(zip(names, was, strict=True)), **fields}
    return base64.urlsafe_b64encode(msgspec.msgpack.encode([now[name] for name in names])).decode()


async def test_a_cursor_that_was_made_up_is_refused(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, daily: str, finals: Finals
) -> None:
    for user in ("a", "b", "c"):
        await score(http, clock, user, 5, city="Oslo")
    cursor = (await get(http, "today", run=MONDAY, limit=1))["nextCursor"]

    async def refused(**fields: Any) -> None:
        query = {"run": MONDAY, "limit": 1, "cursor": forged(cursor, **fields)}
        answer = await http.get("/v1/leaderboards/today", params=query)
        assert (answer.status_code, answer.json()) == (422, {"error": "cursor is not one of this server's"})

    for text in ("nan", "-nan", "inf", "1_0", " 1", "٣", "1\n", ""):
        await refused(score=text)
    clock.now_ms += 2 * DAY_MS
    await flush(services)
    assert await finals.round() == 1
    for rows in (-1, 2**63):
        await refused(rows=rows)


async def test_a_cursor_nested_without_end_is_refused(
    http: httpx.AsyncClient, clock: SettableClock, daily: str
) -> None:
    await score(http, clock, "a", 5, city="Oslo")
    fields = b"\xa1b" + b"\xa11" + b"\xa1m" + b"\x01"  # as of a page: board, score, member, rows
    cursor = base64.urlsafe_b64encode(b"\x95" + fields + b"\x91" * 10_000 + b"\xc0").decode()
    answer = await http.get("/v1/leaderboards/today", params={"cursor": cursor})
    assert (answer.status_code, answer.json()) == (422, {"error": "cursor is not one of this server's"})
