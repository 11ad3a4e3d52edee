"""Whatever is sent is answered as the contract says, in words that name the field, and nobody else notices."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
import websockets

from podium.spaces import store
from tests.acceptance.stack import Board, Stack, post
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("stack")

BODY_LIMIT, BATCH_LIMIT = 1_000_000, 4_000_000
"""Bytes; the defaults of the settings ``body_limit`` and ``batch_limit``."""


@pytest.fixture(scope="module")
def board(stack: Stack) -> Board:
    """One board for the whole module."""
    return asyncio.run(stack.board(public=True))


@pytest.fixture
async def neighbour(stack: Stack, board: Board, http: httpx.AsyncClient) -> AsyncIterator[None]:
    """Somebody whose events must go on working: before, and on the same connection after."""
    before = (await post(http, board.metric, "neighbour", 1)).json()["total"]
    yield
    assert (await post(http, board.metric, "neighbour", 1)).json()["total"] == before + 1


def _refused(answer: httpx.Response, status: int, word: str) -> None:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error"}
    assert word in body["error"], body


def _event(**changes: Any) -> bytes:
    """An event with some fields changed; ASCII, so that lone surrogates can be written."""
    return json.dumps({"user": {"id": "mallory"}, "value": 1, **changes}).encode()


EVENTS: list[tuple[bytes, int, str]] = [
    (b"", 400, "JSON"),
    (b"hello", 400, "JSON"),
    (b"{", 400, "JSON"),
    (b"\xff\xfe", 400, "JSON"),
    (b'{"user":{"id":"\xc3\x28"},"value":1}', 400, "JSON"),
    (b"[" * 100_000, 400, "body"),
    (b"null", 400, "body"),
    (b"[]", 400, "body"),
    (b"{}", 400, "user"),
    (b'{"user":{"id":"mallory"}}', 400, "value"),
    (b'{"user":{},"value":1}', 400, "user.id"),
    (_event(user="mallory"), 400, "user"),
    (_event(user={"id": 7}), 400, "user.id"),
    (_event(user={"id": None}), 400, "user.id"),
    (_event(user={"id": "mallory", "name": 7}), 400, "user.name"),
    (_event(user={"id": "mallory", "attributes": []}), 400, "user.attributes"),
    (_event(value="1"), 400, "value"),
    (_event(value=None), 400, "value"),
    (_event(value=True), 400, "value"),
    (b'{"user":{"id":"mallory"},"value":NaN}', 400, "JSON"),
    (b'{"user":{"id":"mallory"},"value":Infinity}', 400, "JSON"),
    (b'{"user":{"id":"mallory"},"value":-Infinity}', 400, "JSON"),
    (b'{"user":{"id":"mallory"},"value":1e999}', 422, "value"),
    (_event(value=1e308), 422, "value"),
    (_event(value=-1e308), 422, "value"),
    (b'{"user":{"id":"mallory"},"value":' + b"9" * 400 + b"}", 422, "value"),
    (_event(value=1e16), 422, "value"),
    (_event(user={"id": ""}), 422, "user.id"),
    (_event(user={"id": "x" * 1_000}), 422, "user.id"),
    (_event(user={"id": "a\x00b"}), 422, "user.id"),
    (_event(user={"id": "a\nb"}), 422, "user.id"),
    (_event(user={"id": "mallory", "name": "a\x00b"}), 422, "name"),
    (_event(user={"id": "mallory", "name": "x" * 256}), 422, "name"),
    (_event(user={"id": "mallory", "tz": "Mars/Olympus"}), 422, "tz"),
    (_event(user={"id": "mallory", "tz": "../../etc/passwd"}), 422, "tz"),
    (_event(user={"id": "mallory", "tz": ""}), 422, "tz"),
    (_event(user={"id": "mallory", "attributes": {"nope": "x"}}), 422, "Invalid attribute keys: nope"),
    (_event(attributes={"nope": "x"}), 422, "Invalid attribute keys: nope"),
    (_event(user={"id": "mallory", "subscribeToEmails": True}), 422, "subscribeToEmails"),
    (_event(user={"id": "mallory", "signUpDate": "9999-12-31"}), 422, "signUpDate"),
    (_event(timestamp="yesterday"), 422, "timestamp"),
    (_event(timestamp="2026-11-23T12:00:00"), 422, "timestamp"),
    (_event(timestamp="2999-01-01T00:00:00Z"), 422, "timestamp"),
    (_event(timestamp=5), 400, "timestamp"),
]


@pytest.mark.parametrize(("body", "status", "word"), EVENTS, ids=lambda value: repr(value)[:60])
@pytest.mark.usefixtures("neighbour")
async def test_event(http: httpx.AsyncClient, board: Board, body: bytes, status: int, word: str) -> None:
    answer = await http.post(f"/v1/metrics/{board.metric}/event", content=body)
    _refused(answer, status, word)
    assert (await http.get("/v1/users/mallory")).status_code == 404


@pytest.mark.parametrize("field", ["id", "name"])
@pytest.mark.usefixtures("neighbour")
async def test_lone_surrogate(http: httpx.AsyncClient, board: Board, field: str) -> None:
    answer = await http.post(
        f"/v1/metrics/{board.metric}/event", content=_event(user={"id": "mallory", field: "\ud800"})
    )
    _refused(answer, 422, f"user.{field}")


@pytest.mark.usefixtures("neighbour")
async def test_huge_values_twice(http: httpx.AsyncClient, board: Board) -> None:
    """Two values that are fine alone, whose sum can't be counted exactly."""
    largest = 9_007_199_254_740.0
    assert (await post(http, board.metric, "hoarder", largest)).status_code == 201
    _refused(await post(http, board.metric, "hoarder", largest), 422, "total")
    assert (await post(http, board.metric, "hoarder", -largest)).json()["total"] == 0


@pytest.mark.usefixtures("neighbour")
async def test_unknown_metric(http: httpx.AsyncClient) -> None:
    for key in ("nothing", "%00", "%F0%9F%98%80", "x" * 5_000, "..%2f..%2fetc"):
        answer = await http.post(f"/v1/metrics/{key}/event", content=_event())
        assert answer.status_code in (404, 422)
        assert answer.json()["error"]


@pytest.mark.parametrize(
    "header",
    [b"k" * 256, b"", b"\xff\xfe", b"a\x01b", "é".encode() * 256],
    ids=["long", "empty", "binary", "control", "long UTF-8"],
)
@pytest.mark.usefixtures("neighbour")
async def test_idempotency_key(http: httpx.AsyncClient, board: Board, header: bytes) -> None:
    answer = await http.post(
        f"/v1/metrics/{board.metric}/event", content=_event(), headers=[(b"Idempotency-Key", header)]
    )
    if b"\x01" in header:
        assert answer.status_code in (400, 422)  # a header with a control character is no HTTP
        return
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"].lower().replace("-", "").startswith("idempotencykey")


@pytest.mark.usefixtures("neighbour")
async def test_too_large(http: httpx.AsyncClient, board: Board) -> None:
    huge = b'"' + b"x" * BODY_LIMIT + b'"'
    for path in (f"/v1/metrics/{board.metric}/event", "/v1/users", "/admin/v1/metrics"):
        _refused(await http.post(path, content=huge), 413, "1,000,000")
    _refused(await http.post("/admin/v1/metrics/events", content=b" " * (BATCH_LIMIT + 1)), 413, "4,000,000")


BATCHES: list[tuple[Any, int, str]] = [
    ([], 422, "1 to 1,000"),
    ([{"key": "METRIC", "user": {"id": "mallory"}, "value": 1}] * 1_001, 422, "1 to 1,000"),
    ({}, 400, "body"),
    ([{"key": "METRIC", "user": {"id": "mallory"}, "value": 1}, {}], 400, "[1]"),
    (
        [
            {"key": "METRIC", "user": {"id": "mallory"}, "value": 1},
            {"key": "nothing", "user": {"id": "mallory"}, "value": 1},
        ],
        404,
        "[1]",
    ),
    (
        [
            {"key": "METRIC", "user": {"id": "mallory"}, "value": 1},
            {"key": "METRIC", "user": {"id": "x" * 1_000}, "value": 1},
        ],
        422,
        "[1]",
    ),
    ([{"key": "METRIC", "user": {"id": "mallory"}, "value": 1, "idempotencyKey": "k" * 256}], 422, "[0]"),
    ([{"key": "METRIC", "user": {"id": "mallory"}, "value": "1"}], 400, "[0].value"),
]


@pytest.mark.parametrize(("items", "status", "word"), BATCHES, ids=lambda value: repr(value)[:40])
@pytest.mark.usefixtures("neighbour")
async def test_batch(http: httpx.AsyncClient, board: Board, items: Any, status: int, word: str) -> None:
    body = json.dumps(items).replace("METRIC", board.metric)
    _refused(await http.post("/admin/v1/metrics/events", content=body), status, word)
    assert (await http.get("/v1/users/mallory")).status_code == 404  # nothing of it was stored


@pytest.mark.usefixtures("neighbour")
async def test_keys(stack: Stack, board: Board) -> None:
    path = f"/v1/metrics/{board.metric}/event"
    async with stack.database() as connection:
        space = await connection.fetchval("SELECT id FROM spaces ORDER BY id LIMIT 1")
        reader = await store.create_key(connection, space, "reader", ("read",))
        revoked = await store.create_key(connection, space, "revoked")

    async def status(key: bytes | None) -> int:
        headers = [] if key is None else [(b"X-API-KEY", key)]
        answer = await client.post(path, content=_event(user={"id": "keys"}), headers=headers)
        assert answer.status_code < 300 or set(answer.json()) == {"error"}
        return answer.status_code

    async with stack.http(headers={}) as client:
        for bad in (
            None,
            b"",
            b"x",
            b"12345678.nothing",
            stack.admin_key[:-1].encode(),
            b"\xff\xfe",
            b"k" * 5_000,
        ):
            assert await status(bad) == 401, bad

        async def answers(key: str, expected: int) -> bool:
            return all([await status(key.encode()) == expected for _ in range(4)])

        await until(lambda: answers(revoked, 201))
        await until(lambda: answers(reader, 403))
        assert (await client.get("/v1/leaderboards", headers={"X-API-KEY": reader})).status_code == 200
        async with stack.database() as connection:
            await connection.execute("UPDATE api_keys SET revoked_at = now() WHERE name = 'revoked'")
            await store.announce(connection)
        await until(lambda: answers(revoked, 401))


READS: list[tuple[str, int, str]] = [
    ("/v1/leaderboards/nowhere", 404, "nowhere"),
    ("/v1/leaderboards/BOARD?offset=-1", 422, "offset"),
    ("/v1/leaderboards/BOARD?limit=0", 422, "limit"),
    ("/v1/leaderboards/BOARD?limit=ten", 400, "limit"),
    ("/v1/leaderboards/BOARD?run=2026-02-30", 422, "run"),
    ("/v1/leaderboards/BOARD?userAttributes=a:b", 422, "userAttributes"),
    ("/v1/users/nobody", 404, "nobody"),
    ("/v1/users/%00", 422, "id"),
    ("/v1/users/nobody/metrics", 404, "nobody"),
    ("/v1/users/neighbour/metrics/nothing", 404, "nothing"),
    ("/v1/users/nobody/leaderboards/BOARD", 404, "nobody"),
    (
        "/v1/users/neighbour/metrics/METRIC/event-summary?aggregation=hourly&startDate=2026-01-01&endDate=2026-01-02",
        422,
        "aggregation",
    ),
    (
        "/v1/users/neighbour/metrics/METRIC/event-summary?aggregation=daily&startDate=2026-01-02&endDate=2026-01-01",
        422,
        "Date",
    ),
    (
        "/v1/users/neighbour/metrics/METRIC/event-summary?aggregation=daily&startDate=2020-01-01&endDate=2026-01-01",
        422,
        "400",
    ),
    ("/admin/v1/metrics/not-a-uuid", 422, "UUID"),
    ("/admin/v1/metrics?limit=101", 422, "limit"),
    ("/nowhere", 404, ""),
]


@pytest.mark.parametrize(("path", "status", "word"), READS)
@pytest.mark.usefixtures("neighbour")
async def test_read(http: httpx.AsyncClient, board: Board, path: str, status: int, word: str) -> None:
    answer = await http.get(path.replace("BOARD", board.key).replace("METRIC", board.metric))
    _refused(answer, status, word)


@pytest.mark.parametrize(
    "path",
    [
        "/healthz",
        "/v1/leaderboards",
        "/nowhere",
        "/docs",
        "/widget/podium-leaderboard.js",
        "/gallery/",
        "/console/sign-in",
    ],
)
async def test_no_browser_guesses_what_an_answer_is(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).headers["x-content-type-options"] == "nosniff"


async def test_wrong_method(http: httpx.AsyncClient, board: Board) -> None:
    answer = await http.delete(f"/v1/metrics/{board.metric}/event")
    assert (answer.status_code, set(answer.json())) == (405, {"error"})


@pytest.mark.parametrize(
    "frame",
    [
        "hello",
        "[]",
        "null",
        "{" * 5_000,
        '{"id":1}',
        '{"id":-1,"connect":{}}',
        '{"id":"x","connect":{}}',
        '{"id":1,"connect":7}',
        '{"id":1,"subscribe":{"channel":"leaderboard:x"}}',
        '{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"leaderboard:\\ud800"}}',
        '{"id":1,"connect":{}}\n{"id":2,"rpc":{"method":"event","data":"\\u0000"}}',
        '{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":7}}',
        b"\x00\xff\xfe",
    ],
    ids=lambda frame: repr(frame)[:40],
)
@pytest.mark.usefixtures("neighbour")
async def test_socket_garbage(stack: Stack, board: Board, frame: str | bytes) -> None:
    """It ends only the connection that sent it, or is an error reply; a viewer beside it sees what happens."""
    channel = f"leaderboard:{board.key}"
    async with websockets.connect(stack.socket_url) as viewer, websockets.connect(stack.socket_url) as bad:
        await viewer.send(json.dumps({"id": 1, "connect": {}}))
        await viewer.send(json.dumps({"id": 2, "subscribe": {"channel": channel}}))
        await bad.send(frame)
        async with asyncio.timeout(20):
            replies: list[dict[str, Any]] = []
            with suppress(websockets.ConnectionClosed):
                while not any("error" in reply for reply in replies):
                    replies += [json.loads(line) for line in str(await bad.recv()).split("\n")]
            assert bad.close_code is None or 3500 <= bad.close_code < 4000
        async with stack.http() as http:
            await post(http, board.metric, "seen", 1)
        async with asyncio.timeout(20):
            while '"seen"' not in str(await viewer.recv()):
                pass
