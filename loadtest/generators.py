"""Load: Debian's ``wrk`` where it is installed, and a small generator of our own for what it can't do
(a given rate, batches, a machine without it).

Ours is one thread over plain sockets and ``select``, because a loop's timers come only each millisecond. At a
given rate it is open-loop: what is due is due, however slow the answers are, and latency counts from the instant
at which a request was due. So a stall shows in every request that it delayed.
"""

from __future__ import annotations

import json
import random
import resource
import select
import shutil
import socket
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from loadtest.histogram import quantile

HOST = "127.0.0.1"
BATCH = 1_000
BODIES = 40
"""Different batches that are made before the start, so that making them costs nothing meanwhile."""
DRAIN_S = 10.0
"""What is waited for answers after the end."""


class Load(NamedTuple):
    """``pool`` users, evenly spread over all ``users``, get events of value 1. ``rate``: requests a second,
    None for as many as are answered. ``batch``: events of a request, 0 for single ones. ``keyed``: single events
    carry an idempotency key."""

    port: int
    key: str
    metric: str
    users: int
    pool: int
    connections: int
    seconds: float
    rate: float | None = None
    batch: int = 0
    keyed: bool = False

    @property
    def stride(self) -> int:
        """Distance between two users of the pool."""
        return max(1, self.users // self.pool)


class Climb(NamedTuple):
    """Changes of the first places of boards, in turn: change ``number`` makes a climber of its board the first,
    with ``base + number`` as the total. ``boards`` are leaderboards, ``metrics`` theirs; climbers are new users.

    Everybody can tell from a total which change it was, and from that when it was due."""

    tag: str
    boards: tuple[str, ...]
    metrics: tuple[str, ...]
    climbers: int
    base: int
    start_s: float
    rate: float
    count: int
    warm: int = 0
    """Changes before this one are not looked for."""

    @property
    def round(self) -> int:
        """Changes until a climber's next turn."""
        return self.climbers * len(self.boards)

    def user(self, number: int) -> str:
        """Who climbs."""
        return f"{self.tag}-{number % self.round}"

    def number_of(self, user: str) -> int:
        """The change of one who climbs once; -1 for somebody else."""
        tag, _, number = user.rpartition("-")
        return int(number) if tag == self.tag else -1

    def value(self, number: int) -> int:
        """The event's value."""
        return self.base + number if number < self.round else self.round

    def due_s(self, number: int) -> float:
        """When it is to be posted (``perf_counter``, which all processes of a machine share)."""
        return self.start_s + number / self.rate


class Result(NamedTuple):
    """``accepted`` events were answered with 201 or 202, ``refused`` requests with anything else, ``unknown``
    events not at all. ``cpu_s`` is what the generator took."""

    accepted: int
    refused: int
    unknown: int
    seconds: float
    p50_s: float
    p99_s: float
    cpu_s: float

    @property
    def rate(self) -> float:
        """Accepted events a second."""
        return self.accepted / self.seconds if self.seconds else 0.0


def user_id(number: int) -> str:
    """The id of a seeded user."""
    return f"u{number:07d}"


def single(load: Load, user: str, value: int, key: str = "", metric: str = "") -> bytes:
    """A whole HTTP request that posts one event, of the load's metric unless another is named."""
    body = f'{{"user":{{"id":"{user}"}},"value":{value}}}'
    header = f"Idempotency-Key: {key}\r\n" if key else ""
    return (
        f"POST /v1/metrics/{metric or load.metric}/event HTTP/1.1\r\nHost: {HOST}\r\nX-API-KEY: {load.key}\r\n"
        f"Content-Type: application/json\r\n{header}Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def _batch(load: Load, dice: random.Random) -> bytes:
    items = [
        {"key": load.metric, "user": {"id": user_id(dice.randrange(load.pool) * load.stride)}, "value": 1}
        for _ in range(load.batch)
    ]
    body = json.dumps(items, separators=(",", ":"))
    return (
        f"POST /admin/v1/metrics/events HTTP/1.1\r\nHost: {HOST}\r\nX-API-KEY: {load.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


class _Connection:
    """A kept-alive connection with at most one request under way."""

    __slots__ = ("buffer", "due_s", "sock")

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection((HOST, port), timeout=5)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.due_s = 0.0

    def fileno(self) -> int:
        return self.sock.fileno()

    def send(self, request: bytes, due_s: float) -> None:
        self.due_s = due_s
        self.sock.sendall(request)

    def receive(self) -> int:
        """The status once the answer is whole, else 0. ``ConnectionError`` if the server hung up."""
        data = self.sock.recv(65_536)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return 0
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return 0
        self.buffer = body[length:]
        return int(head[9:12])


def post(load: Load) -> Result:
    """Play a load with the generator of our own; blocks until it is over."""
    dice = random.Random(load.pool)
    bodies = [_batch(load, dice) for _ in range(BODIES)] if load.batch else []
    run = f"{dice.getrandbits(32):08x}{time.time_ns():x}" if load.keyed else ""

    def request(sent: int) -> bytes:
        if bodies:
            return bodies[sent % BODIES]
        user = user_id(dice.randrange(load.pool) * load.stride)
        return single(load, user, 1, f"{run}{sent}" if run else "")

    return _play(load, request, time.perf_counter())


def climb(load: Load, changes: Climb) -> Result:
    """Play changes; of the load only port, key and connections count."""
    load = load._replace(rate=changes.rate, seconds=changes.count / changes.rate)

    def request(sent: int) -> bytes:
        metric = changes.metrics[sent % len(changes.metrics)]
        return single(load, changes.user(sent), changes.value(sent), metric=metric)

    return _play(load, request, changes.start_s)


def _play(load: Load, request: Callable[[int], bytes], start_s: float) -> Result:
    idle = deque(_Connection(load.port) for _ in range(load.connections))
    busy: set[_Connection] = set()
    latencies: list[float] = []
    sent = accepted = refused = unknown = 0
    cpu_s = time.process_time()
    time.sleep(max(0.0, start_s - time.perf_counter()))
    end_s = start_s + load.seconds
    while True:
        now_s = time.perf_counter()
        due_s = start_s + sent / load.rate if load.rate else now_s
        while idle and due_s <= now_s and due_s < end_s:
            connection = idle.popleft()
            connection.send(request(sent), due_s)
            busy.add(connection)
            sent += 1
            due_s = start_s + sent / load.rate if load.rate else now_s
        over = due_s >= end_s or now_s >= end_s
        if over and (not busy or now_s > end_s + DRAIN_S):
            break
        wait_s = DRAIN_S if over or not idle else max(0.0, due_s - now_s)
        for connection in select.select(busy, (), (), wait_s)[0]:
            try:
                status = connection.receive()
            except ConnectionError:
                unknown += load.batch or 1
                busy.discard(connection)
                idle.append(_Connection(load.port))
                continue
            if status:
                latencies.append(time.perf_counter() - connection.due_s)
                if status in (201, 202):
                    accepted += load.batch or 1
                else:
                    refused += 1
                busy.discard(connection)
                idle.append(connection)
    seconds = time.perf_counter() - start_s
    for connection in (*idle, *busy):
        connection.sock.close()
    p50_s, p99_s = quantile(latencies, 0.5), quantile(latencies, 0.99)
    return Result(
        accepted,
        refused,
        unknown + len(busy) * (load.batch or 1),
        seconds,
        p50_s,
        p99_s,
        time.process_time() - cpu_s,
    )


# The request is put together by hand: wrk.format would cost the generator half of its rate.
_LUA = """
local head = "POST /v1/metrics/%(metric)s/event HTTP/1.1\\r\\nHost: %(host)s\\r\\nX-API-KEY: %(key)s\\r\\n"
  .. "Content-Type: application/json\\r\\n"
local random, format = math.random, string.format
local keyed, sent, run = %(keyed)s, 0, "%(run)s"
math.randomseed(%(seed)d)

request = function()
  local body = format('{"user":{"id":"u%%07d"},"value":1}', random(0, %(last)d) * %(stride)d)
  local key = ""
  if keyed then
    sent = sent + 1
    key = "Idempotency-Key: " .. run .. sent .. "\\r\\n"
  end
  return head .. key .. "Content-Length: " .. #body .. "\\r\\n\\r\\n" .. body
end

done = function(summary, latency)
  local e = summary.errors
  io.write(format('RESULT {"requests":%%d,"refused":%%d,"unknown":%%d,"us":%%d,"p50_us":%%d,"p99_us":%%d}\\n',
    summary.requests, e.status, e.connect + e.read + e.write + e.timeout, summary.duration,
    latency:percentile(50), latency:percentile(99)))
end
"""


def has_wrk() -> bool:
    """Whether ``wrk`` is installed."""
    return shutil.which("wrk") is not None


def wrk(load: Load) -> Result:
    """Play a closed-loop load of single events with wrk; without it, with the generator of our own."""
    if not has_wrk():
        return post(load)
    seed = time.time_ns() % 1_000_000_007
    script = _LUA % {
        "metric": load.metric,
        "host": HOST,
        "key": load.key,
        "keyed": str(load.keyed).lower(),
        "run": f"{time.time_ns():x}-",
        "seed": seed,
        "last": load.pool - 1,
        "stride": load.stride,
    }
    with tempfile.TemporaryDirectory(prefix="podium-wrk-") as folder:
        path = Path(folder) / "events.lua"
        path.write_text(script)
        command = ["wrk", "-t1", f"-c{load.connections}", f"-d{max(1, round(load.seconds))}s", "-s", str(path)]
        cpu_s = _children_cpu_s()
        done = subprocess.run(
            [*command, f"http://{HOST}:{load.port}"],
            capture_output=True,
            text=True,
            check=True,
            timeout=load.seconds + 60,
        )
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    found = json.loads(line.removeprefix("RESULT "))
    return Result(
        accepted=found["requests"] - found["refused"],
        refused=found["refused"],
        unknown=found["unknown"],
        seconds=found["us"] / 1e6,
        p50_s=found["p50_us"] / 1e6,
        p99_s=found["p99_us"] / 1e6,
        cpu_s=_children_cpu_s() - cpu_s,
    )


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
