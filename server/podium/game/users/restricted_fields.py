"""The fields that a key or token of one user may not set. Pure.

Such a key is in the user's own hands. Zone and time decide the day on which an event counts, so both could be used
to evade a metric's ``maxPerDay``. Attributes decide the group and the audience in which the user is ranked. The
sign-up day decides about anniversaries.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET

from podium.game.errors import Unprocessable
from podium.game.users.rules import Upsert

HELD = {"tz": "tz", "attributes": "attributes", "sign_up_date": "signUpDate"}
"""Fields that only the app's own server may set, with their names in requests."""


def check_upsert(upsert: Upsert) -> None:
    """Check the ``user`` of an event that came with a user's own key or token.

    Raises:
        Unprocessable: It sets a restricted field. The message names it.
    """
    check_names([f"user.{name}" for field, name in HELD.items() if getattr(upsert, field) is not UNSET])


def check_names(named: Iterable[str]) -> None:
    """Check the names of fields that were sent with a user's own key or token.

    Raises:
        Unprocessable: One is restricted. The message names it.
    """
    for name in named:
        raise Unprocessable(f"{name} may not be set with a user's own key or token: set it from your server")
