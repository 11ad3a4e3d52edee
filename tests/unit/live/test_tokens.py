from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from podium.game.catalog import Catalog, CatalogIndex
from podium.game.errors import Unprocessable
from podium.live import access
from podium.live.channels import STARS_MAX
from podium.live.tokens import CHANNELS_MAX, PATTERN_MAX, TTL_MAX_S, TTL_S, TokenRequest, mint
from podium.spaces.space import Space

NOW_MS = 1_795_435_200_500
SPACE = Space(1, "space-1", "production", "default", "s" * 32, (), CatalogIndex(Catalog(1)))


def granted(user: str, request: TokenRequest) -> access.Grant:
    """Return the grant of a minted token on a WebSocket."""
    token, expires_ms = mint(SPACE, user, request, NOW_MS)
    spaces: Any = SimpleNamespace(spaces={SPACE.public_id: SPACE})
    grant = access.authorize(spaces, token, None, NOW_MS)
    assert grant.expires_ms == expires_ms
    return grant


def test_a_token_opens_every_channel_for_an_hour_and_writes_nothing() -> None:
    grant = granted("ada/1", TokenRequest())
    assert (grant.space, grant.user, grant.writes, grant.patterns) == (SPACE, "ada/1", False, None)
    assert grant.expires_ms == NOW_MS // 1000 * 1000 + TTL_S * 1000


def test_a_token_allows_what_was_asked_for() -> None:
    grant = granted("ada", TokenRequest(60, ("leaderboard:w*",), ("events:write",)))
    assert grant.expires_ms == NOW_MS // 1000 * 1000 + 60_000
    assert grant.writes
    assert grant.may_watch("leaderboard:weekly", public=False)
    assert not grant.may_watch("leaderboard:daily", public=True)


@pytest.mark.parametrize(
    ("user", "request_", "named"),
    [
        ("", TokenRequest(), "id"),
        ("ada", TokenRequest(ttl=0), "ttl"),
        ("ada", TokenRequest(ttl=TTL_MAX_S + 1), "ttl"),
        ("ada", TokenRequest(caps=("events:write", "admin")), r"caps\[1\]"),
        ("ada", TokenRequest(channels=()), "channels"),
        ("ada", TokenRequest(channels=("*",) * (CHANNELS_MAX + 1)), "channels"),
        ("ada", TokenRequest(channels=("*", "")), r"channels\[1\]"),
        ("ada", TokenRequest(channels=("x" * (PATTERN_MAX + 1),)), r"channels\[0\]"),
        ("ada", TokenRequest(channels=("*a" * STARS_MAX, "*a" * (STARS_MAX + 1))), r"channels\[1\]"),
    ],
)
def test_what_may_not_be_asked_for_is_named(user: str, request_: TokenRequest, named: str) -> None:
    with pytest.raises(Unprocessable, match=f"^{named} must"):
        mint(SPACE, user, request_, NOW_MS)
