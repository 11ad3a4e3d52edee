"""Find texts that look alike but differ, and idempotency keys that come twice. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from unicodedata import normalize

import msgspec

from podium.intake.requests import BatchItem

_KEY_BYTES = 8
"""Bytes of an idempotency key's hash. Among ten million keys the chance of a collision is one in 400,000."""


class Spellings:
    """The users, unusual texts and idempotency keys of an import, each with the place where it came first."""

    def __init__(self) -> None:
        self.users: dict[str, int] = {}
        """Each user's id, and the place where it came first."""
        # Only texts that are not ASCII or have blanks at an end can be confused with others. By field and
        # normalised text: each spelling, with its first place.
        self._odd: dict[tuple[str, str], dict[str, int]] = {}
        self._keys: dict[bytes, int] = {}

    def note(self, item: BatchItem, place: int) -> int | None:
        """Record an event. Return the place of an earlier event with its idempotency key, if any."""
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
        # Ids hold no control characters, so the separator is unambiguous.
        content = "\0".join((user.id, item.key, item.idempotency_key)).encode()
        digest = blake2b(content, digest_size=_KEY_BYTES).digest()
        first = self._keys.setdefault(digest, place)
        return first if first != place else None

    def _note(self, field: str, text: str, place: int) -> None:
        if not text.isascii() or text != text.strip():
            self._odd.setdefault((field, _plain(text)), {}).setdefault(text, place)

    def lookalikes(self) -> Iterator[Lookalike]:
        """Yield the texts that look like another one, and user ids that begin or end with a blank."""
        for (field, plain), odd in self._odd.items():
            texts = dict(odd)
            if field == "user" and plain in self.users:
                texts.setdefault(plain, self.users[plain])
            first, *others = sorted(texts, key=texts.__getitem__)
            if first != first.strip() and field == "user":
                yield Lookalike(texts[first], field, first)
            for text in others:
                yield Lookalike(texts[text], field, text, first, texts[first])


class Lookalike(msgspec.Struct, frozen=True):
    """A text that looks like ``other``, which came earlier. Without ``other`` it begins or ends with a blank."""

    place: int
    field: str
    text: str
    other: str | None = None
    other_place: int = 0


def _plain(text: str) -> str:
    return normalize("NFC", text).strip()
