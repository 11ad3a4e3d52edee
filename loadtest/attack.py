"""The cost of one attacker to everybody else: ``uv run python -m loadtest.attack``.

Starts everything in a temporary folder and posts events politely at a steady rate. Beside that one attack at a
time runs for some seconds, from one connection (or as many as its name says) that comes back when it is closed.
Prints the others' p99 alone (right before) and during, and how much the web process grew at most.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import multiprocessing
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import click
import httpx
import psutil

from loadtest.generators import HOST
from loadtest.stack import Stack, open_stack
from podium.demo.catalog import METRIC
from podium.storage.embedded import DataFolder, temporary_folder
from podium.telemetry import logs

RATE = 50
"""Polite events a second."""
BOARD = "attacked"
PATTERN = "*a*a*a*a"
"""Of the attacker's token: as many stars as a token may have."""

Attack = Callable[[int, str, float], None]
"""Attacks a port until an instant of the monotonic clock; the text is a realtime token."""


def _open(port: int) -> socket.socket:
    return socket.create_connection((HOST, port), timeout=5)


def _frame(data: bytes, opcode: int = 1, *, fin: bool = True, size: int | None = None) -> bytes:
    """A client's frame, masked with zeros; ``size`` is what its head says, unless that is the truth."""
    size = len(data) if size is None else size
    head = bytes([0x80 * fin | opcode])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 1 << 16:
        head += b"\xfe" + struct.pack("!H", size)
    else:
        head += b"\xff" + struct.pack("!Q", size)
    return head + b"\0\0\0\0" + data


def _upgraded(port: int) -> socket.socket:
    found = _open(port)
    found.sendall(
        b"GET /connection/websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    found.recv(65_536)
    return found


def _again(until_s: float, attack: Callable[[], None]) -> None:
    """Attack anew whenever the server has closed."""
    while time.monotonic() < until_s:
        with suppress(OSError):
            attack()


def _pour(sock: socket.socket, data: Iterator[bytes] | bytes, until_s: float) -> None:
    """Send without end, and read what comes so that nothing else holds the server up."""
    with sock:
        sock.setblocking(False)
        for piece in itertools.repeat(data) if isinstance(data, bytes) else data:
            rest = memoryview(piece)
            while rest:
                if time.monotonic() > until_s:
                    return
                with suppress(BlockingIOError):
                    if not sock.recv(1 << 20):
                        return
                try:
                    rest = rest[sock.send(rest) :]
                except BlockingIOError:
                    time.sleep(0.001)


def _commands(token: str, channel: Callable[[int], str]) -> Iterator[bytes]:
    """Frames of a viewer who subscribes and leaves as fast as the server reads."""
    yield _frame(json.dumps({"id": 1, "connect": {"token": token} if token else {}}).encode())
    for number in itertools.count(2, 2):
        body = {"channel": channel(number)}
        lines = [
            json.dumps({"id": number, "subscribe": body}),
            json.dumps({"id": number + 1, "unsubscribe": body}),
        ]
        yield _frame("\n".join(lines).encode())


def patterns(port: int, token: str, until_s: float) -> None:
    """A user whose token has the worst patterns subscribes to long names that nearly match."""
    name = f"leaderboard:{'a' * 60}#mal" + "a" * 900
    _again(until_s, lambda: _pour(_upgraded(port), _commands(token, lambda _: name), until_s))


def groups(port: int, token: str, until_s: float) -> None:
    """A viewer without a token subscribes to long names of groups in which nobody is."""
    del token
    long = "x" * 900

    def name(number: int) -> str:
        return f"leaderboard:{BOARD}?city={number}{long}"

    _again(until_s, lambda: _pour(_upgraded(port), _commands("", name), until_s))


def long_names(port: int, token: str, until_s: float) -> None:
    """A viewer without a token subscribes to names of 3.5 MB."""
    del token
    long = "x" * 3_500_000
    commands = lambda: _commands("", lambda number: f"leaderboard:{BOARD}?city={number}{long}")  # noqa: E731
    _again(until_s, lambda: _pour(_upgraded(port), commands(), until_s))


def _requests(start: bytes, rest: bytes) -> Attack:
    def attack(port: int, token: str, until_s: float) -> None:
        del token
        _again(until_s, lambda: _pour(_open(port), itertools.chain([start], itertools.repeat(rest)), until_s))

    return attack


def _frames(data: bytes) -> Attack:
    def attack(port: int, token: str, until_s: float) -> None:
        del token
        _again(until_s, lambda: _pour(_upgraded(port), data, until_s))

    return attack


def half_frames(port: int, token: str, until_s: float) -> None:
    """150 sockets hold all but the end of the largest frame that they may send."""
    del token
    held = []
    for size in (3_900_000, 65_000):
        for _ in range(150):
            with suppress(OSError):
                sock = _upgraded(port)
                sock.sendall(_frame(b"x" * (size - 1), size=size))
                held.append(sock)
    time.sleep(max(0.0, until_s - time.monotonic()))
    for sock in held:
        sock.close()


def slow_heads(port: int, token: str, until_s: float) -> None:
    """200 connections send a byte of a head now and then."""
    del token
    held = [_open(port) for _ in range(200)]
    while time.monotonic() < until_s:
        for sock in held:
            with suppress(OSError):
                sock.send(b"G" if time.monotonic() < until_s - 4 else b"E")
        time.sleep(0.5)
    for sock in held:
        sock.close()


POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
ATTACKS: dict[str, Attack] = {
    "patterns of a token, 4 stars": patterns,
    "names of groups that don't exist": groups,
    "names of 3.5 MB": long_names,
    "one header without end": _requests(POST + b"X: ", b"x" * 1_000_000),
    "small headers without end": _requests(POST, b"X: x\r\n" * 100_000),
    "a URL without end": _requests(b"GET /", b"x" * 1_000_000),
    "a cookie of backslashes": _requests(
        b"", b'GET /console/ HTTP/1.1\r\nHost: x\r\nCookie: podium_console="' + rb"\"" * 30_000 + b'"\r\n\r\n'
    ),
    "a chunk extension without end": _requests(POST + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 1_000_000),
    "chunks of one byte": _requests(POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 100_000),
    "requests in a pipeline": _requests(b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 5_000),
    "pongs before connect": _frames(_frame(b"{}\n" * 20_000)),
    "empty frames": _frames(_frame(b"") * 10_000),
    "WebSocket pings": _frames(_frame(b"", 9) * 10_000),
    "150 half frames": half_frames,
    "200 slow heads": slow_heads,
}


class Polite:
    """Posts events at a steady rate, and notes how long each answer took (s)."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.latencies_s: list[float] = []
        self.failed = 0

    async def run(self) -> None:
        """Post until cancelled."""
        headers = {"X-API-KEY": self._stack.key}
        async with httpx.AsyncClient(base_url=self._stack.url, headers=headers, timeout=60) as client:
            began_s, posting = time.monotonic(), set()
            for number in itertools.count():
                await asyncio.sleep(max(0.0, began_s + number / RATE - time.monotonic()))
                task = asyncio.create_task(self._post(client, number))
                posting.add(task)
                task.add_done_callback(posting.discard)

    async def _post(self, client: httpx.AsyncClient, number: int) -> None:
        body = {"user": {"id": f"polite-{number % 20}"}, "value": 1}
        began_s = time.monotonic()
        try:
            answer = await client.post(f"/v1/metrics/{METRIC}/event", json=body)
            self.failed += answer.status_code != 201
        except httpx.TransportError:
            self.failed += 1
        self.latencies_s.append(time.monotonic() - began_s)

    def take_p99_ms(self) -> float:
        """Return the p99 since the last call."""
        found, self.latencies_s = sorted(self.latencies_s), []
        return 1000 * found[int(len(found) * 0.99)] if found else float("nan")


def _memory(pid: int) -> int:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).memory_info().rss
    return 0


async def _attacked(stack: Stack, polite: Polite, attack: Attack, token: str, seconds: float) -> tuple[Any, ...]:
    polite.take_p99_ms()
    await asyncio.sleep(seconds)
    alone_ms = polite.take_p99_ms()
    before = most = _memory(stack.pids["web"])
    process = multiprocessing.get_context("fork").Process(
        target=attack, args=(stack.port, token, time.monotonic() + seconds), daemon=True
    )
    process.start()
    while process.is_alive():
        await asyncio.sleep(0.05)
        most = max(most, _memory(stack.pids["web"]))
    during_ms = polite.take_p99_ms()
    return alone_ms, during_ms, (most - before) / 1e6


async def _prepare(stack: Stack) -> str:
    """Make a public board with groups; the attacker's token."""
    headers = {"X-API-KEY": stack.key}
    async with httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=10) as client:
        metrics = (await client.get("/admin/v1/metrics", params={"limit": 100})).raise_for_status().json()
        metric = next(one for one in metrics if one["key"] == METRIC)
        board = {"key": BOARD, "name": BOARD, "rankBy": "metric", "metricId": metric["id"], "status": "active"}
        attribute = {"name": "City", "key": "city", "type": "user"}
        made = (await client.post("/admin/v1/attributes", json=[attribute])).raise_for_status().json()
        board |= {"public": True, "breakdownAttributes": [made["created"][0]["id"]]}
        made = (await client.post("/admin/v1/leaderboards", json=[board])).raise_for_status().json()
        if made["issues"]:
            raise click.ClickException(str(made["issues"]))
        path = "/v1/users/mallory/realtime-token"
        answer = await client.post(path, json={"channels": [PATTERN + "!"] * 100})
        return str(answer.raise_for_status().json()["token"])


async def run(folder: DataFolder, seconds: float, only: tuple[str, ...]) -> None:
    """Run the attacks and print the table."""
    logs.configure("error", "console")
    async with open_stack(folder, 1) as stack, stack.serving():
        token = await _prepare(stack)
        polite = Polite(stack)
        posting = asyncio.create_task(polite.run())
        await asyncio.sleep(2)
        click.echo("| attack | others' p99 alone (ms) | during (ms) | memory (MB more) |\n|---|---|---|---|")
        for name, attack in ATTACKS.items():
            if only and not any(word in name for word in only):
                continue
            alone_ms, during_ms, grown = await _attacked(stack, polite, attack, token, seconds)
            click.echo(f"| {name} | {alone_ms:.0f} | {during_ms:.0f} | {grown:.0f} |")
        posting.cancel()
        click.echo(f"\n{polite.failed} polite events failed")


@click.command()
@click.option("--seconds", default=5.0, show_default=True, help="How long each attack lasts.")
@click.option("--only", multiple=True, help="A word of an attack's name; may be given several times.")
def main(seconds: float, only: tuple[str, ...]) -> None:
    """Attack a server of its own, and print what that costs the others."""
    with temporary_folder() as folder:
        asyncio.run(run(folder, seconds, only))


if __name__ == "__main__":
    main()
