"""Viewers that keep boards by the words of the live protocol: a snapshot, then who left and who stands where."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from typing import Any

import websockets

from tests.chaos.load import PATIENCE_S, dial

LIMIT = 50
AGAIN_S = 0.1
SILENT_S = 40.0
"""A connection on which not even a ping came for this long is dead: 25 s lie between two of them."""


class Gap(Exception):
    """A frame is missing: the viewer must subscribe again."""


class Shown:
    """What a viewer has of a channel."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.subscribed = False
        self.seq = 0
        self.participants = 0
        self.rows: list[dict[str, Any]] = []
        self.own: dict[str, Any] = {}

    @property
    def personal(self) -> bool:
        return "#" in self.channel

    @property
    def _id(self) -> str:
        return "group" if self.channel.startswith("groups:") else "userId"

    def snapshot(self, data: dict[str, Any]) -> None:
        """Begin with a snapshot."""
        self.subscribed = True
        if self.personal:
            self.own = data
            return
        self.seq, self.participants, self.rows = data["seq"], data["participants"], data["rows"]

    def publication(self, data: dict[str, Any]) -> None:
        """Take in a frame; ``Gap`` where one before it is missing."""
        if self.personal:
            self.own = data
            return
        if data.get("reset"):
            self.rows = data["rows"]
        else:
            if data["seq"] != self.seq + 1:
                raise Gap(f"{self.channel}: {data['seq']} after {self.seq}")
            gone = {*data["left"], *(row[self._id] for row in data["rows"])}
            self.rows = [row for row in self.rows if row[self._id] not in gone]
            for row in data["rows"]:
                self.rows.insert(row["position"], row)
        self.seq, self.participants = data["seq"], data["participants"]

    def table(self) -> list[tuple[str, float]]:
        """Who stands there, best first, and their values."""
        return [(row[self._id], row["value"]) for row in self.rows]


class Viewer:
    """One viewer of some channels, who comes back whenever the connection ends."""

    def __init__(self, ports: list[int], key: str, channels: tuple[str, ...], number: int) -> None:
        self._ports = ports
        self._key = key
        self._number = number
        self.shown = {channel: Shown(channel) for channel in channels}
        self.seen: Counter[str] = Counter()
        """``connections``, ``frames``, ``gaps``."""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._task = asyncio.create_task(self._watch(), name=f"viewer-{self._number}")

    async def stop(self) -> None:
        """Go."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def check(self) -> None:
        """Raise what the viewer has died of: a fault of the harness."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    @property
    def complete(self) -> bool:
        """Whether every channel is subscribed."""
        return all(shown.subscribed for shown in self.shown.values())

    async def _watch(self) -> None:
        for attempt in itertools.count(self._number):
            try:
                await self._connection(self._ports[attempt % len(self._ports)])
            except Gap:
                self.seen["gaps"] += 1
            except (OSError, TimeoutError, KeyError, websockets.WebSocketException):
                pass  # KeyError: a command was answered with an error
            for shown in self.shown.values():
                shown.subscribed = False
            await asyncio.sleep(AGAIN_S)

    async def _connection(self, port: int) -> None:
        socket = await dial(port, self._key)
        self.seen["connections"] += 1
        try:
            asked: dict[int, Shown] = {}
            for number, shown in enumerate(self.shown.values(), start=2):
                asked[number] = shown
                data = {"around": 2} if shown.personal else {"limit": LIMIT, "interval": 50}
                command = {"id": number, "subscribe": {"channel": shown.channel, "data": data}}
                await socket.send(json.dumps(command))
            patience_s = PATIENCE_S
            while True:
                async with asyncio.timeout(patience_s):
                    text = str(await socket.recv())
                for line in text.splitlines():
                    frame = json.loads(line)
                    if not frame:
                        await socket.send("{}")
                    elif "id" in frame:
                        asked.pop(frame["id"]).snapshot(frame["subscribe"]["data"])
                    elif "pub" in frame.get("push", {}):
                        self.seen["frames"] += 1
                        push = frame["push"]
                        self.shown[push["channel"]].publication(push["pub"]["data"])
                patience_s = SILENT_S if not asked else PATIENCE_S
        finally:
            socket.transport.abort()
