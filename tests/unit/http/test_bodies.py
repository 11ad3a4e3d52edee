from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import msgspec
import pytest
from starlette.requests import Request
from starlette.types import Message

from podium.game.errors import BadRequest, TooLarge, Unprocessable
from podium.http import bodies


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
        (b'{"user": {"id": "a"}, "value": 1, "attributes": {"k": 1}}', "attributes.k: expected str, got int"),
        (
            b'{"user": {"id": "a"}, "value": 1, "attributes": {"j": "", "k": 1}}',
            "attributes.k: expected str, got int",
        ),
        (b'{"user": {"id": "a"}}', "value is required"),
        (b'{"user": {}, "value": 1}', "user.id is required"),
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
    ],
)
def test_decode_refuses_what_is_not_json(body: bytes) -> None:
    with pytest.raises(BadRequest, match=r"^The body is not JSON"):
        bodies.decode(DECODER, body)


class Limited(msgspec.Struct, rename="camel"):
    least: Annotated[int, msgspec.Meta(ge=1)] = 1
    most: Annotated[float, msgspec.Meta(lt=100)] = 1
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=3)] = "a"
    time: Annotated[str, msgspec.Meta(pattern="^[0-9]$")] = "1"
    many: Annotated[list[int], msgspec.Meta(max_length=1)] = []
    kind: Literal["a", "b"] = "a"
    start: date | None = None
    by_key: dict[Annotated[str, msgspec.Meta(max_length=3)], int | None] = {}


LIMITED = msgspec.json.Decoder(Limited)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("least", "0", "least: expected int >= 1"),
        ("most", "100", "most: expected float < 100.0"),
        ("most", "1e999", "most: number out of range"),
        ("name", '""', "name: expected str of length >= 1"),
        ("name", '"abcd"', "name: expected str of length <= 3"),
        ("time", '"x"', "time: expected str matching regex '^[0-9]$'"),
        ("many", "[1, 2]", "many: expected array of length <= 1"),
        ("kind", '"c"', "kind: invalid enum value 'c'"),
        ("start", '"2026-02-30"', "start must be a date, YYYY-MM-DD, like 2026-01-31"),
        ("byKey", '{"abcd": 1}', "byKey: expected str of length <= 3"),
    ],
)
def test_what_is_of_the_type_but_may_not_be_is_422(field: str, value: str, said: str) -> None:
    body = f'{{"{field}": {value}}}'.encode()
    with pytest.raises(Unprocessable) as caught:
        bodies.decode(LIMITED, body)
    assert caught.value.message == said
    if "e999" not in value:
        with pytest.raises(Unprocessable):
            bodies.convert(msgspec.json.decode(body), Limited, "The item")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("least", '"0"'),
        ("least", "1.5"),
        ("kind", "1"),
        ("kind", "null"),
        ("start", "20260101"),
        ("many", "[null]"),
    ],
)
def test_what_is_not_of_the_type_is_400(field: str, value: str) -> None:
    with pytest.raises(BadRequest, match=f"^{field}"):
        bodies.decode(LIMITED, f'{{"{field}": {value}}}'.encode())


def test_convert_names_the_key_of_a_map() -> None:
    with pytest.raises(BadRequest, match=r"^byKey.b: expected int \| null, got str$"):
        bodies.convert({"byKey": {"a": 1, "b": "x"}}, Limited, "The item")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (rb'{"user": {"id": "\ud800"}, "value": 1}', "user.id"),
        (
            rb'{"user": {"id": "a", "deviceTokens": ["b", "x\uDC00 and so on"]}, "value": 1}',
            "user.deviceTokens[1]",
        ),
        (rb'{"user": {"id": "a\ud800A"}, "value": 1}', "user.id"),
        (rb'{"user": {"\ud800": "a"}, "value": 1}', "user"),
        (rb'"\udfff"', "The body"),
    ],
)
def test_a_lone_surrogate_is_422(body: bytes, place: str) -> None:
    with pytest.raises(Unprocessable) as caught:
        bodies.decode(DECODER, body)
    assert caught.value.message == f"{place} must not contain U+0000 or lone surrogates"


def test_a_lone_surrogate_of_a_list_refuses_its_item_only() -> None:
    items = bodies.decode(msgspec.json.Decoder(list[Any]), rb'[{"at": 1}, {"\ud800": 1}, "\ud800"]')
    assert bodies.convert(items[0], Strict, "The item") == Strict(1)
    for item in items[1:]:
        with pytest.raises(Unprocessable, match=r"^The item must not contain U\+0000 or lone surrogates$"):
            bodies.convert(item, Strict, "The item")


@pytest.mark.parametrize(
    "body", [rb'{"a": "\ud800"', rb'{"a": "\ud83d\ude00", "b": NaN}', rb'{"a": "\ud83d\ude00"]']
)
def test_a_surrogate_does_not_make_json_of_anything(body: bytes) -> None:
    with pytest.raises(BadRequest, match=r"^The body is not JSON"):
        bodies.decode(DECODER, body)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"x":' + b"[" * 100_000])
def test_decode_refuses_deep_nesting(body: bytes) -> None:
    with pytest.raises(BadRequest, match=r"nested too deeply"):
        bodies.decode(msgspec.json.Decoder(), body)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"user": {"id": "a"}, "attributes": {"k": ' + b"[" * 100_000, id="a value of a map"),
        pytest.param(rb'{"user": {"id": "\ud800"}, "x": ' + b"[" * 100_000, id="beside a surrogate"),
    ],
)
def test_decode_refuses_deep_nesting_that_it_meets_while_it_looks_for_the_field(body: bytes) -> None:
    with pytest.raises(BadRequest, match=r"^The body is nested too deeply$"):
        bodies.decode(DECODER, body)


BEFORE = b'{"user": {"id": "a"}, "value": 1, "attributes": {"k": 1'


@pytest.mark.parametrize(
    ("behind", "said"),
    [
        (b"}, oops", "^The body is not JSON: JSON is malformed"),
        (b"", "^The body is not JSON: Input data was truncated"),
        (b', "z": "\xff"}}', "^The body is not JSON: it is not UTF-8"),
    ],
)
def test_decode_refuses_a_body_that_is_broken_behind_an_invalid_value(behind: bytes, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        bodies.decode(DECODER, BEFORE + behind)


def test_decode_refuses_a_surrogate_behind_an_invalid_value() -> None:
    with pytest.raises(Unprocessable, match=r"^attributes\.z must not contain"):
        bodies.decode(DECODER, BEFORE + rb', "z": "\ud800"}}')


def test_convert_refuses_deep_nesting() -> None:
    item: list[Any] = []
    for _ in range(5_000):
        item = [item]
    with pytest.raises(BadRequest, match=r"^The item is nested too deeply$"):
        bodies.convert(item, Strict, "The item")


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


async def test_a_body_that_announces_too_much_is_refused_before_it_comes() -> None:
    async def receive() -> Message:
        raise AssertionError("nothing needs to be read")

    for announced in ("11", b"11"):
        with pytest.raises(TooLarge, match=r"at most 10 bytes"):
            await bodies.receive_body(receive, 10, announced)


async def test_read_body_own_limit() -> None:
    assert await bodies.read_body(request(b"12345678901"), 11) == b"12345678901"
