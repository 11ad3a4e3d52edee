"""Schemathesis over the API document: no 500, no status and no body that the document doesn't name.

``--fuzz`` runs the large profile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from podium.app import ENDPOINTS
from tests.acceptance.stack import Board, Stack, post
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("stack")

SMALL, LARGE = 6, 1_000
"""Requests to each operation and of each kind: as documented and to what exists, or neither."""
USER = "fuzzed"
"""Nobody that another test knows: what is sent about a user is done."""
ENDLESS = {"/v1/leaderboards/{key}/live"}
"""A good answer never ends; its bad queries are in test_live_sse.py."""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def schema(stack: Stack) -> Any:
    """The document that the server gives away."""
    return schemathesis.openapi.from_url(f"{stack.url}/openapi.json")


@pytest.fixture(scope="module")
def board(stack: Stack) -> Board:
    """A board with somebody on it."""

    async def make() -> Board:
        made = await stack.board()
        async with stack.http() as http:
            await post(http, made.metric, USER, 1)
        return made

    return asyncio.run(make())


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
@pytest.mark.parametrize(
    ("method", "path"),
    sorted({(e.method, e.path.replace(":path", "")) for e in ENDPOINTS if e.path not in ENDLESS}),
    ids=lambda part: part,
)
def test_operation(
    stack: Stack,
    board: Board,
    schema: Any,
    other_key: str,
    session: requests.Session,
    method: str,
    path: str,
    mode: GenerationMode,
    request: pytest.FixtureRequest,
) -> None:
    operation = schema[path][method]
    key = board.key if "leaderboards" in path else board.metric
    existing = {"key": key, "id": USER if "users" in path else board.metric_id}
    names = {name: value for name, value in existing.items() if f"{{{name}}}" in path}
    paths = names if mode is GenerationMode.POSITIVE else None

    @given(case=operation.as_strategy(generation_mode=mode, path_parameters=paths))
    @settings(
        max_examples=LARGE if request.config.getoption("--fuzz") else SMALL,
        deadline=None,
        database=None,
        derandomize=not request.config.getoption("--fuzz"),
        suppress_health_check=list(HealthCheck),
    )
    def fuzz(case: schemathesis.Case) -> None:
        key = other_key if "catalog" in path else stack.admin_key
        answer = case.call(session=session, headers={"X-API-KEY": key})
        case.validate_response(answer, checks=CHECKS)

    fuzz()


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """Connections that stay open."""
    with requests.Session() as session:
        yield session


@pytest.fixture(scope="module")
def other_key(stack: Stack) -> str:
    """The key of an environment of its own, for what changes a whole catalog at once."""

    async def make() -> str:
        async with stack.http() as http:
            made = await http.post("/admin/v1/environments", json={"key": "fuzzed"})
        assert made.status_code == 201, made.text
        key: str = made.json()["apiKey"]

        async def known() -> bool:
            async with stack.http() as http:
                answers = [await http.get("/admin/v1/catalog", headers={"X-API-KEY": key}) for _ in range(10)]
            return all(answer.status_code == 200 for answer in answers)

        await until(known)
        return key

    return asyncio.run(make())
