"""Texts that look alike and are not the same, and idempotency keys that come twice. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from unicodedata import normalize

import msgspec

from podium.intake.requests import BatchItem

_KEY_BYTES = 8
"""Of the hash of an idempotency key: among ten million the chance of a wrong alarm is one in 400,000."""


class Spellings:
    """The users of an import, and the places at which texts that may be taken for others came first."""

    def __init__(self) -> None:
        self.users: dict[str, int] = {}
        """Every user's id, and the place where it came first."""
        self._odd: dict[tuple[str, str], dict[str, int]] = {}
        self._keys: dict[bytes, int] = {}

    def note(self, item: BatchItem, place: int) -> int | None:
        """Take note of an event; the place at which its idempotency key was used before, if it was."""
        user = item.user
        if user.id not in self.users:
            self.users[user.id] = place
            self._note("user", user.id, place)
        if isinstance(user.name, str) and not user.name.isascii():
            self._note("user.name", user.name, place)
        if isinstance(user.attributes, dict):
            for key, value in user.attributes.items():
                if value is not None and not value.isascii():
                    self._note(f"user.attributes.{key}", value, place)
        if item.idempotency_key is None:
            return None
        # Ids hold no control characters, so the joint is unambiguous.
        content = "\0".join((user.id, item.key, item.idempotency_key)).encode()
        digest = blake2b(content, digest_size=_KEY_BYTES).digest()
        first = self._keys.setdefault(digest, place)
        return first if first != place else None

    def _note(self, field: str, text: str, place: int) -> None:
        if not text.isascii() or text != text.strip():
            self._odd.setdefault((field, _plain(text)), {}).setdefault(text, place)

    def twins(self) -> Iterator[Twin]:
        """Find the texts that begin or end with a blank, or that are written in two ways."""
        for (field, plain), odd in self._odd.items():
            texts = dict(odd)
            if field == "user" and plain in self.users:
                texts.setdefault(plain, self.users[plain])
            first, *others = sorted(texts, key=texts.__getitem__)
            if first != first.strip() and field == "user":
                yield Twin(texts[first], field, first)
            for text in others:
                yield Twin(texts[text], field, text, first, texts[first])


class Twin(msgspec.Struct, frozen=True):
    """A text at a place that looks like ``other``, which came first at another place; without one it begins or
    ends with a blank."""

    place: int
    field: str
    text: str
    other: str | None = None
    other_place: int = 0


def _plain(text: str) -> str:
    return normalize("NFC", text).strip()
