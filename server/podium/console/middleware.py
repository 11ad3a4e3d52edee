"""Headers, compression and error pages for every answer below ``/console``."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from podium.console.render import page

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: https:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
}
"""Headers that forbid scripts, styles, frames and connections from other origins."""
GZIP_LEVEL = 6
"""Higher levels take longer and hardly make a page shorter."""


class Shell(BaseRoute):
    """The path ``prefix`` and everything below it: the answers of ``routes``, or an error page."""

    def __init__(self, prefix: str, static: str, routes: Sequence[BaseRoute]) -> None:
        """``static`` is the prefix of files, which browsers may keep and revalidate; pages must not be kept."""
        self._prefix, self._static = prefix, static
        self.routes = list(routes)
        inside = ExceptionMiddleware(Router(routes), handlers={HTTPException: _problem})
        self._app: ASGIApp = GZipMiddleware(inside, compresslevel=GZIP_LEVEL)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match every path below ``prefix``. The inner routes match the whole path, so nothing is stripped."""
        path: str = scope["path"]
        here = scope["type"] == "http" and (path == self._prefix or path.startswith(self._prefix + "/"))
        return (Match.FULL if here else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request with the inner routes and add the headers."""
        cache_control = "no-cache" if scope["path"].startswith(self._static) else "no-store"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update({**HEADERS, "Cache-Control": cache_control})
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _problem(request: Request, error: Exception) -> Response:
    """Return the page for an error of the routes themselves, like an unknown path."""
    if not isinstance(error, HTTPException):
        raise error
    title, text = "Request refused", error.detail
    if error.status_code == 404:
        title, text = "Not found", "There is no such page."
    answer = page(request, "problem.html", error.status_code, title=title, message=text)
    answer.headers.update(error.headers or {})
    return answer
