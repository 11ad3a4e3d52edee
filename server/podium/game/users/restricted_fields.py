"""What a key or token of one user may not say of that user. Pure.

It is in the user's own hands. Zone and time decide which day an event counts on, so that either would get round a
metric's ``maxPerDay``; attributes decide in which group and among whom the user is ranked; the sign-up day earns
anniversaries.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET

from podium.game.errors import Unprocessable
from podium.game.users.rules import Upsert

HELD = {"tz": "tz", "attributes": "attributes", "sign_up_date": "signUpDate"}
"""Fields that only the app's own server may set, with their names in requests."""


def check_upsert(upsert: Upsert) -> None:
    """422 naming the field of an event's ``user`` that is not the user's to set."""
    check_names([f"user.{name}" for field, name in HELD.items() if getattr(upsert, field) is not UNSET])


def check_names(named: Iterable[str]) -> None:
    """422 for the first of the fields that were sent, and are not the user's to set."""
    for name in named:
        raise Unprocessable(f"{name} may not be set with a user's own key or token: set it from your server")
