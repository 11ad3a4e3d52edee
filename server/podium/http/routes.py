"""Starlette routes from endpoints: authentication, capability and errors around each handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence, Set
from urllib.parse import unquote, unquote_to_bytes

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from podium.clock import stopwatch_s
from podium.game.errors import Unavailable, Unprocessable
from podium.game.periods import iso
from podium.http import as_of, restricted_fields
from podium.http.auth import authorize, principal
from podium.http.endpoints import Endpoint
from podium.http.errors import answer_error
from podium.http.services import services

Handler = Callable[[Request], Awaitable[Response]]
Observe = Callable[[str, str, float], None]
"""Observe an answer: method, path as the API document has it, duration in seconds."""


def routes(endpoints: Sequence[Endpoint], observe: Observe = lambda *_: None) -> list[BaseRoute]:
    """Return one route for each endpoint, in this order. Endpoints that are ASGI applications are not observed."""
    found = [
        EscapedRoute(
            endpoint.path,
            endpoint.asgi if endpoint.handler is None else _guarded(endpoint, endpoint.handler, observe),
            methods=[endpoint.method],
            include_in_schema=False,
        )
        for endpoint in endpoints
    ]
    allowed: dict[str, set[str]] = {}
    for route in found:
        allowed.setdefault(route.path, set()).update(route.methods or ())
    for route in found:
        route.allowed = allowed[route.path]
    return [*found]


class EscapedRoute(Route):
    """A route whose path parameters may contain a slash, sent as %2F, as user ids do."""

    allowed: Set[str] = frozenset()
    """The methods of all routes of this path, for the header ``Allow`` of a 405; empty: only this one's."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match the path before it is decoded, if it contains an encoded slash."""
        raw: bytes = scope.get("raw_path", b"")
        if b"%2f" not in raw.lower():
            return super().matches(scope)
        match, child = super().matches({**scope, "path": raw.decode("ascii")})
        if match is not Match.NONE:
            child["path_params"] = {name: unquote(value) for name, value in child["path_params"].items()}
        return match, child

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; 405 for another method, for which the router asks the first route of the path."""
        if self.allowed and scope["method"] not in (self.methods or ()):
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(self.allowed))})
        await super().handle(scope, receive, send)


def check_utf8(scope: Scope) -> None:
    """Raise ``Unprocessable`` where path or query is not UTF-8 once it is percent-decoded.

    Starlette replaces invalid bytes, so that different ids would become the same.
    """
    for name, part in (("path", scope.get("raw_path", b"")), ("query", scope.get("query_string", b""))):
        if b"%" in part:
            try:
                unquote_to_bytes(part).decode()
            except UnicodeDecodeError:
                raise Unprocessable(f"The {name} must be percent-encoded UTF-8") from None


def _guarded(endpoint: Endpoint, handler: Handler, observe: Observe) -> Handler:
    """Wrap a handler: authentication before it, and an answer for whatever it raises."""

    async def guard(request: Request) -> Response:
        began_s = stopwatch_s()
        try:
            check_utf8(request.scope)
            who = authorize(request, endpoint.needs)
            if who.user is not None and endpoint.body is not None:
                await restricted_fields.check(request)
            # A handler that refuses has stored nothing, so it may be called again with a newer catalog.
            answered = _dated if endpoint.shows == "space" else _plain
            return await services(request).catalogs.retried(who.space, lambda: answered(request, handler))
        except Exception as error:  # noqa: BLE001 - answer_error logs what is not expected, and answers 500
            return answer_error(error, request.method, request.scope["path"])
        finally:
            observe(endpoint.method, endpoint.path, stopwatch_s() - began_s)

    return guard


async def _plain(request: Request, handler: Handler) -> Response:
    return await handler(request)


async def _dated(request: Request, handler: Handler) -> Response:
    """Call a handler of a summary, and add the instant that its answer describes."""
    parts = services(request)
    try:
        as_of_ms = await parts.reads.as_of_ms(principal(request).space, parts.clock())
    except Unavailable:  # Redis is away; only Redis knows how far Postgres lags
        return await handler(request)
    with as_of.computing(as_of_ms) as computed:
        response = await handler(request)
    response.headers[as_of.HEADER] = iso(computed.ms)
    return response
