"""Thousands of viewers in one process, cheap enough to share two cores with the server.

Raw sockets with as much of WebSocket as the benchmark needs, and ``epoll``. Most viewers only count: their sockets
are emptied in turn, every few milliseconds, and publications are counted by their first bytes. A few are read the
moment something comes; their frames are parsed, and give latencies and boards.
"""

from __future__ import annotations

import json
import os
import resource
import select
import socket
import time
from array import array
from collections import deque
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import orjson

from loadtest.generators import HOST, Climb

PUBLICATION = b'{"push":'
SUBSCRIBED = b'"subscribe":{'
PING = b"{}"
TAIL = len(SUBSCRIBED) - 1
"""Bytes of the last read that are kept, so that what is counted may lie across two."""
TURN = 50
"""Sockets emptied in a row, before those that are timed get a look again."""
SMALL_BUFFER = 4_096
"""Receive buffer of a viewer that reads nothing: the kernel must not swallow its frames."""
AT_ONCE = 200
"""Connections under way, unless all are opened at once."""
CONNECT_S = 60.0
PAGE = 1 << 20
UPGRADE = (
    f"GET /connection/websocket HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: cG9kaXVtLWxvYWR0ZXN0IQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
).encode()


class Watcher(NamedTuple):
    """One viewer. ``does``: ``count`` publications; ``time`` the changes of a ``Climb``, or those of a ``Passing``
    where ``personal``; ``keep`` the board by the protocol's words; read ``nothing`` once it is subscribed."""

    channels: tuple[str, ...]
    does: str
    limit: int = 10
    interval: int = 0
    personal: bool = False


class Counted(NamedTuple):
    """What viewers saw of one load between two instants. ``seen_s`` are latencies, one for each change and viewer
    that looked for it; ``lost`` how many of those never came; ``closed`` how many viewers the server hung up on.
    """

    publications: int
    bytes: int
    seen_s: list[float]
    lost: int
    closed: int
    cpu_s: float


class Kept(NamedTuple):
    """Boards as viewers have them: each with the number of viewers, and those that missed a frame."""

    boards: list[tuple[list[tuple[str, float]], int]]
    gaps: int


class Own(NamedTuple):
    """The last own place of each personal channel: rank and value."""

    places: dict[str, tuple[int | None, float | None]]


def raise_limit() -> None:
    """As many open files as this process, and those that it starts, may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def text_frame(text: str) -> bytes:
    """A client's text frame, masked with zeros."""
    payload = text.encode()
    size = len(payload)
    head = bytes([0x81, 0x80 | size]) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
    return head + bytes(4) + payload


PONG = text_frame(PING.decode())


class Crowd:
    """The process, seen from the benchmark. Use as a context manager; ``ready_s`` are the seconds from the start
    of the first connection to each viewer's snapshots."""

    def __init__(self, port: int, token: str, watchers: list[Watcher], at_once: int = AT_ONCE) -> None:
        context = get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_main, args=(other, port, token, watchers, at_once), daemon=True)
        self.ready_s: list[float] = []

    def connect(self) -> None:
        """Until every viewer has its snapshots; blocks."""
        self._process.start()
        self.ready_s = self.hear()

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.is_alive():
            self._pipe.send(("end",))
            self._process.join(10)
        self._process.terminate()
        self._process.join()

    def hear(self) -> Any:
        """The next answer; blocks. ``RuntimeError`` with what went wrong over there."""
        try:
            answer = self._pipe.recv()
        except EOFError:
            raise RuntimeError("the viewers' process has ended") from None
        if isinstance(answer, str):
            raise RuntimeError(answer)
        return answer

    def look(self, begin_s: float, end_s: float, climb: Climb | None = None) -> None:
        """Count and time what comes between two instants (``perf_counter``); ``hear`` gives ``Counted``, 2 s
        after the end."""
        self._pipe.send(("look", begin_s, end_s, climb))

    def boards(self) -> Kept:
        """The boards of those who keep one."""
        self._pipe.send(("boards",))
        kept: Kept = self.hear()
        return kept

    def places(self) -> Own:
        """The own places of those who follow theirs."""
        self._pipe.send(("places",))
        own: Own = self.hear()
        return own


LATE_S = 2.0
"""What has not come by then is lost."""


class _Viewer:
    def __init__(self, number: int, watcher: Watcher) -> None:
        self.number = number
        self.watcher = watcher
        self.state = "new"
        self.subscribed = 0
        self.tail = b""
        self.counted = self.size = 0
        self.buffer = bytearray()
        self.closed = False
        self.rows: list[Any] = []
        self.seq = 0
        self.gap = False
        self.place: tuple[int | None, float | None] = (None, None)

    def open(self, port: int) -> None:
        self.sock = socket.socket()
        if self.watcher.does == "nothing":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect_ex((HOST, port))
        self.state = "connecting"

    def hello(self, token: str) -> bytes:
        lines = [json.dumps({"id": 1, "connect": {"token": token}})]
        for id_, channel in enumerate(self.watcher.channels, start=2):
            data = {"around": 2} if self.watcher.personal else self._options()
            lines.append(json.dumps({"id": id_, "subscribe": {"channel": channel, "data": data}}))
        return text_frame("\n".join(lines))

    def _options(self) -> dict[str, int]:
        return {"limit": self.watcher.limit, "interval": self.watcher.interval}


class _Room:
    """All viewers of the process."""

    def __init__(self, pipe: Connection, port: int, token: str, watchers: list[Watcher], at_once: int) -> None:
        self.pipe, self.port, self.token, self.at_once = pipe, port, token, at_once
        self.epoll = select.epoll()
        self.epoll.register(pipe.fileno(), select.EPOLLIN)
        self.viewers = [_Viewer(i, watcher) for i, watcher in enumerate(watchers)]
        self.by_file: dict[int, _Viewer] = {}
        self.counting: list[_Viewer] = []
        self.turn = 0
        self.page = bytearray(PAGE)
        self.ready_s: list[float] = []
        self.began_s = 0.0
        self.climb: Climb | None = None
        self.seen_s = array("d")
        self.seen: set[tuple[int, int]] = set()
        self.from_s = self.until_s = 0.0

    def connect(self) -> None:
        """Until every viewer has its snapshots."""
        waiting = deque(self.viewers)
        self.began_s = time.perf_counter()
        while len(self.ready_s) < len(self.viewers):
            under_way = len(self.by_file) + len(self.counting) - len(self.ready_s)
            while waiting and under_way < self.at_once:
                viewer = waiting.popleft()
                viewer.open(self.port)
                self.by_file[viewer.sock.fileno()] = viewer
                self.epoll.register(viewer.sock.fileno(), select.EPOLLOUT)
                under_way += 1
            self.step()
            if time.perf_counter() > self.began_s + CONNECT_S:
                raise RuntimeError(f"only {len(self.ready_s):,} of {len(self.viewers):,} viewers have a snapshot")

    def step(self) -> bool:
        """One look at all; True where the benchmark has said something."""
        said = False
        for file, _ in self.epoll.poll(0.001):
            viewer = self.by_file.get(file)
            if viewer is None:
                said = True
            elif viewer.state == "connecting":
                self._begin(viewer)
            else:
                self._read(viewer)
        for _ in range(min(TURN, len(self.counting))):
            self.turn = (self.turn + 1) % len(self.counting)
            self._read(self.counting[self.turn])
        return said

    def _begin(self, viewer: _Viewer) -> None:
        if viewer.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._hung_up(viewer)
            return
        viewer.sock.send(UPGRADE)
        viewer.state = "upgrading"
        self.epoll.modify(viewer.sock.fileno(), select.EPOLLIN)

    def _read(self, viewer: _Viewer) -> None:
        if viewer.closed:
            return
        kept = len(viewer.tail)
        try:
            got = viewer.sock.recv_into(memoryview(self.page)[kept:])
        except BlockingIOError:
            return
        except OSError:
            got = 0
        if not got:
            self._hung_up(viewer)
            return
        now_s = time.perf_counter()
        self.page[:kept] = viewer.tail
        size = kept + got
        if viewer.state == "ready" and viewer.watcher.does == "count":
            if self.from_s <= now_s < self.until_s:
                viewer.counted += self.page.count(PUBLICATION, 0, size)
                viewer.size += got
            if self.page.find(PING, 0, size) >= 0:
                viewer.sock.send(PONG)
            viewer.tail = bytes(self.page[max(0, size - len(PUBLICATION) + 1) : size])
            return
        data = bytes(self.page[kept:size])
        if viewer.state == "upgrading":
            viewer.buffer += data
            head, found, rest = bytes(viewer.buffer).partition(b"\r\n\r\n")
            if not found:
                return
            if b" 101 " not in head[:16]:
                raise RuntimeError(f"a viewer was refused: {head[:60].decode(errors='replace')}")
            viewer.sock.send(viewer.hello(self.token))
            viewer.state, viewer.buffer = "subscribing", bytearray()
            data = rest
        viewer.buffer += data
        for message in _messages(viewer.buffer):
            self._heard(viewer, message, now_s)

    def _heard(self, viewer: _Viewer, message: bytes, now_s: float) -> None:
        for line in message.split(b"\n"):
            if line == PING:
                viewer.sock.send(PONG)
                continue
            frame = orjson.loads(line)
            if "error" in frame:
                raise RuntimeError(f"a viewer was refused: {frame['error']}")
            if "subscribe" in frame:
                self._subscribed(viewer, frame["subscribe"]["data"], now_s)
            elif "push" in frame:
                publication = frame["push"].get("pub")
                if publication is not None:
                    self._published(viewer, publication["data"], now_s)

    def _subscribed(self, viewer: _Viewer, data: dict[str, Any], now_s: float) -> None:
        viewer.subscribed += 1
        if viewer.watcher.personal:
            viewer.place = data["rank"], data["value"]
        elif viewer.watcher.does == "keep":
            viewer.seq, viewer.rows = data["seq"], data["rows"]
        if viewer.subscribed < len(viewer.watcher.channels):
            return
        viewer.state = "ready"
        self.ready_s.append(now_s - self.began_s)
        if viewer.watcher.does in ("count", "nothing"):
            self.epoll.unregister(viewer.sock.fileno())
            del self.by_file[viewer.sock.fileno()]
            # Those that read nothing are in the list too, so that all are counted: closed to reading.
            self.counting.append(viewer)
            if viewer.watcher.does == "nothing":
                viewer.closed = True

    def _published(self, viewer: _Viewer, data: dict[str, Any], now_s: float) -> None:
        if self.from_s <= now_s < self.until_s:
            viewer.counted += 1
        if viewer.watcher.does == "keep":
            if data.get("reset"):
                viewer.rows = data["rows"]
            else:
                viewer.gap = viewer.gap or data["seq"] != viewer.seq + 1
                gone = {*data["left"], *(row["userId"] for row in data["rows"])}
                viewer.rows = [row for row in viewer.rows if row["userId"] not in gone]
                for row in data["rows"]:
                    viewer.rows.insert(row["position"], row)
            viewer.seq = data["seq"]
            return
        climb = self.climb
        if viewer.watcher.personal:
            viewer.place = data["rank"], data["value"]
            if climb is not None:
                for user in data["passedBy"]:
                    self._saw(viewer, climb, climb.number_of(user), now_s)
        elif climb is not None:
            for row in data["rows"]:
                number = round(row["value"] - climb.base)
                if 0 <= number < climb.count and climb.user(number) == row["userId"]:
                    self._saw(viewer, climb, number, now_s)

    def _saw(self, viewer: _Viewer, climb: Climb, number: int, now_s: float) -> None:
        if number < climb.warm or (number, viewer.number) in self.seen:
            return
        self.seen.add((number, viewer.number))
        self.seen_s.append(now_s - climb.due_s(number))

    def _hung_up(self, viewer: _Viewer) -> None:
        viewer.closed = True
        if viewer.state != "ready":
            raise RuntimeError(f"the server hung up on a viewer that was {viewer.state}")
        self.by_file.pop(viewer.sock.fileno(), None)
        viewer.sock.close()

    def look(self, begin_s: float, end_s: float, climb: Climb | None) -> Counted:
        self.climb, self.from_s, self.until_s = climb, begin_s, end_s
        self.seen_s = array("d")
        self.seen.clear()
        for viewer in self.viewers:
            viewer.counted = viewer.size = 0
        while time.perf_counter() < begin_s:
            self.step()
        cpu_s = time.process_time()
        while time.perf_counter() < end_s:
            self.step()
        cpu_s = time.process_time() - cpu_s
        while time.perf_counter() < end_s + LATE_S:
            self.step()
        expected = 0
        if climb is not None:
            for viewer in self.viewers:
                if viewer.watcher.does == "time":
                    shown = {climb.boards.index(board) for board in _boards(viewer) if board in climb.boards}
                    expected += sum(n % len(climb.boards) in shown for n in range(climb.warm, climb.count))
        self.climb = None
        return Counted(
            sum(viewer.counted for viewer in self.viewers),
            sum(viewer.size for viewer in self.viewers),
            self.seen_s.tolist(),
            expected - len(self.seen_s),
            sum(viewer.closed for viewer in self.viewers if viewer.watcher.does != "nothing"),
            cpu_s,
        )

    def boards(self) -> Kept:
        found: dict[str, int] = {}
        keepers = [viewer for viewer in self.viewers if viewer.watcher.does == "keep"]
        for viewer in keepers:
            shown = json.dumps([(row["userId"], row["value"]) for row in viewer.rows])
            found[shown] = found.get(shown, 0) + 1
        boards = [([(user, value) for user, value in json.loads(shown)], n) for shown, n in found.items()]
        return Kept(boards, sum(viewer.gap or viewer.closed for viewer in keepers))

    def places(self) -> Own:
        return Own({v.watcher.channels[0].rpartition("#")[2]: v.place for v in self.viewers if v.watcher.personal})


def _boards(viewer: _Viewer) -> list[str]:
    return [channel.partition(":")[2].partition("#")[0] for channel in viewer.watcher.channels]


def _messages(buffer: bytearray) -> list[bytes]:
    """Take the whole text frames out of a buffer; a server's are not masked."""
    messages = []
    while len(buffer) >= 2:
        size, head = buffer[1], 2
        if size == 126:
            size, head = int.from_bytes(buffer[2:4], "big"), 4
        elif size == 127:
            size, head = int.from_bytes(buffer[2:10], "big"), 10
        if len(buffer) < head + size:
            break
        if buffer[0] == 0x81:
            messages.append(bytes(buffer[head : head + size]))
        elif buffer[0] == 0x88:
            code = int.from_bytes(buffer[head : head + 2], "big")
            raise RuntimeError(f"the server closed a viewer with {code} {bytes(buffer[head + 2 : head + size])!r}")
        del buffer[: head + size]
    return messages


def _main(pipe: Connection, port: int, token: str, watchers: list[Watcher], at_once: int) -> None:
    raise_limit()
    room = _Room(pipe, port, token, watchers, at_once)
    try:
        room.connect()
        pipe.send(room.ready_s)
        while True:
            if not room.step():
                continue
            match pipe.recv():
                case ("look", begin_s, end_s, climb):
                    pipe.send(room.look(begin_s, end_s, climb))
                case ("boards",):
                    pipe.send(room.boards())
                case ("places",):
                    pipe.send(room.places())
                case _:
                    break
    except RuntimeError as error:
        pipe.send(str(error))
    pipe.close()
    os._exit(0)  # closing thousands of sockets one by one takes long, and nothing is left to be saved
