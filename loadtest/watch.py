"""From an event to the frame that shows it: one viewer of the first 10 places, every change a new first place.

Sender and viewer are one process, so both instants come from one clock. The time includes the HTTP request on its
way in and the parsing of the frame.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import Any

import uvloop
import websockets

from loadtest.generators import HOST, Load, single

CLIMBERS = 20
"""More than places in the window: each change brings somebody in and puts somebody out. Nobody else posts for
them."""
TOP = 1_000_000_000
"""Far above what anybody was seeded with."""
LATE_S = 2.0
"""A frame that has not come by then counts as lost."""


def watch(load: Load, board: str) -> tuple[list[float], int]:
    """Play the changes of a load (``rate`` a second) against a board; seconds from event to frame, and how many
    changes no frame showed. Blocks until it is over."""
    return uvloop.run(_watch(load, board))


async def _watch(load: Load, board: str) -> tuple[list[float], int]:
    assert load.rate is not None
    loop = asyncio.get_running_loop()
    sent_s: dict[tuple[str, float], float] = {}
    latencies: list[float] = []
    async with websockets.connect(f"ws://{HOST}:{load.port}/connection/websocket", compression=None) as socket:
        await _subscribe(socket, load.key, board)
        viewer = asyncio.create_task(_view(socket, sent_s, latencies))
        senders = [await asyncio.open_connection(HOST, load.port) for _ in range(8)]
        idle: asyncio.Queue[Any] = asyncio.Queue()
        for sender in senders:
            idle.put_nowait(sender)
        climbers = [f"climber-{number}" for number in range(CLIMBERS)]
        totals = {climber: await _total(load, climber, idle) for climber in climbers}
        posting: list[asyncio.Task[bytes]] = []
        top = max(TOP, *totals.values())
        began_s = loop.time()
        changes = round(load.rate * load.seconds)
        for change in range(changes):
            await asyncio.sleep(began_s + change / load.rate - loop.time())
            user = climbers[change % CLIMBERS]
            top += 1
            value, totals[user] = top - totals[user], top
            sender = await idle.get()
            sent_s[user, float(top)] = time.perf_counter()
            posting.append(asyncio.create_task(_send(sender, single(load, user, value), idle)))
        await asyncio.gather(*posting)
        await asyncio.sleep(LATE_S)
        viewer.cancel()
        with suppress(asyncio.CancelledError):
            await viewer
        for _, writer in senders:
            writer.close()
    return latencies, len(sent_s)


async def _subscribe(socket: Any, token: str, board: str) -> None:
    await socket.send(json.dumps({"id": 1, "connect": {"token": token}}))
    request = {"channel": f"leaderboard:{board}", "data": {"limit": 10, "interval": 0}}
    await socket.send(json.dumps({"id": 2, "subscribe": request}))
    while True:
        for line in (await socket.recv()).split("\n"):
            reply = json.loads(line)
            if "error" in reply:
                raise RuntimeError(f"the viewer was refused: {reply['error']}")
            if reply.get("id") == 2:
                return


async def _view(socket: Any, sent_s: dict[tuple[str, float], float], latencies: list[float]) -> None:
    async for message in socket:
        now_s = time.perf_counter()
        for line in message.split("\n"):
            frame = json.loads(line)
            if not frame:
                await socket.send("{}")
                continue
            for row in frame.get("push", {}).get("pub", {}).get("data", {}).get("rows", ()):
                began_s = sent_s.pop((row["userId"], float(row["value"])), None)
                if began_s is not None:
                    latencies.append(now_s - began_s)


async def _send(sender: Any, request: bytes, idle: asyncio.Queue[Any]) -> bytes:
    reader, writer = sender
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    body: bytes = await reader.readexactly(length)
    idle.put_nowait(sender)
    if head[9:12] != b"201":
        raise RuntimeError(f"an event was answered with {head[9:12].decode()}: {body.decode()}")
    return body


async def _total(load: Load, user: str, idle: asyncio.Queue[Any]) -> int:
    """The user's total, after an event of value 0."""
    return int(json.loads(await _send(await idle.get(), single(load, user, 0), idle))["total"])
