"""One running ``podium dev`` with two web processes for each test process; and single ones for other tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import msgspec
import pytest

from tests.acceptance import processes
from tests.acceptance.stack import Stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Podium with an empty catalog; tests that use it share the xdist group ``stack``."""
    with (
        processes.place() as data,
        processes.dev(data, processes.free_port(), "--no-demo", "--workers", "2") as dev,
    ):
        yield Stack(**msgspec.structs.asdict(dev.wait()))
        assert "Traceback" not in (data / "web.log").read_text()
        assert "Traceback" not in (data / "worker.log").read_text()


@pytest.fixture
async def http(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the admin key."""
    async with stack.http() as client:
        yield client
