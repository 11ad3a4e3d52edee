"""A secret as a page shows it: another text each time, so that compressed pages tell nothing about it.

A page that is compressed and repeats what was sent to it gets shorter where the two agree; whoever can make a
browser load pages and see their lengths could guess a text that always stands there, piece by piece (BREACH).
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode


def masked(secret: bytes) -> str:
    """``secret`` under a pad made for this once, behind the pad."""
    pad = secrets.token_bytes(len(secret))
    return urlsafe_b64encode(pad + _xor(pad, secret)).decode()


def unmasked(text: str) -> bytes:
    """The secret of a text that ``masked`` made; what else was sent becomes other bytes, or none."""
    try:
        both = urlsafe_b64decode(text.encode())
    except ValueError:
        return b""
    half = len(both) // 2
    return _xor(both[:half], both[half : 2 * half])


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
