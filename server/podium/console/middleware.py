"""What holds for every answer below ``/console``: headers, compression, errors as pages."""

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
"""They let nothing in from elsewhere."""
GZIP_LEVEL = 6
"""Beyond it a page takes longer and hardly gets shorter."""


class Shell(BaseRoute):
    """The path ``prefix`` and all below it: what ``routes`` answer, or a page that says that there is nothing."""

    def __init__(self, prefix: str, static: str, routes: Sequence[BaseRoute]) -> None:
        """Below ``static`` are files, which browsers may keep if they ask each time whether they still hold."""
        self._prefix, self._static = prefix, static
        self.routes = list(routes)
        inside = ExceptionMiddleware(Router(routes), handlers={HTTPException: _problem})
        self._app: ASGIApp = GZipMiddleware(inside, compresslevel=GZIP_LEVEL)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a request is for here; the routes inside match the whole path."""
        path: str = scope["path"]
        here = scope["type"] == "http" and (path == self._prefix or path.startswith(self._prefix + "/"))
        return (Match.FULL if here else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        kept = "no-cache" if scope["path"].startswith(self._static) else "no-store"

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update({**HEADERS, "Cache-Control": kept})
            await send(message)

        await self._app(scope, receive, tell)


def _problem(request: Request, error: Exception) -> Response:
    """What the routes themselves refuse: a page that is not there, or that takes no such form."""
    if not isinstance(error, HTTPException):
        raise error
    title, text = "That didn't work", error.detail
    if error.status_code == 404:
        title, text = "Not found", "There is no such page."
    answer = page(request, "problem.html", error.status_code, title=title, message=text)
    answer.headers.update(error.headers or {})
    return answer
