"""Makes the demo's catalog through the admin API, as anybody would."""

from __future__ import annotations

from typing import Any

import httpx

from server.core.errors import StartError
from server.demo.catalog import BOARDS, METRIC


async def make_catalog(url: str, key: str) -> None:
    """The metric and the two leaderboards, where they are missing. ``StartError`` if the server refuses."""
    async with httpx.AsyncClient(base_url=f"{url}/admin/v1", headers={"X-API-KEY": key}, timeout=10) as client:
        metric = await _ensure(client, "metrics", {"key": METRIC, "name": "Words written", "units": "words"})
        for board, name in BOARDS.items():
            body = {
                "key": board,
                "name": name,
                "rankBy": "metric",
                "metricId": metric["id"],
                "status": "active",
                "public": True,
            }
            if board == "daily":
                body |= {"runUnit": "day", "runInterval": 1}
            await _ensure(client, "leaderboards", body)


async def _ensure(client: httpx.AsyncClient, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    for item in (await client.get(f"/{kind}", params={"limit": 100})).raise_for_status().json():
        if item["key"] == body["key"]:
            found: dict[str, Any] = item
            return found
    answer = (await client.post(f"/{kind}", json=[body])).raise_for_status().json()
    if not answer["created"]:
        raise StartError(f"the demo's {kind} cannot be made: {answer['issues']}")
    made: dict[str, Any] = answer["created"][0]
    return made
