from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest
from starlette.requests import Request

from server.core.errors import BadRequest, TooLarge
from server.http import bodies


class User(msgspec.Struct, rename="camel"):
    id: str
    device_tokens: list[str] | None = None


class Body(msgspec.Struct, rename="camel"):
    user: User
    value: float
    attributes: dict[str, str] | None = None


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    at: int = 0


DECODER = msgspec.json.Decoder(Body)


def request(*chunks: bytes, limit: int = 10) -> Request:
    messages = iter([{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks])

    async def receive() -> dict[str, object]:
        return next(messages, {"type": "http.request", "body": b"", "more_body": False})

    services = SimpleNamespace(settings=SimpleNamespace(body_limit=limit))
    app = SimpleNamespace(state=SimpleNamespace(services=services))
    return Request({"type": "http", "method": "POST", "path": "/", "headers": [], "app": app}, receive)


def test_decode() -> None:
    body = bodies.decode(DECODER, b'{"user": {"id": "ann"}, "value": 2, "unknown": 1}')
    assert body == Body(User("ann"), 2.0)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"user": {"id": "a"}, "value": "1"}', "value: expected float, got str"),
        (b'{"user": {"id": 1}, "value": 1}', "user.id: expected str, got int"),
        (b'{"user": {"id": "a", "deviceTokens": [1]}, "value": 1}', "user.deviceTokens[0]: expected str, got int"),
        (b'{"user": {"id": "a"}, "value": 1, "attributes": {"k": 1}}', "attributes[...]: expected str, got int"),
        (b'{"user": {"id": "a"}}', "value is required"),
        (b'{"user": {}, "value": 1}', "user.id is required"),
        (b'{"user": {"id": "a"}, "value": 1e999}', "value: number out of range"),
        (b"[]", "The body: expected object, got array"),
    ],
)
def test_decode_names_the_field(body: bytes, said: str) -> None:
    with pytest.raises(BadRequest) as caught:
        bodies.decode(DECODER, body)
    assert caught.value.message == said


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nope",
        b'{"user": {"id": "a"}, "value": NaN}',
        b'{"user": {"id": "a"}, "value": Infinity}',
        b'{"user": {"id": "a"}, "value": 1} x',
        b'{"user": {"id": "\xff"}, "value": 1}',
        b'{"user": {"id": "\\ud800"}, "value": 1}',
    ],
)
def test_decode_refuses_what_is_not_json(body: bytes) -> None:
    with pytest.raises(BadRequest, match=r"^The body is not JSON"):
        bodies.decode(DECODER, body)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"x":' + b"[" * 100_000])
def test_decode_refuses_deep_nesting(body: bytes) -> None:
    with pytest.raises(BadRequest, match=r"nested too deeply"):
        bodies.decode(msgspec.json.Decoder(), body)


def test_unknown_field() -> None:
    with pytest.raises(BadRequest, match=r"^extra is not a known field$"):
        bodies.convert({"extra": 1}, Strict, "The item")


def test_convert_names_the_whole() -> None:
    with pytest.raises(BadRequest, match=r"^The item: expected object, got str$"):
        bodies.convert("x", Strict, "The item")


def test_answers_can_be_sent() -> None:
    # A field name that JSON can't carry must not break the answer.
    error = msgspec.ValidationError("Object contains unknown field `\ud800`")
    assert bodies.describe(error).encode()


async def test_read_body() -> None:
    assert await bodies.read_body(request(b"12345", b"67890")) == b"1234567890"


@pytest.mark.parametrize("chunks", [[b"12345678901"], [b"12345", b"678901"]])
async def test_read_body_too_large(chunks: list[bytes]) -> None:
    with pytest.raises(TooLarge, match=r"at most 10 bytes"):
        await bodies.read_body(request(*chunks))


async def test_read_body_own_limit() -> None:
    assert await bodies.read_body(request(b"12345678901"), 11) == b"12345678901"
