"""What the application serves without any store."""

from __future__ import annotations

import re

import httpx
import pytest

from podium.app import create_app
from podium.settings import Settings


@pytest.mark.parametrize("path", ["/widget/podium-leaderboard.js", "/shared/live.js"])
async def test_scripts_are_for_the_pages_of_others(path: str) -> None:
    app = create_app(Settings(redis_url="redis://-", database_url="postgres://-"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://podium") as client:
        page = {"Origin": "https://elsewhere.example"}
        response = await client.get(path, headers=page)
        again = await client.get(path, headers=page | {"If-None-Match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for each in (response, again):
        assert each.headers["cache-control"].startswith("public, max-age=")
        assert each.headers["access-control-allow-origin"] == "*"
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/javascript")


async def test_the_widget_is_one_small_file() -> None:
    app = create_app(Settings(redis_url="redis://-", database_url="postgres://-"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://podium") as client:
        path = "/widget/podium-leaderboard.js"
        plain = await client.get(path, headers={"Accept-Encoding": "identity"})
        packed = await client.get(path, headers={"Accept-Encoding": "br, gzip"})
    assert "content-encoding" not in plain.headers
    assert (packed.headers["content-encoding"], packed.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert int(packed.headers["content-length"]) <= 12 * 1024
    assert packed.text == plain.text
    assert re.findall(r"\bimport\b", plain.text) == []
    assert "export class PodiumLeaderboard extends" in plain.text
