"""Events that are answered without ASGI: as those that are, whatever comes around them on the connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from podium.http.transport import Headers, JoinedProtocol, Respond
from podium.services import Services
from tests.integration.http.test_attackers import Raw, raw
from tests.serving import serving
from tests.waiting import PATIENCE_S, until


class Endpoint:
    """Answers with what it was asked, once ``open``."""

    method, before, after, body_max = b"POST", b"/v1/metrics/", b"/event", 100

    def __init__(self) -> None:
        self.waiting: list[tuple[str, bytes, Respond]] = []
        self.open = True

    def answer_direct(self, part: str, headers: Headers, body: bytes, respond: Respond) -> None:
        self.waiting.append((part, body, respond))
        if self.open:
            self.answer_all()

    def answer_all(self) -> None:
        waiting, self.waiting = self.waiting, []
        for part, body, respond in waiting:
            respond(201, [(b"x-part", part.encode())], b"direct " + body)


class App:
    """The same by ASGI."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.direct = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        whole = b"asgi " + body
        headers = [(b"content-length", b"%d" % len(whole))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": whole})


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@asynccontextmanager
async def client(endpoint: Endpoint, **options: Any) -> AsyncIterator[Raw]:
    async with (
        serving(App(endpoint), http=JoinedProtocol, loop="uvloop", **options) as url,
        raw(url) as found,
    ):
        yield found


async def make_board(http: httpx.AsyncClient) -> None:
    """A metric with a perpetual leaderboard."""
    made = (await http.post("/admin/v1/metrics", json=[{"key": "words", "name": "Words"}])).json()
    board = {"key": "board", "name": "Board", "rankBy": "metric", "metricId": made["created"][0]["id"]}
    answer = await http.post("/admin/v1/leaderboards", json=[{**board, "status": "active"}])
    assert not answer.json()["issues"]


def post(body: bytes, *headers: bytes, path: bytes = b"/v1/metrics/words/event", version: bytes = b"1.1") -> bytes:
    lines = [b"POST " + path + b" HTTP/" + version, b"Host: x", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"", body])


CLOSE = b"Connection: close"


async def test_a_request_is_answered_in_one_piece(endpoint: Endpoint) -> None:
    async with client(endpoint) as one:
        await one.send(post(b"1") + post(b"2", CLOSE))
        answers = await one.answer()
    head = b"http/1.1 201 created\r\nx-part: words\r\n"
    assert answers.lower() == (
        head
        + b"content-length: 8\r\n\r\ndirect 1"
        + head
        + b"connection: close\r\ncontent-length: 8\r\n\r\ndirect 2"
    )


@pytest.mark.parametrize(
    "request_",
    [
        post(b"x", b"Origin: https://game.example", CLOSE),
        post(b"x", b"Expect: 100-continue", CLOSE),
        post(b"x" * 101, CLOSE),
        post(b"x", CLOSE, path=b"/v1/metrics/words/event?a=b"),
        post(b"x", CLOSE, path=b"/v1/metrics/w%2fords/event"),
        post(b"x", CLOSE, path=b"/v1/metrics/a/b/event"),
        post(b"x", CLOSE, path=b"/v1/metrics//event"),
        post(b"x", CLOSE, path=b"/v1/metrics/event"),
        post(b"x", CLOSE).replace(b"POST", b"PUT"),
        post(b"", CLOSE).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\n\r\n",
    ],
)
async def test_what_is_not_plain_goes_by_asgi(endpoint: Endpoint, request_: bytes) -> None:
    async with client(endpoint) as one:
        await one.send(request_)
        assert b"\r\n\r\nasgi x" in await one.answer()


async def test_answers_keep_the_order_of_a_pipeline(endpoint: Endpoint) -> None:
    endpoint.open = False
    async with client(endpoint) as one:
        get = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        await one.send(post(b"first") + get + post(b"third") + get.replace(b"Host", b"Connection: close\r\nHost"))
        await until(lambda: len(endpoint.waiting) == 1)
        endpoint.open = True
        endpoint.answer_all()
        bodies = [part.rpartition(b"\r\n\r\n")[2] for part in (await one.answer()).split(b"HTTP/1.1")[1:]]
    assert bodies == [b"direct first", b"asgi ", b"asgi third", b"asgi "]


async def test_a_body_in_pieces_is_put_together(endpoint: Endpoint) -> None:
    async with client(endpoint) as one:
        request = post(b"in pieces", CLOSE)
        for at in range(0, len(request), 7):
            await one.send(request[at : at + 7])
            await asyncio.sleep(0)
        assert (await one.answer()).endswith(b"direct in pieces")


async def test_http_1_0_ends_with_its_answer(endpoint: Endpoint) -> None:
    async with client(endpoint) as one:
        await one.send(post(b"old", version=b"1.0"))
        assert (await one.answer()).endswith(b"connection: close\r\ncontent-length: 10\r\n\r\ndirect old")


async def test_who_has_gone_is_not_answered(endpoint: Endpoint) -> None:
    endpoint.open = False
    async with serving(App(endpoint), http=JoinedProtocol, loop="uvloop") as url:
        async with raw(url) as one:
            await one.send(post(b"1"))
            await until(lambda: len(endpoint.waiting) == 1)
        respond: Any = endpoint.waiting[0][2]
        await until(lambda: respond.__self__.disconnected)
        endpoint.answer_all()
        async with raw(url) as other:
            endpoint.open = True
            await other.send(post(b"2", CLOSE))
            assert (await other.answer()).endswith(b"direct 2")


async def test_a_server_that_stops_ends_the_connection_with_the_answer(endpoint: Endpoint) -> None:
    endpoint.open = False
    async with serving(App(endpoint), http=JoinedProtocol, loop="uvloop") as url, raw(url) as one:
        await one.send(post(b"last"))
        await until(lambda: len(endpoint.waiting) == 1)
        respond: Any = endpoint.waiting[0][2]
        respond.__self__._protocol.shutdown()
        endpoint.answer_all()
        assert (await one.answer()).endswith(b"connection: close\r\ncontent-length: 11\r\n\r\ndirect last")


async def test_an_idle_connection_is_closed_and_a_used_one_is_not(endpoint: Endpoint) -> None:
    async with client(endpoint, timeout_keep_alive=1) as one:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for _ in range(4):
            await one.send(post(b"x"))
            async with asyncio.timeout(PATIENCE_S):
                await one.reader.readuntil(b"direct x")
            await asyncio.sleep(0.4)
        assert await one.answer() == b""
        assert loop.time() - began_s >= 2.0  # a second after the last of them, not after the first


@pytest.mark.parametrize("origin", [None, "https://game.example"], ids=["direct", "by ASGI"])
async def test_an_event_is_answered_alike_and_says_when_its_rank_was_known(
    http: httpx.AsyncClient, origin: str | None
) -> None:
    await make_board(http)
    headers = {} if origin is None else {"Origin": origin}

    async def send(user: str, **more: str) -> httpx.Response:
        body = {"user": {"id": user}, "value": 5}
        return await http.post("/v1/metrics/words/event", json=body, headers={**headers, **more})

    first = await send("ann", **{"Idempotency-Key": "k"})
    again = await send("ann", **{"Idempotency-Key": "k"})
    assert (first.status_code, again.status_code) == (201, 202)
    assert first.json()["leaderboards"]["board"]["rank"] == 1
    assert again.json()["eventId"] == first.json()["eventId"]
    for one in (first, again):
        assert one.headers["content-type"] == "application/json"
        name, _, took = one.headers["server-timing"].partition(";dur=")
        assert name == "rank"
        assert 0 < float(took) < PATIENCE_S * 1e3
    refused = await send("")
    assert (refused.status_code, refused.json()) == (422, {"error": "user.id must have 1 to 255 characters"})
    unknown = await http.post("/v1/metrics/none/event", json={"user": {"id": "a"}, "value": 1}, headers=headers)
    assert (unknown.status_code, unknown.json()) == (422, {"error": "Unknown metric key: none"})
    bad = await http.post("/v1/metrics/words/event", content=b"{", headers=headers)
    assert bad.status_code == 400
    stranger = await http.post("/v1/metrics/words/event", json={}, headers={**headers, "X-API-KEY": "x"})
    assert stranger.status_code == 401


async def test_a_batch_says_when_its_ranks_were_known(http: httpx.AsyncClient) -> None:
    await make_board(http)
    items = [{"key": "words", "user": {"id": f"u{i}"}, "value": i} for i in range(50)]
    answer = await http.post("/admin/v1/metrics/events", json=items)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 50})
    assert answer.headers["server-timing"].startswith("rank;dur=")


async def test_a_mistake_of_ours_is_answered(
    http: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_board(http)

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("podium.intake.service.event_response", fail)
    answer = await http.post("/v1/metrics/words/event", json={"user": {"id": "ann"}, "value": 1})
    assert (answer.status_code, json.loads(answer.content)) == (500, {"error": "Internal error"})
    monkeypatch.undo()
    answer = await http.post("/v1/metrics/words/event", json={"user": {"id": "ann"}, "value": 1})
    assert answer.json()["total"] == 2  # the first one was stored nevertheless
