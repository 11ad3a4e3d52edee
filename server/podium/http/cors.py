"""CORS: what pages of other origins may ask. Stands before everything; without Origin it costs nothing."""

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
"""Browsers ask again after this. What a list no longer allows is refused at once: each answer is checked too."""


class Spaces(Protocol):
    """Where spaces and keys are known (spaces/directory.py)."""

    @property
    def spaces(self) -> Mapping[str, Space]:
        """By public id."""

    def authenticate(self, key: str | None) -> Principal:
        """Whose key this is; ``Unauthorized`` if it is none."""


class CrossOrigin:
    """The whole application; ``spaces`` gives the directory, which is there once the application has started.

    ``/v1/*``: the origins of the space whose key is sent; of any space for a preflight, which never carries a
    key. Live streams: every origin, as they check it themselves by the rule of the sockets.
    """

    def __init__(self, app: ASGIApp, spaces: Callable[[], Spaces], direct: DirectEndpoint | None = None) -> None:
        """``direct`` answers what needs no ASGI, and so has no Origin."""
        self._app = app
        self.direct = direct
        self._api = _Api(app, spaces)
        self._streams = _Cors(app, ["*"], ("GET",), ["*"], expose_headers=_EXPOSED, max_age=PREFLIGHT_S)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight, add headers for a page, or stand aside."""
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
        """Starlette's answer; a refusal in the form of every error."""
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
        """Whether some space lists it."""
        return any(origin in space.allowed_origins for space in self._spaces().spaces.values())

    async def send(self, message: Message, send: Send, request_headers: Headers) -> None:
        """Pass a message on; an answer to a key of a space that doesn't list the origin stays as it is."""
        try:
            space = self._spaces().authenticate(request_headers.get("x-api-key")).space
        except Unauthorized:  # whose page it is can't be said: it may read why it was refused
            await super().send(message, send, request_headers)
            return
        if request_headers["origin"] in space.allowed_origins:
            await super().send(message, send, request_headers)
        else:
            await send(message)
