"""Realtime tokens, and leaderboards as Server-Sent Events."""

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
    """A token for the live protocol, and the instant at which it expires."""

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
            Query("limit", "Rows, rounded up to 10, 25, 50, 100, 250 or 500. Default: 100.", {"type": "integer"}),
            Query(
                "interval", "Least time between two events in ms, 0 to 5,000. Default: 50.", {"type": "integer"}
            ),
            Query("run", "Any day of the run. Default: the current run."),
            Query("space", "Id of the space, for requests without a key. Default: the production space."),
            Query("token", "A user's realtime token, for EventSource, which can't send headers."),
        ),
        description="An event `snapshot`, then an event `publication` for each change, with the payloads of the"
        " live protocol. The request needs an API key in `X-API-KEY`, or a user's token in `Authorization: Bearer`"
        " or `token`; public leaderboards need neither. A token in a URL may be logged: give it a short `ttl`.",
    ),
    Endpoint(
        method="POST",
        path="/v1/users/{id}/realtime-token",
        summary="Create a realtime token for a user",
        tag="Live",
        needs="read",
        statuses=(201, 400, 403, 413, 422),
        handler=post_token,
        body=TokenRequest,
        answer=RealtimeToken,
        description=f"The body is optional. `ttl` is in seconds: {TTL_S:,} by default, at most {TTL_MAX_S:,}."
        " `channels` are patterns with `*`; by default all channels are allowed. `caps` may hold `events:write` if"
        " the key itself may write events. The user need not exist yet.",
    ),
]
