"""Ids and the characters that names may hold (docs/http-api.md#strings)."""

from __future__ import annotations

import random
import re

from podium.game.errors import Unprocessable

ID_MAX = 255
"""Most characters in a user id or an idempotency key."""
KEY_MAX = 100
"""Most characters in a catalog key."""
NAME_MAX = 255
"""Most characters in a name."""
ATTRIBUTE_VALUE_MAX = 1_000
"""Most characters in an attribute value."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")


def uuid7(at_ms: int, bits: int) -> str:
    """Return a UUIDv7 (RFC 9562, 5.7) as text, for an instant in ms and 74 random bits."""
    number = (
        (at_ms & 0xFFFF_FFFF_FFFF) << 80
        | 0x7 << 76
        | (bits >> 62 & 0x0FFF) << 64
        | 0b10 << 62
        | bits & 0x3FFF_FFFF_FFFF_FFFF
    )
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


# Ids are names, not secrets, so a generator that the operating system seeds once is enough. A system call for each
# id would be 3 % of an event's time.
_random = random.Random()  # noqa: S311 - see above


def new_uuid7(at_ms: int) -> str:
    """Return a new UUIDv7 for an instant in ms. It is unique, but not a secret."""
    return uuid7(at_ms, _random.getrandbits(74))


def check_id(field: str, value: str) -> str:
    """Return ``value`` if it can be a user id or an idempotency key.

    Raises:
        Unprocessable: It can't. The message names ``field``.
    """
    if not 1 <= len(value) <= ID_MAX:
        raise Unprocessable(f"{field} must have 1 to {ID_MAX} characters")
    if _CONTROL.search(value):
        raise Unprocessable(f"{field} must not contain control characters")
    return value


def check_text(field: str, value: str, most: int) -> str:
    """Return ``value`` if it can be stored as text of at most ``most`` characters.

    Raises:
        Unprocessable: It can't. The message names ``field``.
    """
    if len(value) > most:
        raise Unprocessable(f"{field} must have at most {most:,} characters")
    if _UNSTORABLE.search(value):
        raise Unprocessable(f"{field} must not contain U+0000 or lone surrogates")
    return value


def check_key(field: str, value: str) -> str:
    """Return ``value`` if it can be a catalog key.

    Raises:
        Unprocessable: It can't. The message names ``field``.
    """
    if not 1 <= len(value) <= KEY_MAX or not _KEY.match(value):
        raise Unprocessable(f"{field} must be 1 to {KEY_MAX} letters, digits, '-' or '_'")
    return value


def printable(text: str) -> str:
    """Return ``text`` with characters replaced that JSON can't carry as UTF-8."""
    return text.encode("utf-8", "replace").decode()
