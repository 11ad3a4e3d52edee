"""A release that begins while Redis is at ``maxmemory``, and so can't load its functions."""

from __future__ import annotations

import asyncio

import httpx
from redis.asyncio import Redis

from podium.telemetry.heartbeats import WORKERS
from tests.acceptance.processes import free_port, ready, wait_until
from tests.acceptance.test_shutdown import METRICS_TOKEN, Starter, starter
from tests.waiting import until

__all__ = ["starter"]

REFUSED = "has no room for the functions of this release"


async def test_web_and_worker_start_and_go_on_when_there_is_room(
    starter: Starter, redis_url: str, admin_key: str
) -> None:
    async with Redis.from_url(redis_url) as redis:
        await redis.function_flush("SYNC")
        await redis.config_set("maxmemory", 100_000)
        try:
            port = free_port()
            operator = {"Authorization": f"Bearer {METRICS_TOKEN}"}
            url = f"http://127.0.0.1:{port}"
            web = starter.start("web", port=str(port), metrics_token=METRICS_TOKEN)
            worker = starter.start("worker")

            def answers() -> bool:
                try:
                    return REFUSED in httpx.get(f"{url}/readyz", headers=operator).text
                except httpx.TransportError:
                    return False

            await asyncio.to_thread(wait_until, answers, "the web process does not say what is missing")
            async with httpx.AsyncClient(base_url=url, headers={"X-API-KEY": admin_key}) as http:
                for path in ("/v1/users/ann", "/admin/v1/metrics"):
                    assert (await http.get(path)).status_code in (200, 503), path
                made = await http.post("/admin/v1/metrics", json=[{"name": "Words", "key": "words"}])
                assert made.status_code in (201, 503), made.text
            assert starter.output.read_text().count(REFUSED) >= 2  # of web and worker
        finally:
            await redis.config_set("maxmemory", 0)
        await asyncio.to_thread(wait_until, lambda: ready(url), "the web process is not ready")

        async def beats() -> bool:
            return bool(await redis.zcard(WORKERS) == 1)

        await until(beats)
        assert (web.poll(), worker.poll()) == (None, None), starter.output.read_text()
        assert "Traceback" not in starter.output.read_text()
