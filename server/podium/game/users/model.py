"""Attributes, and the profile of a user."""

from __future__ import annotations

from typing import Literal

import msgspec

AttributeType = Literal["user", "event"]


class Attribute(msgspec.Struct, frozen=True, rename="camel"):
    """A property of users or of events. Requests may only name attributes of the catalog."""

    id: str
    number: int
    key: str
    name: str
    type: AttributeType = "user"


class Profile(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A user's profile. Instants are in ms."""

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
