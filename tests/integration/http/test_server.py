"""Keys, errors, bodies, the API document and its page, over a real connection."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
import structlog
from structlog.testing import capture_logs

from podium.spaces import store
from podium.spaces.directory import Directory
from podium.storage.postgres.pool import Pool
from tests.integration.http.conftest import BODY_LIMIT

METRICS = "/admin/v1/metrics"


@pytest.fixture
async def reader(pool: Pool, directory: Directory, space_id: int) -> dict[str, str]:
    """Headers of a key that may only read."""
    async with pool.acquire() as connection:
        key = await store.create_key(connection, space_id, "reader", ("read",))
    await directory.refresh()
    return {"X-API-KEY": key}


async def test_good_key(http: httpx.AsyncClient) -> None:
    response = await http.get("/test/whoami")
    assert (response.status_code, response.json()) == (200, {"name": "test"})
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "headers", [{}, {"X-API-KEY": ""}, {"X-API-KEY": "abcdefgh.nothing"}, {"X-API-KEY": "\xe9"}]
)
async def test_bad_key(base_url: str, headers: dict[str, Any]) -> None:
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    async with httpx.AsyncClient(base_url=base_url, headers=encoded) as client:
        response = await client.get(METRICS)
    assert response.status_code == 401
    assert set(response.json()) == {"error"}


async def test_capability(http: httpx.AsyncClient, reader: dict[str, str]) -> None:
    assert (await http.get("/test/whoami", headers=reader)).json() == {"name": "reader"}
    response = await http.get(METRICS, headers=reader)
    assert (response.status_code, set(response.json())) == (403, {"error"})
    assert (await http.post("/test/echo", headers=reader, json={"name": "x"})).status_code == 403


@pytest.mark.parametrize(("path", "status", "after"), [("/test/busy", 429, "7"), ("/test/away", 503, "2")])
async def test_come_back(http: httpx.AsyncClient, path: str, status: int, after: str) -> None:
    response = await http.get(path)
    assert (response.status_code, response.headers["retry-after"]) == (status, after)
    assert set(response.json()) == {"error"}


async def test_unknown_exception(http: httpx.AsyncClient) -> None:
    structlog.reset_defaults()
    with capture_logs() as logs:
        response = await http.get("/test/broken")
    assert (response.status_code, response.json()) == (500, {"error": "Internal error"})
    [entry] = [entry for entry in logs if entry["event"] == "request_failed"]
    assert (entry["method"], entry["path"]) == ("GET", "/test/broken")
    assert isinstance(entry["exc_info"], ZeroDivisionError)


async def test_starlette_errors(http: httpx.AsyncClient) -> None:
    missing = await http.get("/v1/nothing")
    assert (missing.status_code, missing.json()) == (404, {"error": "Not Found"})
    wrong = await http.put(METRICS)
    assert (wrong.status_code, wrong.json()) == (405, {"error": "Method Not Allowed"})


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"name": 1}', 400),
        (b"[" * 10_000, 400),
        (b'"' + b"x" * BODY_LIMIT + b'"', 413),
    ],
)
async def test_bad_body(http: httpx.AsyncClient, body: bytes, status: int) -> None:
    response = await http.post("/test/echo", content=body)
    assert (response.status_code, set(response.json())) == (status, {"error"})
    assert (await http.post("/test/echo", json={"name": "next"})).json() == {"name": "next"}


async def test_body_without_length(http: httpx.AsyncClient) -> None:
    async def chunks() -> Any:
        for _ in range(30):
            yield b"x" * 1_000

    assert (await http.post("/test/echo", content=chunks())).status_code == 413


async def test_document(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json", headers={"X-API-KEY": ""})).json()
    assert document["openapi"] == "3.1.0"
    assert "/admin/v1/leaderboards/{id}" in document["paths"]


async def test_docs_page(http: httpx.AsyncClient) -> None:
    page = await http.get("/docs", headers={"X-API-KEY": ""})
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy
    assert "-src" not in policy.replace("default-src", "").replace("img-src data:", "")  # so the default holds
    assert not re.search(r"<script>|<style|\sstyle=|\son\w+=|(?:src|href)=.https?:", page.text)
    for path in ("docs.css", "docs.js"):
        assert f'"/docs/{path}"' in page.text
        assert (await http.get(f"/docs/{path}")).headers["content-encoding"] == "gzip"
    assert page.headers["content-encoding"] == "gzip"
    again = await http.get("/docs", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
