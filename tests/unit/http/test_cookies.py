from __future__ import annotations

import pytest
from starlette.requests import Request

from podium.http.cookies import cookie


def request_with(*headers: bytes) -> Request:
    return Request({"type": "http", "headers": [(b"cookie", value) for value in headers]})


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ((), None),
        ((b"session=a.b=c",), "a.b=c"),
        ((b"other=1; session=x ;more",), "x"),
        ((b"session=x; other=1", b"session=y; more=2"), "y"),
        ((b"sessions=x; =session",), None),
        ((b"session",), ""),
    ],
)
def test_the_value_of_a_cookie(headers: tuple[bytes, ...], found: str | None) -> None:
    assert cookie(request_with(*headers), "session") == found


def test_backslashes_stay_as_they_are() -> None:
    # Unquoting them takes http.cookies of older Pythons minutes.
    assert cookie(request_with(b'a="' + rb"\"" * 500_000 + b'"; session=x'), "session") == "x"
