"""Origins as browsers send them."""

from __future__ import annotations

import pytest

from podium.game.errors import Unprocessable
from podium.spaces.origins import ORIGINS_MAX, check_origins


def test_origins_are_kept_as_browsers_send_them_once_and_in_order() -> None:
    given = ["https://B.example:443", "http://a.example:80", "http://a.example", "http://localhost:3000"]
    assert check_origins("origins", given) == ("http://a.example", "http://localhost:3000", "https://b.example")


@pytest.mark.parametrize(
    "origin", ["*", "null", "a.example", "https://a.example/", "ftp://a.example", "http://a.example:70000"]
)
def test_what_no_browser_sends_is_refused_by_its_place(origin: str) -> None:
    with pytest.raises(Unprocessable, match=r"^origins\[1\] "):
        check_origins("origins", ["https://a.example", origin])


def test_no_more_origins_than_are_compared_with_each_request() -> None:
    many = [f"https://{n}.example" for n in range(ORIGINS_MAX)]
    assert len(check_origins("origins", many)) == ORIGINS_MAX
    with pytest.raises(Unprocessable, match="at most"):
        check_origins("origins", [*many, "https://one.more.example"])
