from __future__ import annotations

import re

import httpx
import pytest
from starlette.applications import Starlette

from podium.app import ENDPOINTS
from podium.http.errors import EXCEPTION_HANDLERS
from podium.http.routes import routes


@pytest.mark.parametrize("path", ["/admin/v1/metrics", "/v1/users/{id}", "/v1/metrics/{key}/event"])
async def test_a_405_names_all_methods_of_the_path(path: str) -> None:
    methods = {one.method for one in ENDPOINTS if one.path == path}
    app = Starlette(routes=routes(ENDPOINTS), exception_handlers=EXCEPTION_HANDLERS)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        answer = await client.request("TRACE", re.sub(r"\{\w+\}", "x", path))
    assert answer.status_code == 405
    assert answer.headers["allow"].split(", ") == sorted(methods | ({"HEAD"} if "GET" in methods else set()))
