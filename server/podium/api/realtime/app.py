"""The live protocol's doors over HTTP."""

from __future__ import annotations

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from podium.game.errors import Forbidden
from podium.game.periods import iso
from podium.http.answers import answer
from podium.http.auth import principal
from podium.http.bodies import decode, read_body
from podium.http.endpoints import Endpoint, Query, Raw
from podium.http.services import services
from podium.live.access import WRITE_EVENTS
from podium.live.tokens import TTL_MAX_S, TTL_S, TokenRequest, mint

_token_request = msgspec.json.Decoder(TokenRequest)


class RealtimeToken(msgspec.Struct, frozen=True, rename="camel"):
    """A token for the live protocol, and when it ends."""

    token: str
    expires_at: Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


async def post_token(request: Request) -> Response:
    """``POST /v1/users/{id}/realtime-token``."""
    who = principal(request)
    body = await read_body(request)
    asked = decode(_token_request, body) if body else TokenRequest()
    token, expires_ms = mint(who.space, request.path_params["id"], asked, services(request).clock())
    if asked.caps and not who.may(WRITE_EVENTS):
        raise Forbidden(f"caps: this key may not grant {WRITE_EVENTS}, which it lacks itself")
    return answer(RealtimeToken(token, iso(expires_ms)), 201, {"Cache-Control": "no-store"})


async def _live(scope: Scope, receive: Receive, send: Send) -> None:
    """``GET /v1/leaderboards/{key}/live``."""
    await scope["app"].state.streams(scope, receive, send)


ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path="/v1/leaderboards/{key}/live",
        shows="user",
        summary="Watch a leaderboard: Server-Sent Events",
        tag="Live",
        needs="",
        statuses=(200, 400, 401, 403, 404, 422, 429, 503),
        asgi=Raw(_live),
        query=(
            Query(
                "limit", "Rows, rounded up to 10, 25, 50, 100, 250 or 500; 100 unless given.", {"type": "integer"}
            ),
            Query("interval", "Least ms between two events: 0 to 5,000; 50 unless given.", {"type": "integer"}),
            Query("run", "A date: the run that holds it. The current one unless given."),
            Query("space", "The space, for those without a key. The production space unless given."),
            Query("token", "A user's token, for EventSource, which can't send headers."),
        ),
        description="An event `snapshot`, then an event `publication` for each change, with the payloads of the"
        " live protocol. Who may watch: an API key in `X-API-KEY`, a user's token in `Authorization: Bearer` or"
        " `token`, everybody where the leaderboard is public. A token in a URL may stand in logs: give it a short"
        " `ttl`.",
    ),
    Endpoint(
        method="POST",
        path="/v1/users/{id}/realtime-token",
        summary="Mint a token of a user for the live protocol",
        tag="Live",
        needs="read",
        statuses=(201, 400, 403, 413, 422),
        handler=post_token,
        body=TokenRequest,
        answer=RealtimeToken,
        description=f"The body may be left out. `ttl` is in s, {TTL_S:,} unless given, at most {TTL_MAX_S:,}."
        " `channels` are patterns with `*`, every channel unless given. `caps` may hold `events:write` where the"
        " key itself may write events. The user need not exist yet.",
    ),
]
