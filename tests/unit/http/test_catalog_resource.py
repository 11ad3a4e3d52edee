"""The five verbs of a kind of catalog item, on a catalog in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from podium.api.metrics.admin import RESOURCE
from podium.game.catalog import Catalog
from podium.http import catalog_resource
from podium.http.catalog_resource import BATCH_MAX
from podium.http.errors import EXCEPTION_HANDLERS
from podium.spaces.catalog_store import Editor

NOW_MS = 1_795_435_200_000
PATH = "/admin/v1/metrics"
NOBODY = "01997c1e-6a00-7d10-8000-00000000000f"


class Kept:
    """The catalog, as it was stored last."""

    def __init__(self) -> None:
        self.catalog = Catalog(1)
        self.numbers = 1

    @asynccontextmanager
    async def editing(self, *_: Any) -> AsyncIterator[Editor]:
        editor = Editor(self.catalog, self.numbers)
        yield editor
        self.catalog, self.numbers = editor.catalog, editor.next_number

    @asynccontextmanager
    async def acquired(self, _: Any) -> AsyncIterator[None]:
        yield

    async def newest_catalog(self, *_: Any) -> Catalog:
        return self.catalog


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    kept = Kept()
    monkeypatch.setattr(catalog_resource, "editing", kept.editing)
    monkeypatch.setattr(catalog_resource, "acquired", kept.acquired)
    monkeypatch.setattr(catalog_resource, "store", kept)
    monkeypatch.setattr(catalog_resource, "principal", lambda _: SimpleNamespace(space=None))
    return kept


@pytest.fixture
async def http(kept: Kept) -> AsyncIterator[httpx.AsyncClient]:
    routes = [Route(one.path, one.handler, methods=[one.method]) for one in RESOURCE.endpoints()]
    app = Starlette(routes=routes, exception_handlers=EXCEPTION_HANDLERS)
    settings = SimpleNamespace(body_limit=1_000_000)
    app.state.services = SimpleNamespace(directory=None, pool=None, clock=lambda: NOW_MS, settings=settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://podium") as client:
        yield client


def metric(key: str, **more: Any) -> dict[str, Any]:
    return {"name": key.title(), "key": key, **more}


async def make(http: httpx.AsyncClient, *keys: str) -> list[str]:
    answer = await http.post(PATH, json=[metric(key) for key in keys])
    assert (answer.status_code, answer.json()["issues"]) == (201, [])
    return [row["id"] for row in answer.json()["created"]]


async def listed(http: httpx.AsyncClient, **query: Any) -> list[str]:
    answer = await http.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    return [row["key"] for row in answer.json()]


async def test_what_was_created_is_listed_in_order_and_found_by_its_id(
    http: httpx.AsyncClient, kept: Kept
) -> None:
    ids = await make(http, "words", "pages", "books")
    assert await listed(http) == ["words", "pages", "books"]
    assert await listed(http, skip=1, limit=1) == ["pages"]
    assert (await http.get(f"{PATH}/{ids[1]}")).json()["key"] == "pages"
    assert [one.number for one in kept.catalog.metrics] == [1, 2, 3]


async def test_a_bad_item_is_an_issue_and_the_others_are_made(http: httpx.AsyncClient) -> None:
    items = [metric("words"), metric("words"), metric("no spaces"), {"name": "Pages"}, 5, metric("pages")]
    answer = await http.post(PATH, json=items)
    assert answer.status_code == 201
    assert [row["key"] for row in answer.json()["created"]] == ["words", "pages"]
    issues = answer.json()["issues"]
    assert [issue["index"] for issue in issues] == [1, 2, 3, 4]
    assert issues[0] == {"severity": "error", "message": "Key already in use by another metric", "index": 1}


async def test_where_nothing_was_made_the_status_says_so(http: httpx.AsyncClient) -> None:
    answer = await http.post(PATH, json=[{"name": "Words"}])
    assert (answer.status_code, answer.json()["created"]) == (200, [])


@pytest.mark.parametrize("items", [[], [metric("words")] * (BATCH_MAX + 1)])
async def test_a_batch_of_another_size_is_refused_whole(
    http: httpx.AsyncClient, items: list[dict[str, Any]]
) -> None:
    answer = await http.post(PATH, json=items)
    assert (answer.status_code, await listed(http)) == (422, [])


async def test_a_change_leaves_alone_what_it_does_not_name(http: httpx.AsyncClient) -> None:
    [id_] = await make(http, "words")
    answer = await http.patch(PATH, json=[{"id": id_, "units": "w"}, {"id": id_, "name": "Wörter"}])
    assert answer.json()["issues"] == []
    row = (await http.get(f"{PATH}/{id_}")).json()
    assert (row["name"], row["units"], row["key"]) == ("Wörter", "w", "words")


async def test_a_change_that_is_refused_names_its_item(http: httpx.AsyncClient) -> None:
    first, second = await make(http, "words", "pages")
    refused = [{"id": first, "key": "other"}, {"id": NOBODY, "name": "X"}, {"name": "X"}]
    answer = (await http.patch(PATH, json=[*refused, {"id": second, "name": "P"}])).json()
    assert [row["name"] for row in answer["updated"]] == ["P"]
    assert [issue.get("id", issue.get("index")) for issue in answer["issues"]] == [first, NOBODY, 2]
    assert answer["issues"][1]["message"] == "Metric not found by ID"


async def test_a_deleted_item_is_gone_and_its_key_is_free(http: httpx.AsyncClient, kept: Kept) -> None:
    first, second = await make(http, "words", "pages")
    answer = (await http.delete(PATH, params={"ids": [first, NOBODY, "odd"]})).json()
    assert answer["deleted"] == [{"id": first}]
    assert [issue["id"] for issue in answer["issues"]] == [NOBODY, "odd"]
    assert await listed(http) == ["pages"]
    assert (await http.get(f"{PATH}/{first}")).status_code == 404
    [again] = await make(http, "words")
    assert again not in (first, second)
    assert [one.number for one in kept.catalog.metrics] == [2, 3]  # a number is never used again


@pytest.mark.parametrize(
    ("path", "status"),
    [(f"{PATH}/{NOBODY}", 404), (f"{PATH}/odd", 422), (f"{PATH}?limit=0", 422), (f"{PATH}?skip=x", 400)],
)
async def test_what_is_not_there_or_no_id_is_said(http: httpx.AsyncClient, path: str, status: int) -> None:
    answer = await http.get(path)
    assert answer.status_code == status
    assert answer.json()["error"]
