"""The check that bodies sent with an application key set no field that only the app's server may set."""

from __future__ import annotations

import msgspec
from starlette.requests import Request

from podium.game.users.restricted_fields import HELD, check_names
from podium.http.bodies import decode, read_body

_any_json = msgspec.json.Decoder()


async def check(request: Request) -> None:
    """Raise ``Unprocessable`` where the body, or its ``user``, has a restricted field."""
    body = await read_body(request)
    found = decode(_any_json, body) if body else None
    for prefix, part in (("", found), ("user.", found.get("user") if isinstance(found, dict) else None)):
        if isinstance(part, dict):
            check_names([f"{prefix}{name}" for name in HELD.values() if name in part])
