"""Badges in the admin API: the URL of a picture."""

from __future__ import annotations

import msgspec

from podium.game import ids
from podium.game.errors import Unprocessable

URL_MAX = 2_000
"""Characters of a URL that common browsers and proxies accept."""


class Badge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A picture, by its URL."""

    url: str


def badge_url(badge: Badge | None, field: str = "badge") -> str | None:
    """Return the URL of a badge. Raises ``Unprocessable``, naming ``field``, if it can't be one."""
    if badge is None:
        return None
    if not badge.url.startswith(("https://", "http://")):
        raise Unprocessable(f"{field}.url must begin with https:// or http://")
    return ids.check_text(f"{field}.url", badge.url, URL_MAX)


def badge(url: str | None) -> Badge | None:
    """Return the badge for an answer."""
    return None if url is None else Badge(url)
