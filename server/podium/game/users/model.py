"""What an attribute and a user's profile are."""

from __future__ import annotations

from typing import Literal

import msgspec

AttributeType = Literal["user", "event"]


class Attribute(msgspec.Struct, frozen=True, rename="camel"):
    """A property of users or of events; the only keys that may be sent."""

    id: str
    number: int
    key: str
    name: str
    type: AttributeType = "user"


class Profile(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Who the user is. Instants in ms."""

    created_ms: int
    updated_ms: int
    name: str | None = None
    email: str | None = None
    tz: str | None = None
    subscribed: bool = True
    attributes: dict[str, str] = {}
    device_tokens: tuple[str, ...] = ()
    sign_up: str | None = None
    control: bool = False
