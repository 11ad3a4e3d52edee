"""One running ``podium dev`` with two web processes for each test process; and single ones for other tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial

import httpx
import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.acceptance import processes
from tests.acceptance.browser import open_browser
from tests.acceptance.js_sdk import Sdk, in_chromium, in_node
from tests.acceptance.stack import Stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Podium with an empty catalog; tests that use it share the xdist group ``stack``."""
    with (
        processes.place() as data,
        processes.dev(data, processes.free_port(), "--no-demo", "--workers", "2") as dev,
    ):
        yield Stack(**msgspec.structs.asdict(dev.wait()), processes=2)
        assert "Traceback" not in (data / "web.log").read_text()
        assert "Traceback" not in (data / "worker.log").read_text()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A browser for the tests of this process."""
    async with open_browser() as browser:
        yield browser


@pytest.fixture(params=("node", "chromium"))
def sdk(request: pytest.FixtureRequest) -> Sdk:
    """The published JavaScript SDK, in both of its homes."""
    if request.param == "node":
        return in_node
    return partial(in_chromium, request.getfixturevalue("browser"))


@pytest.fixture
async def http(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the admin key."""
    async with stack.http() as client:
        yield client
