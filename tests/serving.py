"""A real uvicorn around an application, in the test's own process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from podium.cli.serve import HEADERS


@asynccontextmanager
async def serving(app: Any, **options: Any) -> AsyncIterator[str]:
    """The address that it listens on."""
    config = uvicorn.Config(app, port=0, lifespan="off", log_config=None, headers=HEADERS, **options)
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    # Without its main loop, which only counts seconds, and ends within a tenth of one.
    await server.startup()
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    # What its own shutdown() does besides is to sleep for a tenth of a second.
    for listener in server.servers:
        listener.close()
    for connection in list(server.server_state.connections):
        connection.shutdown()
