"""CSRF tokens: a session's secret, masked differently in each page, against BREACH.

A compressed page gets shorter where text from the request equals text in the page. An attacker who can make a
browser load pages and who sees their lengths could so guess a constant secret piece by piece. A one-time pad makes
the text different each time.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode


def masked(secret: bytes) -> str:
    """Return a random pad followed by ``secret`` XOR pad, as text."""
    pad = secrets.token_bytes(len(secret))
    return urlsafe_b64encode(pad + _xor(pad, secret)).decode()


def unmasked(text: str) -> bytes:
    """Return the secret from a text of ``masked``; any other text yields other bytes, or none."""
    try:
        both = urlsafe_b64decode(text.encode())
    except ValueError:
        return b""
    half = len(both) // 2
    return _xor(both[:half], both[half : 2 * half])


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
