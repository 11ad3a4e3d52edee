"""How long any one request keeps the event loop from everybody else, with the largest data that is legal.

    uv run python -m loadtest.loop --users 20000

Starts stores and a worker of its own, and a web process that measures each step of its loop in CPU time
(``loop_server.py``), fills a space (``loop_world.py``) and asks for every route, rpc and stream
(``loop_cases.py``). Prints a table, the longest step first; the exit code is 1 where one took more than
``HELD_MAX_MS``.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import click
import httpx
import msgspec
import websockets
from tqdm import tqdm

from loadtest.generators import HOST
from loadtest.loop_cases import CASES, STREAM, Call
from loadtest.loop_server import PATH, Steps
from loadtest.loop_world import VETERAN, fill
from loadtest.stack import Stack, child, connect, free_port, open_stack, until_answered
from podium.storage.embedded import DataFolder
from podium.storage.embedded.temporary import temporary_folder

HELD_MAX_MS = 50.0
"""A step that takes longer fails the run."""
TIMEOUT_S = 300.0


class Row(NamedTuple):
    """A request and what it did to the loop. ``held_ms`` is the longest step, of any task."""

    name: str
    status: int
    size: int
    held_ms: float
    cpu_ms: float
    what: str


async def measure(users: int, data: Path | None, only: str) -> bool:
    """Print the table; whether nothing held the loop for too long."""
    with DataFolder(data) if data is not None else temporary_folder() as folder:
        whole = folder.path / "filled"
        filled = whole.exists()
        async with open_stack(folder, 1, filled=filled) as stack:
            if not filled:
                await fill(stack, users)
                whole.touch()
            async with _serving(stack) as url:
                rows = await _Tour(stack, url).run(only)
    rows.sort(key=lambda row: -row.held_ms)
    click.echo("\n| longest step ms | CPU ms | status | bytes | request | what ran |\n|---|---|---|---|---|---|")
    for row in rows:
        click.echo(
            f"| {row.held_ms:.1f} | {row.cpu_ms:.0f} | {row.status} | {row.size:,} | {row.name} | {row.what} |"
        )
    return all(row.held_ms <= HELD_MAX_MS for row in rows)


@asynccontextmanager
async def _serving(stack: Stack) -> AsyncIterator[str]:
    """A worker, and the web process that measures itself: where it listens."""
    port = free_port()
    environment = {**stack._environment(port), "PODIUM_CONNECTIONS_PER_ADDRESS": "1000"}
    url = f"http://{HOST}:{port}"
    with (
        child(stack.folder, "worker", ["-m", "podium", "worker"], environment) as worker,
        child(stack.folder, "web", ["-m", "loadtest.loop_server"], environment) as web,
    ):
        await until_answered(url + "/readyz", 200, [worker, web])
        yield url


class _Tour:
    def __init__(self, stack: Stack, url: str) -> None:
        self._stack, self._url = stack, url
        self._rows: list[Row] = []
        self._known: dict[str, str] = {}

    async def run(self, only: str) -> list[Row]:
        headers = {"X-API-KEY": self._stack.key}
        async with (
            httpx.AsyncClient(base_url=self._url, timeout=TIMEOUT_S) as console,
            httpx.AsyncClient(base_url=self._url, headers=headers, timeout=TIMEOUT_S) as http,
        ):
            await self._look_up(http)
            await self._sign_in(console)
            await self._steps(http)
            for case, calls in tqdm(CASES.items(), unit="route"):
                if only in case:
                    for at, call in enumerate(calls, 1):
                        name = case if len(calls) == 1 else f"{case} ({at})"
                        client = console if "/console" in case else http
                        await self._ask(http, client, name, case.split(" ")[0], call)
            if only in STREAM:
                await self._stream(http)
            if only in "socket":
                await self._socket(http)
        return self._rows

    async def _look_up(self, http: httpx.AsyncClient) -> None:
        connection = await connect(self._stack)
        space = self._stack.services.directory.production
        try:
            ids = await connection.fetch(
                "SELECT id::text FROM events WHERE space_id = $1 AND user_id = $2 LIMIT 3", space.id, VETERAN
            )
            run = await connection.fetchval("SELECT run FROM run_standings WHERE space_id = $1 LIMIT 1", space.id)
        finally:
            await connection.close()
        document = (await http.get("/admin/v1/catalog")).text
        self._known = {"{event}": ids[0][0], "{run}": run, "{document}": document}

    async def _sign_in(self, console: httpx.AsyncClient) -> None:
        form = {"secret": self._stack.key}
        answer = await console.post("/console/sign-in", data=form, headers={"Origin": self._url})
        if answer.status_code != 303:
            raise click.ClickException(f"sign-in: {answer.status_code} {answer.text[:200]}")

    async def _steps(self, http: httpx.AsyncClient) -> Steps:
        return msgspec.json.decode((await http.get(PATH)).content, type=Steps)

    async def _ask(
        self, http: httpx.AsyncClient, client: httpx.AsyncClient, name: str, method: str, call: Call
    ) -> None:
        path = call.path
        for word, text in self._known.items():
            if word != "{document}":
                path = path.replace(word, text)
        content: Any = {}
        if call.form is not None:
            page = (await client.get(path)).text
            hidden = dict(re.findall(r'name="(csrf|form|seen)" value="([^"]*)"', page))
            content = {"data": {**hidden, **call.form}}
        elif call.body is not None:
            body = call.body if isinstance(call.body, str) else json.dumps(call.body)
            content = {"content": self._known.get(body, body)}
        headers = dict(call.headers) | ({"Origin": self._url} if "/console" in path else {})
        await self._steps(http)
        answer = await client.request(method, path, headers=headers, **content)
        if answer.status_code >= 300 and answer.status_code not in call.may:
            click.echo(f"{name}: {answer.status_code} {answer.text[:300]}", err=True)
        elif b'"severity":"error"' in answer.content and b'"created":[]' in answer.content:
            click.echo(f"{name}: {answer.text[:300]}", err=True)
        # A commit brings another version of the catalog, loaded whole.
        await self._note(http, name, answer.status_code, len(answer.content))

    async def _note(self, http: httpx.AsyncClient, name: str, status: int, size: int) -> None:
        steps = await self._steps(http)
        longest = steps.longest[0] if steps.longest else None
        held, what = (longest.ms, longest.what) if longest is not None else (0.0, "")
        self._rows.append(Row(name, status, size, held, steps.cpu_ms, what))
        if held > HELD_MAX_MS:
            click.echo(f"{held:.0f} ms: {name}: {[(step.ms, step.what) for step in steps.longest]}", err=True)

    async def _stream(self, http: httpx.AsyncClient) -> None:
        await self._steps(http)
        seen = b""
        async with http.stream("GET", "/v1/leaderboards/all-time/live", params={"limit": 500}) as answer:
            async for piece in answer.aiter_bytes():
                seen += piece
                if b"\n\n" in seen or answer.status_code != 200:
                    break
        if answer.status_code != 200:
            click.echo(f"{STREAM}: {answer.status_code} {seen[:200]!r}", err=True)
        await self._note(http, STREAM, answer.status_code, len(seen))

    async def _socket(self, http: httpx.AsyncClient) -> None:
        """The socket's methods, of a server that may write."""
        token = (await http.post(f"/v1/users/{VETERAN}/realtime-token", json={})).json().get("token", "")
        address = f"ws{self._url[4:]}/connection/websocket"
        head = {"X-API-KEY": self._stack.key}
        batch = [{"key": "m0", "user": {"id": f"u{at:07d}"}, "value": 1} for at in range(1_000)]
        subscribed = {"data": {"limit": 500}, "channel": "leaderboard:all-time"}
        commands: list[tuple[str, dict[str, Any]]] = [
            ("connect", {"connect": {"token": self._stack.key}}),
            ("subscribe leaderboard", {"subscribe": subscribed}),
            ("subscribe user", {"subscribe": {"channel": f"user#{VETERAN}"}}),
            (
                "subscribe personal",
                {"subscribe": {"channel": f"leaderboard:all-time#{VETERAN}", "data": {"around": 50}}},
            ),
            ("rpc event", {"rpc": {"method": "event", "data": {"key": "m0", "user": VETERAN, "value": 1}}}),
            ("rpc events", {"rpc": {"method": "events", "data": batch}}),
            ("ping", {"ping": {}}),
            ("unsubscribe", {"unsubscribe": {"channel": "leaderboard:all-time"}}),
        ]
        await self._commands(http, address, head, commands)
        of_user = [
            ("connect of a user", {"connect": {"token": token}}),
            ("refresh", {"refresh": {"token": token}}),
        ]
        await self._commands(http, address, {}, of_user)

    async def _commands(
        self,
        http: httpx.AsyncClient,
        address: str,
        headers: dict[str, str],
        commands: list[tuple[str, dict[str, Any]]],
    ) -> None:
        """Send commands over one socket, each when the one before is answered."""
        async with websockets.connect(address, additional_headers=headers, max_size=None) as socket:
            for number, (name, command) in enumerate(commands, 1):
                await self._steps(http)
                await socket.send(json.dumps({"id": number, **command}))
                answer = ""
                with suppress(TimeoutError):
                    async with asyncio.timeout(30):
                        while f'"id":{number}' not in answer.replace(" ", ""):
                            answer = str(await socket.recv())
                if not answer or '"error"' in answer:
                    click.echo(f"socket {name}: {answer[:200]}", err=True)
                await self._note(http, f"socket {name}", 200, len(answer))


@click.command(help=__doc__)
@click.option("--users", default=20_000, show_default=True, help="Users in the space.")
@click.option("--data", type=click.Path(path_type=Path), help="Folder to fill once and to ask again.")
@click.option("--only", default="", help="Only routes whose name contains this.")
def main(users: int, data: Path | None, only: str) -> None:
    """The command."""
    sys.exit(0 if asyncio.run(measure(users, data, only)) else 1)


if __name__ == "__main__":
    main()
