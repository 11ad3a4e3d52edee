"""The settings of a space: branding, control group, recaps (docs/http-api.md#settings)."""

from __future__ import annotations

from hashlib import sha256
from typing import Literal

import msgspec

Font = Literal[
    "MODERN_SANS",
    "BOOK_SANS",
    "ORGANIC_SANS",
    "GEOMETRIC_SANS",
    "HEAVY_SANS",
    "ROUNDED_SANS",
    "MODERN_SERIF",
    "BOOK_SERIF",
    "MONOSPACE",
]
AggregationPeriod = Literal["weekly", "monthly"]


class SpaceSettings(msgspec.Struct, frozen=True, rename="camel"):
    """The branding of messages, the percentage of new users in the control group, the days in which a user counts
    as active, and the interval of recaps."""

    id: str
    number: int
    key: str = "settings"
    app_name: str = ""
    app_url: str = ""
    brand_color: str = "#3366ff"
    font: Font = "MODERN_SANS"
    logo_url: str | None = None
    app_icon_url: str | None = None
    control_ratio: int = 0
    user_activation_window: int = 7
    aggregation_period: AggregationPeriod = "weekly"


NO_SETTINGS = SpaceSettings(id="", number=0)


def is_control(settings: SpaceSettings, user: str) -> bool:
    """Return whether a new user is in the control group. It depends on the id, so that it is always the same."""
    if not settings.control_ratio:
        return False
    drawn = int.from_bytes(sha256(f"{settings.id} {user}".encode()).digest()[:4], "big") % 100
    return drawn < settings.control_ratio
