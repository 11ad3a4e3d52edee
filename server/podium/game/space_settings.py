"""What a space is called and looks like, and who is in the control group (docs/http-api.md#settings)."""

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
    """Branding of what is sent, percent of new users in the control group, days in which a user counts as active,
    and how often recaps come."""

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
    """Whether a new user is drawn into the control group: by the id, so that it is the same however often it is
    asked."""
    if not settings.control_ratio:
        return False
    drawn = int.from_bytes(sha256(f"{settings.id} {user}".encode()).digest()[:4], "big") % 100
    return drawn < settings.control_ratio
