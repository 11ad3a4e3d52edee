"""The explanation of a score."""

from __future__ import annotations

import re

import httpx
import pytest

from podium.services import Services
from tests.conftest import SettableClock
from tests.integration.test_boards import DAY_MS, flush, make
from tests.integration.test_console import console_url, game, signed_in, write

__all__ = ["console_url"]


async def why(console: httpx.AsyncClient, board: str) -> str:
    """The text of the section that says it."""
    page = await console.get("/console/users/ann/debug", params={"board": board})
    assert page.status_code == 200, page.text
    section = page.text.partition("Show what counts")[2].partition("</section>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", section).split())


@pytest.mark.parametrize(
    ("board", "said", "rows", "total"),
    [
        ({"rankBy": "metric"}, "Score 9 , rank 1.", 2, "Sum 9"),
        ({"rankBy": "metric", "operator": "best"}, "Score 6 , rank 1.", 2, None),
        ({"rankBy": "points"}, "Score 9 , rank 1.", 2, "Sum 9"),
        ({"rankBy": "metric", "status": "inactive"}, "The leaderboard is inactive", 2, "Sum 9"),
    ],
)
async def test_what_counts_is_of_the_present_run(
    http: httpx.AsyncClient,
    console_url: str,
    admin_key: str,
    services: Services,
    clock: SettableClock,
    board: dict[str, str],
    said: str,
    rows: int,
    total: str | None,
) -> None:
    xp = await game(http)
    [words] = (await http.get("/admin/v1/metrics")).json()
    source = {"metricId": words["id"]} if board["rankBy"] == "metric" else {"pointsSystemId": xp["id"]}
    daily = {"start": "2026-01-01", "runUnit": "day", "runInterval": 1, "status": "active"}
    await make(http, "leaderboards", {"name": "Daily", "key": "daily", **daily, **source, **board})
    await write(http, value=100)
    clock.advance(DAY_MS)
    await write(http, value=3)
    clock.advance(1_000)
    await write(http, value=6)
    await flush(services)
    async with signed_in(console_url, admin_key) as console:
        shown = await why(console, "daily")
        assert said in shown, shown
        assert (shown.count("UTC"), "Sum" in shown) == (rows, total is not None), shown
        assert (total or "") in shown
    clock.advance(DAY_MS)
    async with signed_in(console_url, admin_key) as console:
        shown = await why(console, "daily")
        assert ("is not ranked there" in shown) is (board.get("status") != "inactive"), shown
        assert "Nothing counts there in the present run." in shown
