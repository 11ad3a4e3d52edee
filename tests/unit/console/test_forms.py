"""The fields of a form, from its bytes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from podium.console.forms import FIELDS_MAX, form_of
from podium.game.errors import BadRequest


async def fields(body: bytes, type_: str = "application/x-www-form-urlencoded") -> dict[str, str]:
    headers = [(b"content-type", type_.encode())] if type_ else []
    scope: dict[str, Any] = {"type": "http", "headers": headers, "app": SimpleNamespace()}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return await form_of(Request(scope, receive))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", {}),
        (b"a=1&b=", {"a": "1", "b": ""}),
        (b"a=1&a=2", {"a": "2"}),
        (b"a", {"a": ""}),
        (b"&&a=1&", {"a": "1"}),
        (b"a=b=c", {"a": "b=c"}),
        (b"a=x%3By+z%2Bw%26", {"a": "x;y z+w&"}),
        (b"n%20m=Zo%C3%AB&o=Zo\xc3\xab", {"n m": "Zoë", "o": "Zoë"}),
        (b"a=%zz%00", {"a": "%zz\0"}),
    ],
)
async def test_fields(body: bytes, expected: dict[str, str]) -> None:
    assert await fields(body) == expected


async def test_the_type_is_read_without_its_parameters_and_case() -> None:
    assert await fields(b"a=1", "Application/X-WWW-Form-Urlencoded;charset=UTF-8") == {"a": "1"}
    assert await fields(b"", "") == {}


async def test_as_many_fields_as_may_be() -> None:
    assert await fields(b"&".join([b"a="] * FIELDS_MAX)) == {"a": ""}
    with pytest.raises(BadRequest):
        await fields(b"&".join([b"a="] * (FIELDS_MAX + 1)))
