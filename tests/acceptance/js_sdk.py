"""The published JavaScript SDK, driven from Python: in Node, and in headless Chromium."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser

from tests.waiting import until

FOLDER = Path(__file__).with_name("js")
LINE_MAX = 1 << 20

Event = dict[str, Any]
Sdk = Callable[[str], AbstractAsyncContextManager["Client"]]
"""A client for the server at a URL: in Node, or in Chromium."""


class Client:
    """One SDK client. ``events`` is all that it told, in order."""

    def __init__(self, run: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        self.events: list[Event] = []
        self.run = run

    def told(self, event: str, **fields: Any) -> list[Event]:
        """The events of a kind, with these fields."""
        wanted = {"event": event, **fields}
        return [found for found in self.events if wanted.items() <= found.items()]

    async def hear(self, event: str, count: int = 1, **fields: Any) -> Event:
        """Wait for the ``count``-th event of a kind."""
        await until(lambda: len(self.told(event, **fields)) >= count)
        return self.told(event, **fields)[count - 1]

    async def connect(self, url: str, token: str = "", *tokens: str) -> None:
        """Connect, and be connected; ``tokens`` answer the SDK's questions for new ones."""
        await self.run({"command": "connect", "url": url, "token": token, "tokens": tokens})
        await self.hear("connected")

    async def subscribe(self, channel: str, **data: Any) -> None:
        await self.run({"command": "subscribe", "channel": channel, "data": data})

    async def rpc(self, method: str, data: Any) -> Event:
        """The answer, or the refusal."""
        before = len(self.told("answer")) + len(self.told("refused"))
        await self.run({"command": "rpc", "method": method, "data": data})
        await until(lambda: len(self.told("answer")) + len(self.told("refused")) > before)
        return next(event for event in reversed(self.events) if event["event"] in ("answer", "refused"))

    def board(self, channel: str) -> tuple[int, list[tuple[str, float]]]:
        """Participants and rows by the words of the protocol, from the last snapshot on."""
        participants, seq = -1, -1
        rows: list[Any] = []
        for event in self.events:
            if event.get("channel") != channel or "data" not in event:
                continue
            data = event["data"]
            if event["event"] == "subscribed" or data.get("reset"):
                rows = data["rows"]
            else:
                assert data["seq"] == seq + 1
                gone = {*data["left"], *(row["userId"] for row in data["rows"])}
                rows = [row for row in rows if row["userId"] not in gone]
                for row in data["rows"]:
                    rows.insert(row["position"], row)
            participants, seq = data["participants"], data["seq"]
        return participants, [(row["userId"], row["value"]) for row in rows]


def needed(*packages: str) -> None:
    """Skip, or in CI fail, where something is missing."""
    missing = [name for name in ("nodejs", "chromium") if name in packages and not _program(name)]
    missing += [
        f"{name} (npm install, in tests/acceptance/js)"
        for name in ("centrifuge", "ws", "@trophyso/node", "axe-core")
        if name in packages and not (FOLDER / "node_modules" / name).exists()
    ]
    if missing:
        why = f"missing: {', '.join(missing)}"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)


def _program(package: str) -> str | None:
    return shutil.which({"nodejs": "node"}.get(package, package))


@asynccontextmanager
async def in_node(url: str) -> AsyncIterator[Client]:
    """The SDK in Node, with ``ws``."""
    needed("nodejs", "centrifuge", "ws")
    process = await asyncio.create_subprocess_exec(
        str(_program("nodejs")),
        str(FOLDER / "node.mjs"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_MAX,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    async def run(command: dict[str, Any]) -> None:
        stdin.write(json.dumps(command).encode() + b"\n")
        await stdin.drain()

    client = Client(run)

    async def read() -> None:
        async for line in stdout:
            client.events.append(json.loads(line))

    reading = asyncio.create_task(read())
    yield client
    stdin.close()
    await reading
    assert await process.wait() == 0


@asynccontextmanager
async def in_chromium(browser: Browser, url: str) -> AsyncIterator[Client]:
    """The SDK's browser bundle in a page of the server's origin."""
    needed("centrifuge")
    async with await browser.new_context() as profile:
        page = await profile.new_page()

        async def run(command: dict[str, Any]) -> None:
            await page.evaluate("command => window.driver(command)", command)

        client = Client(run)
        await page.expose_function("told", lambda event: client.events.append(event))
        # Any page that the server itself sends: a made-up one may not open sockets to this machine.
        await page.goto(f"{url}/readyz")
        await page.add_script_tag(path=FOLDER / "node_modules" / "centrifuge" / "dist" / "centrifuge.js")
        await page.add_script_tag(path=FOLDER / "driver.js")
        # Answers of an exposed function are promises: in order, as each waits for the one before.
        await page.evaluate(
            """() => {
              let last = Promise.resolve();
              window.driver = makeDriver(Centrifuge, (event) => { last = last.then(() => told(event)); }, {});
            }"""
        )
        yield client
