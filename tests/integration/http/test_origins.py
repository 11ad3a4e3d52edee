"""The allow list of a space's origins: over HTTP and on the command line."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from podium.cli import admin_tasks
from podium.game.errors import StartError
from podium.spaces.directory import Directory
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool
from podium.storage.redis.client import RedisClient
from tests.conftest import SettableClock

PATH = "/admin/v1/origins"


async def audit(pool: Pool) -> list[tuple[str, object, object]]:
    rows = await pool.fetch("SELECT actor, before, after FROM audit_log WHERE kind = 'origins' ORDER BY id")
    return [(row["actor"].split(" (")[0], row["before"], row["after"]) for row in rows]


async def test_the_list_is_replaced_normalised_and_written_down(
    http: httpx.AsyncClient, pool: Pool, space: Space
) -> None:
    assert (await http.get(PATH)).json() == []
    given = ["https://Shop.example:443", "http://localhost:3000", "https://shop.example", "http://[::1]:80"]
    kept = ["http://[::1]", "http://localhost:3000", "https://shop.example"]
    for _ in range(2):
        assert (await http.put(PATH, json=given)).json() == kept
    assert (await http.get(PATH)).json() == kept
    assert space.allowed_origins == tuple(kept)
    assert await audit(pool) == [("test", [], kept)]


_WHAT_IS_NO_ORIGIN_CHANGES_NOTHING: list[Any] = [
    ('{"origins": []}', 400),
    ("[1]", 400),
    ('["*"]', 422),
    ('["null"]', 422),
    ('["shop.example"]', 422),
    ('["https://shop.example/"]', 422),
    ('["https://shop.example\\n"]', 422),
    ('["https://user@shop.example"]', 422),
    ('["https://shop.example:65536"]', 422),
    ('["ftp://shop.example"]', 422),
]


async def test_what_is_no_origin_changes_nothing(http: httpx.AsyncClient, pool: Pool) -> None:
    for body, status in _WHAT_IS_NO_ORIGIN_CHANGES_NOTHING:
        response = await http.put(PATH, content=body)
        assert response.status_code == status
        assert status == 400 or response.json()["error"].startswith("origins[0] must be like https://")
        assert await audit(pool) == []


async def test_at_most_a_hundred(http: httpx.AsyncClient) -> None:
    many = [f"https://{n}.example" for n in range(101)]
    assert (await http.put(PATH, json=many)).status_code == 422
    assert len((await http.put(PATH, json=many[:100])).json()) == 100


async def test_other_processes_follow(
    http: httpx.AsyncClient, pool: Pool, redis_client: RedisClient, database_url: str, clock: SettableClock
) -> None:
    other = Directory(pool, redis_client, database_url, clock)
    await http.put(PATH, json=["https://game.example"])
    await other.refresh()
    assert other.production.allowed_origins == ("https://game.example",)


async def test_the_command(database_url: str, directory: Directory, pool: Pool) -> None:
    change = admin_tasks.change_space_origins
    added = await change(database_url, None, ["https://a.example", "https://b.example:443"], [])
    assert added == ("https://a.example", "https://b.example")
    only = ("https://b.example",)
    assert await change(database_url, directory.production.public_id, [], ["https://A.example"]) == only
    assert await change(database_url, None, [], []) == only
    with pytest.raises(StartError, match=r"--add\[0\] must be like"):
        await change(database_url, None, ["b.example"], [])
    with pytest.raises(StartError, match="there is no space other"):
        await change(database_url, "other", [], [])
    assert [actor for actor, _, _ in await audit(pool)] == ["podium origins"] * 2
