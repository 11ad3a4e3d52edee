"""Steady posting to all web processes, and a ledger of what was sent and what was acknowledged."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import websockets
from websockets.asyncio.client import ClientConnection

from tests.chaos.proxy import HOST

USERS = 150
ZONES = (None, None, None, "America/New_York", "Asia/Tokyo", "Pacific/Auckland")
CITIES = ("London", "New York", "Łódź", "東京")
METRICS = {"words": 0, "coins": 2}
"""Metrics by key, with their decimals."""
PATIENCE_S = 4.0
"""A client gives up on an answer after this long, and asks the other process."""
RETRY_S = 0.05
PAUSE_S = 0.06
"""Mean pause of a poster after an acknowledgement."""
BATCH_MAX = 20
ACCEPTED = (201, 202)
EXPECTED = (429, 503)


@dataclass(slots=True)
class Sent:
    """One event as its sender sees it. ``acked_s`` is when the first acknowledgement came, ``asked_s`` when the
    request went out that it answers, ``event_ids`` what acknowledgements named."""

    user: str
    metric: str
    units: int
    tries: int = 0
    asked_s: float = 0.0
    acked_s: float | None = None
    event_ids: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Ledger:
    """Events sent, by idempotency key or, without one, by the attribute ``tag``. Instants are monotonic (s)."""

    keyed: dict[str, Sent] = field(default_factory=dict)
    unkeyed: dict[str, Sent] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    ours: list[str] = field(default_factory=list)
    """Answers that say that Podium is wrong: 500 and the like."""
    unexpected: list[str] = field(default_factory=list)
    """Refusals of what is good."""
    last_ack_s: float = 0.0
    silences: list[tuple[float, float]] = field(default_factory=list)
    """Times without an acknowledgement of more than ``SILENCE_S``: begin and end."""

    def acked(self, sent: Sent, event_id: str | None = None) -> None:
        """An event was acknowledged."""
        now = time.monotonic()
        if sent.acked_s is None:
            sent.acked_s = now
        if event_id:
            sent.event_ids.add(event_id)
        if self.last_ack_s and now - self.last_ack_s > SILENCE_S:
            self.silences.append((self.last_ack_s, now))
        self.last_ack_s = now

    def answer(self, status: int, text: str, what: str) -> None:
        """Note the status of an answer."""
        self.statuses[status] += 1
        if status >= 500 and status != 503:
            self.ours.append(f"{what}: {status} {text[:300]}")
        elif status not in ACCEPTED and status not in EXPECTED and status != 200:
            self.unexpected.append(f"{what}: {status} {text[:300]}")

    @property
    def acknowledged(self) -> int:
        """Events that were acknowledged."""
        return sum(one.acked_s is not None for one in (*self.keyed.values(), *self.unkeyed.values()))


SILENCE_S = 0.25
"""A shorter time without an acknowledgement is none that a fault caused."""


class Load:
    """Posters until ``stop``. ``ports`` are those of the web processes as clients reach them."""

    def __init__(self, ports: list[int], key: str, seed: str, ledger: Ledger, posters: int = 8) -> None:
        self.ledger = ledger
        self._ports = ports
        self._key = key
        self._seed = seed
        self._posters = posters
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to post."""
        self._tasks = [
            asyncio.create_task(Poster(self, number).run(), name=f"poster-{number}")
            for number in range(self._posters)
        ]

    async def stop(self, patience_s: float) -> None:
        """Send nothing new; return when everything with a key is acknowledged. ``TimeoutError``."""
        self._stop.set()
        done, late = await asyncio.wait(self._tasks, timeout=patience_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        for task in done:
            task.result()
        if late:
            raise TimeoutError(f"{len(late)} posters wait for an acknowledgement for {patience_s:.0f} s")

    async def cancel(self) -> None:
        """End what is still under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def stopping(self) -> bool:
        """Whether posters shall come to an end."""
        return self._stop.is_set()

    @property
    def key(self) -> str:
        """The API key."""
        return self._key

    @property
    def seed(self) -> str:
        """What all choices follow from."""
        return self._seed

    def port(self, attempt: int) -> int:
        """Where an attempt goes."""
        return self._ports[attempt % len(self._ports)]

    def check(self) -> None:
        """Raise what a poster has died of: a fault of the harness."""
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error


class Poster:
    """One client: single events, batches and the socket in turn, each event until it is acknowledged.

    What has no key is sent twice at most. It stays with a web process as long as that answers.
    """

    def __init__(self, load: Load, number: int) -> None:
        self._load = load
        self._ledger = load.ledger
        self._number = number
        self._random = random.Random(f"{load.seed}-poster-{number}")
        self._names = itertools.count()
        self._web = number
        self._socket: ClientConnection | None = None
        self._commands = itertools.count(1)
        self._http: httpx.AsyncClient

    async def run(self) -> None:
        """Post until the load stops."""
        limits = httpx.Limits(max_connections=2)
        headers = {"X-API-KEY": self._load.key}
        async with httpx.AsyncClient(headers=headers, timeout=PATIENCE_S, limits=limits) as self._http:
            try:
                while not self._load.stopping:
                    chosen = self._random.random()
                    if chosen < 0.55:
                        await self._single()
                    elif chosen < 0.75:
                        await self._batch()
                    else:
                        await self._rpc()
                    await asyncio.sleep(self._random.expovariate(1 / PAUSE_S))
            finally:
                await self._hang_up()

    def _event(self) -> tuple[str, str | None, dict[str, Any], Sent]:
        """A new event: its name in the ledger, its key, its body with ``user``, ``value`` and more, its entry."""
        choose = self._random
        number = choose.randrange(USERS)
        user: dict[str, Any] = {"id": f"user-{number}"}
        if choose.random() < 0.15:
            user["attributes"] = {"city": choose.choice(CITIES)}
        if choose.random() < 0.1:
            user["name"] = f"User {number}"
        zone = ZONES[number % len(ZONES)]
        if zone is not None:
            user["tz"] = zone
        metric = "words" if choose.random() < 0.7 else "coins"
        units = choose.randrange(-3, 40)
        name = f"{self._load.seed}-{self._number}-{next(self._names)}"
        body: dict[str, Any] = {"user": user, "value": units / 10 ** METRICS[metric]}
        sent = Sent(str(user["id"]), metric, units)
        if choose.random() < 0.8:
            self._ledger.keyed[name] = sent
            return name, name, body, sent
        body["attributes"] = {"tag": name}
        self._ledger.unkeyed[name] = sent
        return name, None, body, sent

    async def _single(self) -> None:
        _, key, body, sent = self._event()
        headers = {"Idempotency-Key": key} if key else {}

        async def attempt(port: int) -> tuple[int, str]:
            url = f"http://{HOST}:{port}/v1/metrics/{sent.metric}/event"
            answer = await self._http.post(url, json=body, headers=headers)
            if answer.status_code in ACCEPTED:
                self._ledger.acked(sent, answer.json()["eventId"] if key else None)
            return answer.status_code, answer.text

        await self._until_accepted([sent], attempt, "event", keyed=key is not None)

    async def _batch(self) -> None:
        events = [self._event() for _ in range(self._random.randint(2, BATCH_MAX))]
        items = []
        for _, key, body, sent in events:
            items.append({"key": sent.metric, **body, **({"idempotencyKey": key} if key else {})})
        entries = [sent for *_, sent in events]

        async def attempt(port: int) -> tuple[int, str]:
            answer = await self._http.post(f"http://{HOST}:{port}/admin/v1/metrics/events", json=items)
            if answer.status_code in ACCEPTED:
                # Of a batch that is sent again some may have been stored before: they are `replayed`.
                body = answer.json()
                if body["accepted"] != len(items) or "refused" in body:
                    self._ledger.unexpected.append(f"batch of {len(items)}: {answer.text[:300]}")
                for sent in entries:
                    self._ledger.acked(sent)
            return answer.status_code, answer.text

        # Its events without a key may come as often as the batch is sent.
        await self._until_accepted(entries, attempt, "batch", keyed=True)

    async def _rpc(self) -> None:
        _, key, body, sent = self._event()
        data = {"key": sent.metric, **body, **({"idempotencyKey": key} if key else {})}

        async def attempt(port: int) -> tuple[int, str]:
            socket = await self._dial(port)
            number = next(self._commands)
            command = {"id": number, "rpc": {"method": "event", "data": data}}
            await socket.send(json.dumps(command))
            async with asyncio.timeout(PATIENCE_S):
                answer = await _answer(socket, number)
            error = answer.get("error")
            if error is None:
                self._ledger.acked(sent, answer["rpc"]["data"]["eventId"] if key else None)
                return 201, ""
            # Codes of errors that come from HTTP are its statuses.
            return _status(error), json.dumps(error)

        await self._until_accepted([sent], attempt, "rpc", keyed=key is not None)

    async def _until_accepted(
        self,
        entries: list[Sent],
        attempt: Callable[[int], Awaitable[tuple[int, str]]],
        what: str,
        *,
        keyed: bool,
    ) -> None:
        for tries in itertools.count(1):
            for sent in entries:
                sent.tries += 1
                if sent.acked_s is None:
                    sent.asked_s = time.monotonic()
            try:
                status, text = await attempt(self._load.port(self._web))
            except (httpx.TransportError, OSError, TimeoutError, websockets.WebSocketException):
                await self._hang_up()
            else:
                self._ledger.answer(status, text, what)
                if status in ACCEPTED:
                    return
                if status not in EXPECTED and (status < 500 or tries > 20):
                    return
            self._web += 1
            if not keyed and tries == 2:
                return
            await asyncio.sleep(RETRY_S)

    async def _dial(self, port: int) -> ClientConnection:
        """The socket to a web process, opened if need be."""
        wanted = f"ws://{HOST}:{port}/connection/websocket"
        if self._socket is not None and self._dialled == wanted:
            return self._socket
        await self._hang_up()
        self._socket = await dial(port, self._load.key)
        self._dialled = wanted
        self._commands = itertools.count(2)
        return self._socket

    _dialled = ""

    async def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.transport.abort()
            self._socket = None


def _status(error: dict[str, Any]) -> int:
    """The HTTP status that stands for the error of an rpc; its own code where there is none."""
    code = int(error["code"])
    if code == 100:
        # A store that is away says so in its own words.
        return 500 if error["message"] == "internal server error" else 503
    return 429 if code == 111 else code


async def dial(port: int, token: str) -> ClientConnection:
    """Open a socket and connect with a token (or key). ``OSError``, ``TimeoutError``, ``WebSocketException``."""
    async with asyncio.timeout(PATIENCE_S):
        socket = await websockets.connect(
            f"ws://{HOST}:{port}/connection/websocket",
            ping_interval=None,
            compression=None,
            close_timeout=0.1,
            proxy=None,
            max_size=None,
        )
        try:
            await socket.send(json.dumps({"id": 1, "connect": {"token": token}}))
            await _answer(socket, 1)
        except BaseException:
            with suppress(Exception):
                socket.transport.abort()
            raise
    return socket


async def _answer(socket: ClientConnection, number: int) -> dict[str, Any]:
    """The answer to a command; pings meanwhile are answered, pushes dropped."""
    while True:
        for line in str(await socket.recv()).splitlines():
            frame: dict[str, Any] = json.loads(line)
            if not frame:
                await socket.send("{}")
            elif frame.get("id") == number:
                return frame
