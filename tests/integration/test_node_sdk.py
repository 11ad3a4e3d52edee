"""All methods of the published Node SDK: each does what it says, and is refused for a wrong input."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from podium.services import Services
from tests import compatibility
from tests.acceptance.js_sdk import FOLDER, needed
from tests.conftest import SettableClock
from tests.integration.test_boards import DAY_MS, flush, make

METHODS = {
    line
    for line in (Path(__file__).parents[1] / "data" / "node-sdk-methods.txt").read_text().splitlines()
    if line and not line.startswith("#")
}
UNKNOWN_USER = {
    *("users.get", "users.getPreferences", "users.allMetrics", "users.achievements", "users.streak"),
    "users.wrapped",
}
WITHOUT_OPTIONS = {"users.get", "users.getPreferences", "users.allMetrics"}


class NodeSdk:
    """The SDK in a process of its own; ``done`` are the methods that were, ``refused`` says how they were."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.done: set[str] = set()
        self.refused: dict[str, str] = {}

    async def say(self, line: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(line).encode() + b"\n")
        await self._process.stdin.drain()

    async def _call(self, method: str, *args: Any) -> dict[str, Any]:
        await self.say({"method": method, "args": args})
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return answer

    async def call(self, method: str, *args: Any) -> Any:
        """The answer."""
        answer = await self._call(method, *args)
        assert "status" not in answer, (method, answer)
        self.done.add(method)
        return answer.get("value")

    async def refuse(self, method: str, *args: Any) -> int:
        """The status of the refusal; 0 for issues in a good answer."""
        answer = await self._call(method, *args)
        if "status" not in answer:
            assert answer["value"]["issues"], (method, answer)
        else:
            assert answer["status"], (method, answer)  # 0: the SDK could not read the answer
        self.refused[method] = str(answer.get("status", "issue"))
        return int(answer.get("status", 0))


@asynccontextmanager
async def node_sdk(base_url: str, key: str) -> AsyncIterator[NodeSdk]:
    needed("nodejs", "@trophyso/node")
    process = await asyncio.create_subprocess_exec(
        "node",
        str(FOLDER / "trophy.mjs"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    sdk = NodeSdk(process)
    bases = {"api": f"{base_url}/v1", "admin": f"{base_url}/admin/v1"}
    await sdk.say({"open": {"apiKey": key, "environment": bases}})
    yield sdk
    assert process.stdin is not None
    process.stdin.close()
    assert await process.wait() == 0


async def set_up(http: httpx.AsyncClient) -> None:
    [words] = await make(http, "metrics", {"name": "Words", "key": "words"})
    board = {"name": "All", "key": "all", "rankBy": "metric", "metricId": words["id"], "status": "active"}
    await make(http, "leaderboards", {**board, "start": "2026-11-01"})
    await make(http, "achievements", {"name": "Hero", "trigger": "api", "key": "hero", "status": "active"})
    trigger = {"type": "metric", "metricId": words["id"], "metricThreshold": 10, "points": 1, "status": "active"}
    await make(http, "points", {"name": "XP", "key": "xp", "triggers": [trigger]})
    freezes = {"startCount": 1, "maxCount": 3}
    streak = {"metrics": [{"key": "words", "threshold": 1}], "freezes": freezes}
    await http.patch("/admin/v1/streaks/settings", json=streak)


async def test_each_method(
    http: httpx.AsyncClient, base_url: str, admin_key: str, services: Services, clock: SettableClock
) -> None:
    await set_up(http)
    async with node_sdk(base_url, admin_key) as sdk:
        await _effects(sdk, services, clock)
        await _refusals(sdk)
    assert sdk.done == METHODS
    assert set(sdk.refused) == METHODS - {"leaderboards.all"}  # it takes nothing that could be wrong but the key
    async with node_sdk(base_url, "bad.key") as stranger:
        assert await stranger.refuse("leaderboards.all") == 401
    compatibility.check("Node, `@trophyso/node` 1.0", {**sdk.refused, **stranger.refused}.items())


async def _effects(sdk: NodeSdk, services: Services, clock: SettableClock) -> None:
    call = sdk.call
    assert (await call("users.create", {"id": "ann", "name": "Ann"}))["name"] == "Ann"
    assert (await call("users.identify", "bob", {"name": "Bob"}))["id"] == "bob"
    assert (await call("users.update", "ann", {"email": "ann@example.com"}))["email"] == "ann@example.com"
    assert (await call("users.get", "ann"))["email"] == "ann@example.com"
    event = await call("metrics.event", "words", {"user": {"id": "ann"}, "value": 25})
    assert (event["total"], event["leaderboards"]["all"]["rank"], event["points"]["xp"]["added"]) == (25, 1, 2)
    await call("metrics.event", "words", {"user": {"id": "bob"}, "value": 5})
    await flush(services)
    assert [one["current"] for one in await call("users.allMetrics", "ann")] == [25]
    assert (await call("users.singleMetric", "bob", "words"))["current"] == 5
    days = {"aggregation": "daily", "startDate": "2026-11-22", "endDate": "2026-11-23"}
    assert [one["change"] for one in await call("users.metricEventSummary", "ann", "words", days)] == [0, 25]
    assert [one["change"] for one in await call("users.pointsEventSummary", "ann", "xp", days)] == [0, 2]
    done = await call("achievements.complete", "hero", {"user": {"id": "ann"}})
    assert done["achievement"]["name"] == "Hero"
    assert [one["name"] for one in await call("users.achievements", "ann", {})] == ["Hero"]
    await flush(services)
    assert [one["rarity"] for one in await call("achievements.all", {})] == [50]
    assert (await call("users.streak", "ann", {}))["length"] == 1
    assert (await call("users.points", "ann", "xp", {}))["total"] == 2
    assert (await call("points.system", "xp"))["name"] == "XP"
    assert sum(one["users"] for one in await call("points.summary", "xp", {})) == 2
    assert (await call("users.leaderboard", "bob", "all", {}))["rank"] == 2
    year = await call("users.wrapped", "ann", {"year": 2026})
    assert year["activity"]["entireYear"]["metrics"]["words"]["changeThisPeriod"] == 25
    await call("users.updatePreferences", "ann", {"notifications": {"streakReminder": ["push"]}})
    assert (await call("users.getPreferences", "ann"))["notifications"]["streakReminder"] == ["push"]
    assert [one["key"] for one in await call("leaderboards.all")] == ["all"]
    board = await call("leaderboards.get", "all", {"limit": 1})
    assert [(row["userId"], row["value"]) for row in board["rankings"]] == [("ann", 25)]
    listed = await call("streaks.list", {"userIds": "ann,bob"})
    assert [one["streakLength"] for one in listed] == [1, 1]
    ranked = await call("streaks.rankings", {"limit": 5})
    assert [one["streakLength"] for one in ranked] == [1, 1]
    given = await call("admin.streaks.freezes.create", {"freezes": [{"userId": "ann"}]})
    assert given["issues"] == []
    assert (await call("users.streak", "ann", {}))["freezes"] == 2
    clock.now_ms += 10 * DAY_MS
    back = await call("admin.streaks.restore", {"users": [{"id": "bob"}]})
    assert back["restoredUsers"] == ["bob"]
    assert (await call("users.streak", "bob", {}))["length"] == 1


async def _refusals(sdk: NodeSdk) -> None:
    refuse = sdk.refuse
    for method in sorted(UNKNOWN_USER):
        options = [] if method in WITHOUT_OPTIONS else [{}]
        assert await refuse(method, "nobody", *options) == 404, method
    assert await refuse("users.singleMetric", "ann", "nothing") == 404
    days = {"aggregation": "daily", "startDate": "2026-11-23", "endDate": "2026-11-22"}
    assert await refuse("users.metricEventSummary", "ann", "words", days) == 422
    assert await refuse("users.pointsEventSummary", "ann", "xp", days) == 422
    assert await refuse("users.points", "ann", "nothing", {}) == 404
    assert await refuse("users.leaderboard", "ann", "nothing", {}) == 404
    assert await refuse("users.create", {"id": ""}) == 422
    assert await refuse("users.identify", "bob", {"tz": "Mars/Base"}) == 422
    assert await refuse("users.update", "nobody", {"name": "N"}) == 404
    assert await refuse("users.updatePreferences", "nobody", {}) == 404
    assert await refuse("metrics.event", "nothing", {"user": {"id": "ann"}, "value": 1}) == 422
    assert await refuse("points.system", "nothing") == 404
    assert await refuse("points.summary", "nothing", {}) == 404
    assert await refuse("leaderboards.get", "nothing", {}) == 404
    assert await refuse("achievements.all", {"userAttributes": "nonsense"}) == 422
    assert await refuse("achievements.complete", "nothing", {"user": {"id": "ann"}}) == 404
    assert await refuse("streaks.list", {"userIds": ","}) == 422
    assert await refuse("streaks.rankings", {"limit": 0}) == 422
    assert await refuse("admin.streaks.freezes.create", {"freezes": [{"userId": "nobody"}]}) == 0
    assert await refuse("admin.streaks.freezes.create", {"freezes": []}) == 422
    assert await refuse("admin.streaks.restore", {"users": [{"id": "nobody"}]}) == 0
