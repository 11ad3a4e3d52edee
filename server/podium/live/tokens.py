"""Minting of users' tokens for the live protocol. Pure; access.py verifies them."""

from __future__ import annotations

import jwt
import msgspec

from podium.game.errors import Unprocessable
from podium.game.ids import check_id
from podium.live.access import ALGORITHM, WRITE_EVENTS
from podium.live.channels import STARS_MAX
from podium.spaces.space import Space

TTL_S = 3_600
"""Default life of a token: a leaked one is of use for so long. SDKs fetch the next one by themselves."""
TTL_MAX_S = 86_400
"""A token can't be revoked, so none lives longer than a day."""
CHANNELS_MAX = 100
"""Patterns of one token. It travels with every connect, and every subscribe tries each pattern."""
PATTERN_MAX = 512
"""Characters of a pattern. A leaderboard's key with an encoded user id fits."""


class TokenRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request for a token.

    ``ttl`` is in seconds. ``channels`` are patterns with ``*``; null allows every channel. ``caps`` are
    capabilities.
    """

    ttl: int = TTL_S
    channels: tuple[str, ...] | None = None
    caps: tuple[str, ...] = ()


def mint(space: Space, user: str, request: TokenRequest, now_ms: int) -> tuple[str, int]:
    """Return a token of ``user``, who need not exist yet, and the instant in ms at which it expires.

    Raises:
        Unprocessable: a field of the request is out of range; the message names it.
    """
    check_id("id", user)
    if not 1 <= request.ttl <= TTL_MAX_S:
        raise Unprocessable(f"ttl must be 1 to {TTL_MAX_S:,} seconds")
    for index, cap in enumerate(request.caps):
        if cap != WRITE_EVENTS:
            raise Unprocessable(f"caps[{index}] must be {WRITE_EVENTS}")
    expires_s = now_ms // 1000 + request.ttl
    claims: dict[str, object] = {"sub": user, "aud": space.public_id, "exp": expires_s}
    if request.channels is not None:
        _check_channels(request.channels)
        claims["channels"] = request.channels
    if request.caps:
        claims["caps"] = [WRITE_EVENTS]
    return jwt.encode(claims, space.realtime_secret, algorithm=ALGORITHM), expires_s * 1000


def _check_channels(channels: tuple[str, ...]) -> None:
    if not 1 <= len(channels) <= CHANNELS_MAX:
        raise Unprocessable(f"channels must hold 1 to {CHANNELS_MAX} patterns; null allows every channel")
    for index, pattern in enumerate(channels):
        if not 1 <= len(pattern) <= PATTERN_MAX:
            raise Unprocessable(f"channels[{index}] must have 1 to {PATTERN_MAX} characters")
        if pattern.count("*") > STARS_MAX:
            raise Unprocessable(f"channels[{index}] must have at most {STARS_MAX} stars")
