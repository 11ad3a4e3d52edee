"""People who post, over HTTP and over sockets, and people who watch (README.md has the commands).

The key comes from PODIUM_KEY, or from the ``dev.json`` that ``--dev-file`` names. For saturation use bench.py: one
locust process plays a few hundred people at most.

Locust's own statistics show besides the requests: ``rank update (server)``, from the header ``Server-Timing`` of
answers to events: from request parsed to rank known; ``event → frame``, from sending an event to a viewer's frame
that shows its total, and ``rank update``, from sending it to the frame of the sender's own place. At the end
``--record`` notes who sent what and what viewers saw last, for ``python -m loadtest.verify --record``.
"""

from __future__ import annotations

import json
import os
import random
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import gevent
import gevent.event
import websocket
from locust import HttpUser, between, constant, events, task

from loadtest.timing import rank_ms

METRIC = os.environ.get("PODIUM_METRIC", "words-written")
BOARD = os.environ.get("PODIUM_BOARD", "all-time")
ROWS = 500
REMEMBERED = 100_000
"""Events whose sending is remembered, so that a soak test doesn't grow."""
ANSWER_S = 10.0
QUIET_S = 2.0
"""Once nobody posts, a viewer that hears nothing for so long has seen the last."""
STOP_S = 30.0


class Ledger:
    """What everybody of this process sent, and saw in the end."""

    def __init__(self) -> None:
        self.sent_s: dict[tuple[str, float], float] = {}
        self.totals: dict[str, int] = {}
        self.unknown: set[str] = set()
        """Users with an event that was never answered: their total may be either."""
        self.boards: list[list[tuple[str, float]]] = []
        self.places: dict[str, tuple[int | None, float | None]] = {}
        self.posting = 0

    def sending(self, user: str, value: int) -> None:
        if len(self.sent_s) >= REMEMBERED:
            del self.sent_s[next(iter(self.sent_s))]
        self.sent_s[user, float(self.totals.get(user, 0) + value)] = time.perf_counter()
        self.unknown.add(user)

    def accepted(self, user: str, value: int) -> None:
        self.totals[user] = self.totals.get(user, 0) + value
        self.unknown.discard(user)


ledger = Ledger()


@events.init_command_line_parser.add_listener
def _options(parser: Any) -> None:
    parser.add_argument("--dev-file", default=".podium/dev.json", help="Of podium dev: has the admin key.")
    parser.add_argument("--record", default="", help="File to note in what was sent and seen.")
    parser.add_argument("--peak", type=int, default=60, help="Most users of a shape.")
    parser.add_argument("--length", type=float, default=60, help="Seconds of a shape.")


@events.init.add_listener
def _begin(environment: Any, **_: Any) -> None:
    environment.stop_timeout = STOP_S  # posts are answered, and viewers see the last frame


@events.test_stop.add_listener
def _end(environment: Any, **_: Any) -> None:
    if environment.parsed_options.record:
        found = {
            "metric": METRIC,
            "board": BOARD,
            "totals": ledger.totals,
            "unknown": sorted(ledger.unknown),
            "boards": ledger.boards,
            "places": ledger.places,
        }
        Path(environment.parsed_options.record).write_text(json.dumps(found))


class Person(HttpUser):
    """Somebody with an id and a token of their own."""

    abstract = True

    def on_start(self) -> None:
        options = self.environment.parsed_options
        key = os.environ.get("PODIUM_KEY") or json.loads(Path(options.dev_file).read_text())["adminKey"]
        self.id = f"locust-{uuid.uuid4().hex[:8]}"
        self.client.headers["X-API-KEY"] = key

    def connect(self) -> Socket:
        """A socket that may watch, and write for this user."""
        answer = self.client.post(
            f"/v1/users/{self.id}/realtime-token", json={"caps": ["events:write"]}, name="realtime-token"
        )
        answer.raise_for_status()
        return Socket(self, answer.json()["token"])

    def post_event(self, value: int, **headers: str) -> bool:
        """Send an event over HTTP; whether it was accepted. Two entries in the statistics: the request, and the
        server's rank update, which is a part of it."""
        ledger.sending(self.id, value)
        answer = self.client.post(
            f"/v1/metrics/{METRIC}/event",
            json={"user": {"id": self.id}, "value": value},
            headers=headers,
            name="event over HTTP",
        )
        took_ms = rank_ms(answer.headers.get("server-timing"))
        if took_ms is not None:
            self.environment.events.request.fire(
                request_type="POST",
                name="rank update (server)",
                response_time=took_ms,
                response_length=0,
                exception=None,
            )
        if answer.status_code == 201:
            ledger.accepted(self.id, value)
        return bool(answer.ok)

    @property
    def ending(self) -> bool:
        """The whole test ends, not only this user."""
        return self.environment.runner.state in ("stopping", "stopped", "cleanup")


class Socket:
    """A connection that reads by itself, keeps the boards that it watches, and reports what it sees."""

    def __init__(self, person: Person, token: str) -> None:
        self._person = person
        self._ids = 0
        self._answers: dict[int, gevent.event.AsyncResult] = {}
        self.rows: list[dict[str, Any]] = []
        self.place: tuple[int | None, float | None] = (None, None)
        self.heard_s = time.perf_counter()
        url = person.host.replace("http", "ws", 1) + "/connection/websocket"
        self._socket = websocket.create_connection(url, timeout=None, enable_multithread=True)
        self._reader = gevent.spawn(self._read)
        self.ask("connect", {"token": token})

    def ask(self, method: str, body: dict[str, Any], name: str = "") -> dict[str, Any]:
        """Send a command and wait for its answer; an entry in the statistics."""
        self._ids += 1
        answer = self._answers[self._ids] = gevent.event.AsyncResult()
        began_s = time.perf_counter()
        failure: Exception | None = None
        reply: dict[str, Any] = {}
        try:
            self._socket.send(json.dumps({"id": self._ids, method: body}))
            reply = answer.get(timeout=ANSWER_S)
            if "error" in reply:
                failure = RuntimeError(str(reply["error"]))
        except (gevent.Timeout, OSError, websocket.WebSocketException) as error:
            failure = RuntimeError(repr(error))
        self._report(name or method, began_s, failure)
        found: dict[str, Any] = reply.get(method, {})
        return found

    def watch_board(self) -> None:
        data = self.ask("subscribe", {"channel": f"leaderboard:{BOARD}", "data": {"limit": ROWS}})
        self.rows = data.get("data", {}).get("rows", [])

    def watch_place(self) -> None:
        self.ask("subscribe", {"channel": f"leaderboard:{BOARD}#{self._person.id}", "data": {"around": 2}})

    def close(self) -> None:
        self._reader.kill()
        with suppress(OSError, websocket.WebSocketException):
            self._socket.close()

    def _read(self) -> None:
        with suppress(OSError, websocket.WebSocketException):
            while message := self._socket.recv():
                self.heard_s = time.perf_counter()
                for line in message.split("\n"):
                    self._hear(json.loads(line))

    def _hear(self, frame: dict[str, Any]) -> None:
        if not frame:
            self._socket.send("{}")
        elif "id" in frame:
            self._answers.pop(frame["id"]).set(frame)
        elif (publication := frame["push"].get("pub")) is not None:
            data = publication["data"]
            if "#" in frame["push"]["channel"]:
                before, self.place = self.place, (data["rank"], data["value"])
                if data["value"] != before[1]:  # others move it too
                    self._saw("rank update", self._person.id, data["value"])
            else:
                self._change(data)

    def _change(self, data: dict[str, Any]) -> None:
        if data.get("reset"):
            self.rows = data["rows"]
            return
        gone = {*data["left"], *(row["userId"] for row in data["rows"])}
        self.rows = [row for row in self.rows if row["userId"] not in gone]
        for row in data["rows"]:
            self.rows.insert(row["position"], row)
            self._saw("event → frame", row["userId"], row["value"])

    def _saw(self, name: str, user: str, total: float | None) -> None:
        began_s = ledger.sent_s.get((user, total or 0.0))
        if began_s is not None:
            self._report(name, began_s, None)

    def _report(self, name: str, began_s: float, failure: Exception | None) -> None:
        self._person.environment.events.request.fire(
            request_type="WS",
            name=name,
            response_time=(time.perf_counter() - began_s) * 1e3,
            response_length=0,
            exception=failure,
        )


class Writer(Person):
    """Someone who writes now and then over HTTP, and looks at the board."""

    weight = 3
    wait_time = between(0.1, 1.0)

    def on_start(self) -> None:
        super().on_start()
        ledger.posting += 1

    def on_stop(self) -> None:
        ledger.posting -= 1

    @task(5)
    def write(self) -> None:
        self.post_event(random.randint(1, 500), **{"Idempotency-Key": uuid.uuid4().hex})

    @task(1)
    def look(self) -> None:
        self.client.get(f"/v1/leaderboards/{BOARD}", params={"limit": 10}, name="board")


class SocketWriter(Person):
    """Someone who writes over the socket, and follows their own place there."""

    weight = 2
    wait_time = between(0.1, 1.0)

    def on_start(self) -> None:
        super().on_start()
        ledger.posting += 1
        self.write_first()
        self.socket = self.connect()
        self.socket.watch_place()

    def write_first(self) -> None:
        """Users exist from their first event on."""
        self.post_event(1)

    def on_stop(self) -> None:
        ledger.posting -= 1
        if self.ending:
            until_quiet(self.socket)
            ledger.places[self.id] = self.socket.place
        self.socket.close()

    @task
    def write(self) -> None:
        value = random.randint(1, 500)
        ledger.sending(self.id, value)
        event = {"key": METRIC, "user": self.id, "value": value, "idempotencyKey": uuid.uuid4().hex}
        if self.socket.ask("rpc", {"method": "event", "data": event}, "rpc event"):
            ledger.accepted(self.id, value)


class Watcher(Person):
    """Someone who only watches the board."""

    weight = 2
    wait_time = constant(1)

    def on_start(self) -> None:
        super().on_start()
        self.socket = self.connect()
        self.socket.watch_board()

    def on_stop(self) -> None:
        if self.ending:
            until_quiet(self.socket)
            ledger.boards.append([(row["userId"], row["value"]) for row in self.socket.rows])
        self.socket.close()

    @task
    def watch(self) -> None:
        """Frames are read as they come."""


def until_quiet(socket: Socket) -> None:
    """Until nobody posts, and nothing has come for a while."""
    began_s = time.perf_counter()
    while time.perf_counter() < began_s + STOP_S / 2 and (
        ledger.posting or time.perf_counter() < max(began_s, socket.heard_s) + QUIET_S
    ):
        gevent.sleep(0.1)
