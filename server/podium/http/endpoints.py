"""An endpoint as a value: the routes, the typed bodies and the OpenAPI document come from one list of these."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send


class Raw:
    """An ASGI function as Starlette takes it for a whole endpoint."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application."""
        await self._app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class Query:
    """A query parameter, for the document; handlers read it with http/params.py."""

    name: str
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    required: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation of the HTTP API.

    - ``path`` is Starlette's, ``needs`` the capability that the key must have. ``body`` and ``answer`` are msgspec
      types.
    - ``statuses`` are the documented ones, the successful one first. 401, 403 and 429 are added where a key is
      needed, 422 where a tenant may be.
    - ``asgi`` replaces ``handler`` where an endpoint is an ASGI application (the hot path), which then
    authenticates
      by itself.
    - ``shows`` is the promise about changes that were just acknowledged. ``user``: the answer includes all those
    of
      the users whom the request names, or it is live. ``space``: it is a summary of a whole space, which may lag
      and says so (http/as_of.py). "": it shows nothing of users.
    """

    method: str
    path: str
    summary: str
    tag: str
    needs: str
    statuses: tuple[int, ...]
    handler: Callable[[Request], Awaitable[Response]] | None = None
    asgi: Any = None
    body: Any = None
    answer: Any = None
    query: tuple[Query, ...] = ()
    headers: tuple[Query, ...] = ()
    answer_headers: tuple[Query, ...] = ()
    """Of the good answers."""
    description: str = ""
    shows: Literal["", "user", "space"] = ""
