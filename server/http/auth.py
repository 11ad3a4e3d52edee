"""Who sent a request, and whether they may."""

from __future__ import annotations

from starlette.requests import Request

from server.core.errors import Forbidden
from server.http.services import services
from server.spaces.space import Principal


def authorize(request: Request, capability: str) -> Principal:
    """The owner of the X-API-KEY, also kept as ``request.state.principal``.

    ``Unauthorized`` without a good key, ``Forbidden`` if it lacks the capability ("" asks for none).
    """
    found = services(request).directory.authenticate(request.headers.get("x-api-key"))
    if capability and not found.may(capability):
        raise Forbidden(f"This key may not do this: it lacks the capability {capability}")
    request.state.principal = found
    return found


def principal(request: Request) -> Principal:
    """The owner of the key, as ``authorize`` found it."""
    found: Principal = request.state.principal
    return found
