"""Users in the form of the API (docs/http-api.md#users)."""

from __future__ import annotations

from typing import Annotated

import msgspec

from podium.game.periods import iso
from podium.game.users.model import Profile

Day = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date"})]
Instant = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class User(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A user as stored. Users in the control group (``control``) take part like everybody, but get no
    notifications."""

    id: str
    email: str | None
    name: str | None
    tz: str | None
    device_tokens: tuple[str, ...]
    subscribe_to_emails: bool
    attributes: dict[str, str]
    control: bool
    created: Instant
    updated: Instant
    sign_up_date: Day | None


def shown(user: str, profile: Profile) -> User:
    """Return a user in the form of the API."""
    return User(
        id=user,
        email=profile.email,
        name=profile.name,
        tz=profile.tz,
        device_tokens=profile.device_tokens,
        subscribe_to_emails=profile.subscribed,
        attributes=profile.attributes,
        control=profile.control,
        created=iso(profile.created_ms),
        updated=iso(profile.updated_ms),
        sign_up_date=profile.sign_up,
    )
