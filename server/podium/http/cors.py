"""CORS: requests from pages of other origins. It wraps the whole application; without Origin it costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from podium.game.errors import Unauthorized
from podium.http.answers import answer
from podium.http.transport import DirectEndpoint
from podium.spaces.space import Principal, Space

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_EXPOSED = ("Retry-After", "Server-Timing", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
PREFLIGHT_S = 600
"""Seconds for which browsers keep a preflight. An origin that was removed is refused at once, as each answer is
checked too."""


class Spaces(Protocol):
    """The directory of spaces and keys (spaces/directory.py)."""

    @property
    def spaces(self) -> Mapping[str, Space]:
        """The spaces by public id."""

    def authenticate(self, key: str | None) -> Principal:
        """Return the principal of a key. Raises ``Unauthorized`` for an unknown one."""


class CrossOrigin:
    """ASGI middleware that answers preflights and adds the headers of CORS.

    ``/v1/*`` allows the origins of the space whose key is sent. A preflight never carries a key, so it allows
    those of any space. Live streams allow every origin here: they check it themselves, by the rule of the
    WebSockets. ``spaces`` returns the directory, which exists once the application has started.
    """

    def __init__(self, app: ASGIApp, spaces: Callable[[], Spaces], direct: DirectEndpoint | None = None) -> None:
        """``direct`` answers what needs no ASGI, and so has no Origin."""
        self._app = app
        self.direct = direct
        self._api = _Api(app, spaces)
        self._streams = _Cors(app, ["*"], ("GET",), ["*"], expose_headers=_EXPOSED, max_age=PREFLIGHT_S)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight, or call the application and add headers for a page."""
        if scope["type"] == "http":
            for name, _ in scope["headers"]:
                if name == b"origin":
                    await self._of(scope["path"])(scope, receive, send)
                    return
        await self._app(scope, receive, send)

    def _of(self, path: str) -> ASGIApp:
        if not path.startswith("/v1/"):
            return self._app
        return self._streams if path.startswith("/v1/leaderboards/") and path.endswith("/live") else self._api


class _Cors(CORSMiddleware):
    def preflight_response(self, request_headers: Headers) -> Response:
        """Return Starlette's answer, a refusal as JSON like every error."""
        found = super().preflight_response(request_headers)
        if found.status_code < 400:
            return found
        refusal = answer({"error": bytes(found.body).decode()}, found.status_code)
        refusal.raw_headers += [
            (name, value) for name, value in found.raw_headers if not name.startswith(b"content-")
        ]
        return refusal


class _Api(_Cors):
    def __init__(self, app: ASGIApp, spaces: Callable[[], Spaces]) -> None:
        super().__init__(app, (), _METHODS, ["*"], expose_headers=_EXPOSED, max_age=PREFLIGHT_S)
        self._spaces = spaces

    def is_allowed_origin(self, origin: str) -> bool:
        """Return whether any space lists the origin."""
        return any(origin in space.allowed_origins for space in self._spaces().spaces.values())

    async def send(self, message: Message, send: Send, request_headers: Headers) -> None:
        """Send a message, with headers if the space of the request's key lists the origin."""
        try:
            space = self._spaces().authenticate(request_headers.get("x-api-key")).space
        except Unauthorized:  # the space is unknown; the page may read why it was refused
            await super().send(message, send, request_headers)
            return
        if request_headers["origin"] in space.allowed_origins:
            await super().send(message, send, request_headers)
        else:
            await send(message)
