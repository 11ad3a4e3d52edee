"""Bodies that an application key sends: what is not its user's to set is refused, at every door behind a route."""

from __future__ import annotations

import msgspec
from starlette.requests import Request

from podium.game.users.restricted_fields import HELD, check_names
from podium.http.bodies import decode, read_body

_anything = msgspec.json.Decoder()


async def check(request: Request) -> None:
    """422 where its body, or the ``user`` in it, has a field that is held."""
    body = await read_body(request)
    found = decode(_anything, body) if body else None
    for prefix, part in (("", found), ("user.", found.get("user") if isinstance(found, dict) else None)):
        if isinstance(part, dict):
            check_names([f"{prefix}{name}" for name in HELD.values() if name in part])
