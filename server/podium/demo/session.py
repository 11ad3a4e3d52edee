"""The demo page's session: a realtime token of one demo user, so that no admin key reaches a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jwt
import orjson
from starlette.requests import Request
from starlette.responses import Response

from podium.demo.catalog import BOARDS, METRIC, YOU

if TYPE_CHECKING:
    from podium.services import Services

TOKEN_S = 3_600
"""Seconds for which the page's token is valid. The page fetches a new one by itself."""


async def session(request: Request) -> Response:
    """``GET /demo/session.json``, served only with ``PODIUM_DEMO``."""
    services: Services = request.app.state.services
    space = services.directory.production
    claims = {
        "sub": YOU.id,
        "aud": space.public_id,
        "exp": services.clock() // 1000 + TOKEN_S,
        "caps": ["events:write"],
    }
    body = {
        "socketUrl": "/connection/websocket",
        "user": {"id": YOU.id, "name": YOU.name},
        "token": jwt.encode(claims, space.realtime_secret, algorithm="HS256"),
        "metric": METRIC,
        "boards": [{"key": key, "name": name} for key, name in BOARDS.items()],
    }
    return Response(orjson.dumps(body), media_type="application/json", headers={"cache-control": "no-store"})
