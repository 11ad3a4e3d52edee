"""Check and apply changes of a user's profile (docs/http-api.md#users)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, timedelta
from urllib.parse import quote

import msgspec

from podium.game import ids
from podium.game.errors import Unprocessable
from podium.game.periods import at, local_day, parse_day, parse_moment, zone
from podium.game.users.model import Profile

EMAIL_MAX = 320
"""Most characters in an e-mail address: 64 for the local part, 255 for the domain, and the @ (RFC 5321)."""
DEVICE_TOKENS_MAX = 20
"""Most devices of one user. A push needs all of their tokens."""
DEVICE_TOKEN_MAX = 1_000
"""Most characters in a device token. Those of APNs and FCM are much shorter."""


class Upsert(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=False, gc=False):
    """The editable fields. Fields that are left out stay as they are; null clears a field that may be empty."""

    email: str | msgspec.UnsetType | None = msgspec.UNSET
    name: str | msgspec.UnsetType | None = msgspec.UNSET
    tz: str | msgspec.UnsetType | None = msgspec.UNSET
    sign_up_date: str | msgspec.UnsetType | None = msgspec.UNSET
    device_tokens: list[str] | msgspec.UnsetType | None = msgspec.UNSET
    subscribe_to_emails: bool | msgspec.UnsetType = msgspec.UNSET
    attributes: dict[str, str | None] | msgspec.UnsetType = msgspec.UNSET


NO_GROUPS: Mapping[str, int] = {}
NOTHING = Upsert()
"""An upsert that changes no field."""


def check(upsert: Upsert, known: frozenset[str], now_ms: int, group_sizes: Mapping[str, int] = NO_GROUPS) -> None:
    """Check the fields of an ``upsert``. ``known`` are the space's user attributes.

    ``group_sizes`` has the most bytes of a value, percent-encoded, by key of the attributes by which leaderboards
    group.

    Raises:
        Unprocessable: A field can't be stored. The message names it.
    """
    if isinstance(upsert.email, str):
        ids.check_text("email", upsert.email, EMAIL_MAX)
    if isinstance(upsert.name, str):
        ids.check_text("name", upsert.name, ids.NAME_MAX)
    if isinstance(upsert.tz, str):
        zone(upsert.tz)
    # The date of the zone that is furthest ahead: the user's own zone may be known only from the stored profile.
    tomorrow = at(now_ms).date() + timedelta(days=1)
    if isinstance(upsert.sign_up_date, str) and sign_up_day(upsert.sign_up_date) > tomorrow:
        raise Unprocessable("signUpDate must not lie in the future")
    if isinstance(upsert.device_tokens, list):
        if len(upsert.device_tokens) > DEVICE_TOKENS_MAX:
            raise Unprocessable(f"deviceTokens must hold at most {DEVICE_TOKENS_MAX} tokens")
        for token in upsert.device_tokens:
            if not token:
                raise Unprocessable("deviceTokens must not hold an empty token")
            ids.check_text("deviceTokens", token, DEVICE_TOKEN_MAX)
    if isinstance(upsert.attributes, dict):
        check_attributes(upsert.attributes, known, group_sizes)


def check_attributes(
    attributes: dict[str, str | None] | dict[str, str],
    known: frozenset[str],
    group_sizes: Mapping[str, int] = NO_GROUPS,
) -> None:
    """Check attributes. ``group_sizes`` is as in ``check``.

    Raises:
        Unprocessable: The catalog doesn't know a key, or a value can't be stored.
    """
    unknown = [key for key in attributes if key not in known]
    if unknown:
        shown = ", ".join(sorted(unknown)[:10])[:300]
        raise Unprocessable(f"Invalid attribute keys: {ids.printable(shown)}")
    for key, value in attributes.items():
        if value is not None:
            ids.check_text(f"attributes.{key}", value, ids.ATTRIBUTE_VALUE_MAX)
            most = group_sizes.get(key)
            if most is not None and len(quote(value, safe="")) > most:
                raise Unprocessable(
                    f"attributes.{key} must have at most {most:,} bytes, percent-encoded:"
                    " a leaderboard groups by it"
                )


def sign_up_day(text: str) -> date:
    """Return the day of a ``signUpDate``, which is a date, or a date-time whose UTC day is taken.

    Raises:
        Unprocessable: It is neither.
    """
    if len(text) <= len("2026-01-31"):
        return parse_day("signUpDate", text)
    try:
        return parse_moment("signUpDate", text).astimezone(UTC).date()
    except OverflowError:
        raise Unprocessable("signUpDate must lie in the years 1 to 9999") from None


def apply(profile: Profile | None, upsert: Upsert, now_ms: int, *, control: bool = False) -> Profile:
    """Return the profile after ``upsert``, or the same object if nothing changes.

    Without a ``profile`` a new one is created, in the control group if ``control``.

    Raises:
        Unprocessable: E-mails are subscribed to without an address, or the sign-up day lies after today in the
        user's
            zone.
    """
    if profile is not None and upsert is NOTHING:
        return profile
    old = profile or Profile(created_ms=now_ms, updated_ms=now_ms, control=control)
    unset = msgspec.UNSET
    email = old.email if upsert.email is unset else upsert.email
    subscribed = old.subscribed
    if upsert.subscribe_to_emails is not unset:
        subscribed = upsert.subscribe_to_emails
        if subscribed and email is None:
            raise Unprocessable("subscribeToEmails needs an email")
    tz = old.tz if upsert.tz is unset else upsert.tz
    sign_up = old.sign_up
    if upsert.sign_up_date is None:
        sign_up = None
    elif upsert.sign_up_date is not unset:
        day = sign_up_day(upsert.sign_up_date)
        if day > local_day(now_ms, zone(tz)):
            raise Unprocessable("signUpDate must not lie after today in the user's zone")
        sign_up = day.isoformat()
    new = Profile(
        created_ms=old.created_ms,
        updated_ms=old.updated_ms,
        name=old.name if upsert.name is unset else upsert.name,
        email=email if subscribed else None,
        tz=tz,
        subscribed=subscribed,
        attributes=old.attributes if upsert.attributes is unset else _merge(old.attributes, upsert.attributes),
        device_tokens=old.device_tokens if upsert.device_tokens is unset else tuple(upsert.device_tokens or ()),
        sign_up=sign_up,
        control=old.control,
    )
    if profile is not None and new == old:
        return profile
    return msgspec.structs.replace(new, updated_ms=now_ms)


def _merge(old: dict[str, str], changes: dict[str, str | None]) -> dict[str, str]:
    merged = {**old, **{key: value for key, value in changes.items() if value is not None}}
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
    return merged
