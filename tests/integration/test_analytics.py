"""How a leaderboard is used: counts by day, and the distribution of scores."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import httpx
import pytest

from podium.services import Services
from podium.storage.postgres.schema import MIGRATIONS
from tests.conftest import SettableClock
from tests.integration.test_boards import DAY_MS, attributes, board, flush, metric, score

__all__ = ["attributes", "board", "metric"]


async def test_analytics_of_a_run(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, board: Any
) -> None:
    path = f"/admin/v1/leaderboards/{(await board('sum'))['id']}/analytics"
    empty = (await http.get(path, params={"from": "2026-11-22"})).json()
    assert (empty["participants"], empty["distribution"]) == (0, [])
    for user, value in (("a", 1), ("b", 5), ("a", 1), ("c", 11), ("b", 1)):
        await score(http, clock, user, value)
    await flush(services)
    found = (await http.get(path, params={"from": "2026-11-22"})).json()
    assert found["participants"] == 3
    assert found["activeUsers"] == [{"date": "2026-11-22", "count": 0}, {"date": "2026-11-23", "count": 3}]
    assert found["rankChanges"][1] == {"date": "2026-11-23", "count": 3}  # each came, nobody passed anybody
    buckets = found["distribution"]
    assert (len(buckets), buckets[0]["from"], buckets[-1]["to"]) == (10, 2, 11)
    assert [bucket["users"] for bucket in buckets] == [1, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    for query in ({"from": "2026-11-24", "to": "2026-11-23"}, {"from": "2020-01-01"}, {"to": "soon"}):
        assert (await http.get(path, params=query)).status_code == 422


@pytest.mark.parametrize("order", ["desc", "asc"])
@pytest.mark.parametrize("broken_down", [False, True], ids=["Redis", "Postgres"])
async def test_a_distribution_is_a_histogram(
    http: httpx.AsyncClient,
    services: Services,
    clock: SettableClock,
    board: Any,
    attributes: dict[str, str],
    order: str,
    broken_down: bool,
) -> None:
    made = await board("b", order=order, **({"breakdownAttributes": [attributes["city"]]} if broken_down else {}))
    dice = random.Random(7)
    # Ten steps from 0 to 100, and many a value on the very edge of one.
    values = [
        0,
        100,
        10,
        20,
        20,
        90,
        *(dice.choice([10 * dice.randrange(11), dice.random() * 100]) for _ in range(40)),
    ]
    values = [round(value, 2) for value in values]
    for number, value in enumerate(values):
        where = {"city": dice.choice(["Oslo", "Rome"])} if broken_down else {}
        await score(http, clock, f"u{number}", value, **where)
    if broken_down:
        await score(http, clock, "waiting", 1_000)  # without a city there is no place
    await flush(services)
    found = (await http.get(f"/admin/v1/leaderboards/{made['id']}/analytics")).json()
    expected = [0] * 10
    for value in values:
        expected[min(9, int(Fraction(str(value)) / 10))] += 1
    assert found["participants"] == len(values)
    assert [bucket["users"] for bucket in found["distribution"]] == expected
    assert [bucket["from"] for bucket in found["distribution"]] == pytest.approx([10 * i for i in range(10)])


async def test_who_comes_back_has_joined_once(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, board: Any
) -> None:
    made = await board("b")
    await score(http, clock, "a", 1)
    await flush(services)
    await http.delete(f"/admin/v1/leaderboards/{made['id']}/users", params={"ids": "a"})
    clock.advance(DAY_MS)
    await score(http, clock, "a", 1)
    await score(http, clock, "b", 1)
    await score(http, clock, "b", 1)
    await flush(services)
    counted = await services.pool.fetch("SELECT day, changes, active, joined FROM board_days ORDER BY day")
    assert [(row["active"], row["joined"]) for row in counted] == [(1, 1), (2, 1)]

    # The migration counts the same from what was there before.
    await services.pool.execute(
        "INSERT INTO rank_days SELECT space_id, leaderboard, run, user_id, day, rank,"
        " previous_rank, value, previous_value FROM rank_history"
    )
    await services.pool.execute("UPDATE board_days SET active = 0, joined = 0")
    _, statement = (MIGRATIONS / "0012_board_days.sql").read_text().split("\n\n")
    await services.pool.execute(statement)
    assert await services.pool.fetch("SELECT day, changes, active, joined FROM board_days ORDER BY day") == counted
