from __future__ import annotations

from datetime import date

import pytest
from starlette.requests import Request

from podium.game.errors import BadRequest, Unprocessable
from podium.http import params


def request(query: str) -> Request:
    return Request({"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": query.encode()})


@pytest.mark.parametrize(
    ("query", "value"), [("", 10), ("limit=1", 1), ("limit=100", 100), ("limit=2&limit=7", 7)]
)
def test_integer(query: str, value: int) -> None:
    assert params.integer(request(query), "limit", 10, 1, 100) == value


@pytest.mark.parametrize("text", ["", "x", "1.0", "1_0", "+1", "0x1", "%D9%A1", "1%0A", "9" * 5_000])
def test_integer_of_another_type(text: str) -> None:
    with pytest.raises(BadRequest, match=r"^limit must be a whole number$"):
        params.integer(request(f"limit={text}"), "limit", 10, 1, 100)


@pytest.mark.parametrize("text", ["0", "101", "-1", "9" * 18])
def test_integer_out_of_range(text: str) -> None:
    with pytest.raises(Unprocessable, match=r"^limit must be 1 to 100$"):
        params.integer(request(f"limit={text}"), "limit", 10, 1, 100)


@pytest.mark.parametrize(("query", "value"), [("", False), ("x=true", True), ("x=false", False)])
def test_boolean(query: str, value: bool) -> None:
    assert params.boolean(request(query), "x") is value


@pytest.mark.parametrize("text", ["", "1", "True", "yes"])
def test_boolean_of_another_type(text: str) -> None:
    with pytest.raises(BadRequest, match=r"^x must be true or false$"):
        params.boolean(request(f"x={text}"), "x")


def test_day() -> None:
    assert params.day(request(""), "run") is None
    assert params.day(request("run=2026-02-28"), "run") == date(2026, 2, 28)


@pytest.mark.parametrize("text", ["", "2026-02-30", "20260228", "2026-02-28T00:00:00Z", "today"])
def test_day_that_is_none(text: str) -> None:
    with pytest.raises(Unprocessable, match=r"^run must be a date"):
        params.day(request(f"run={text}"), "run")


def test_exact_ids() -> None:
    assert params.exact_ids(request("ids=a%2Cb&ids=+c&ids=a%2Cb"), "ids", 2) == ["a,b", " c"]
    for query in ("", "ids=a&ids=b&ids=c"):
        with pytest.raises(Unprocessable, match=r"^ids must name 1 to 2 ids$"):
            params.exact_ids(request(query), "ids", 2)


def test_choice() -> None:
    assert params.choice(request("by=daily"), "by", ("daily", "weekly")) == "daily"


@pytest.mark.parametrize("query", ["", "by=", "by=yearly"])
def test_choice_of_none(query: str) -> None:
    with pytest.raises(Unprocessable, match=r"^by must be one of daily, weekly$"):
        params.choice(request(query), "by", ("daily", "weekly"))


@pytest.mark.parametrize(
    "query", ["ids=a&ids=b&ids=c", "ids=a,b,c", "ids=a,,b,c,a", "ids=a&ids=b&ids=&ids=c&ids=a"]
)
def test_ids(query: str) -> None:
    assert params.ids(request(query), "ids", 3) == ["a", "b", "c"]


def test_an_id_with_a_comma_is_taken_whole_where_the_key_is_repeated() -> None:
    assert params.ids(request("ids=a%2Cb&ids=c"), "ids", 3) == ["a,b", "c"]
    assert params.ids(request("ids=a%2Cb&ids="), "ids", 3) == ["a,b"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {}),
        ("city:Oslo", {"city": "Oslo"}),
        ("city:Oslo,plan:pro", {"city": "Oslo", "plan": "pro"}),
        ("city:Paris%2C%20FR", {"city": "Paris, FR"}),
        ("city:Paris%2C%20FR,plan:pro", {"city": "Paris, FR", "plan": "pro"}),
        ("plan:pro,city:a,b:c,", {"plan": "pro", "city": "a,b:c,"}),
        ("city:at:home", {"city": "at:home"}),
    ],
)
def test_attributes(query: str, found: dict[str, str]) -> None:
    assert params.attributes(request(f"userAttributes={query}"), {"city", "plan"}) == found


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("city", "must be like"),
        ("city:", "must be like"),
        (",city:Oslo", "must be like"),
        ("city:,plan:pro", "must be like"),
        ("city:Oslo,city:Rome", "must be like"),
        ("town:Oslo", "Invalid attribute keys: town"),
        ("city:%00", "userAttributes must not contain U"),
        (f"city:{'x' * 1001}", "userAttributes must have at most"),
    ],
)
def test_attributes_that_are_none(query: str, said: str) -> None:
    with pytest.raises(Unprocessable, match=said):
        params.attributes(request(f"userAttributes={query}"), {"city", "plan"})


@pytest.mark.parametrize("query", ["", "ids=", "ids=,", "ids=a,b,c,d"])
def test_ids_number(query: str) -> None:
    with pytest.raises(Unprocessable, match=r"^ids must name 1 to 3 ids$"):
        params.ids(request(query), "ids", 3)
