"""Who sent a request, and whether they may."""

from __future__ import annotations

from starlette.requests import Request

from podium.game.errors import Forbidden, Unprocessable
from podium.http.params import listed
from podium.http.services import services
from podium.spaces.space import Principal

_OF_ENVIRONMENTS = ("/admin/v1/tenants", "/admin/v1/environments")
"""Paths that no tenant has for itself."""
_BOARDS = "/v1/leaderboards/"
"""Whose rows are everybody's, whomever they are of."""
_AUDIT_LOG = "/admin/v1/audit-log"
"""Also an environment has one: what was done to its tenants is there."""


def authorize(request: Request, capability: str) -> Principal:
    """The owner of the X-API-KEY, also kept as ``request.state.principal``.

    ``Unauthorized`` without a good key, ``Forbidden`` if it lacks the capability ("" asks for none).
    """
    directory, key = services(request).directory, request.headers.get("x-api-key")
    path = routed_path(request)
    if path.startswith(_OF_ENVIRONMENTS):
        found = directory.enter_environment(key)
    else:
        found = directory.enter(key, tenant(request), own=path == _AUDIT_LOG)
    if capability and not found.may(capability):
        raise Forbidden(f"This key may not do this: it lacks the capability {capability}")
    if found.user is not None:
        _check_user(request, found)
    request.state.principal = found
    return found


def routed_path(request: Request) -> str:
    """Return the path that the routes were chosen by.

    Never ask ``request.url`` for it: Starlette before 1.3 puts that together from the header Host, so that its
    path is what the client likes (CVE-2026-48710).
    """
    path: str = request.scope["path"]
    return path


def tenant(request: Request) -> str | None:
    """The customer id in the header Tenant-ID."""
    for name, value in request.headers.raw:
        if name == b"tenant-id":
            return header_text("Tenant-ID", value)
    return None


def header_text(name: str, value: bytes) -> str:
    """The text of a header that may hold any; 422 if it is not UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Unprocessable(f"{name} must be UTF-8") from None


def _check_user(request: Request, found: Principal) -> None:
    """``Forbidden`` where an application key asks for another user by name, or for the admin API."""
    path = routed_path(request)
    if path.startswith("/admin/"):
        raise Forbidden("An application key may not use the admin API")
    if path.startswith(_BOARDS):
        return
    named = [request.path_params[name] for name in ("userId",) if name in request.path_params]
    if path.startswith("/v1/users/") and "id" in request.path_params:
        named.append(request.path_params["id"])
    named += [user for user in request.query_params.getlist("userId") if user]
    named += listed(request, "userIds")
    for user in named:
        found.check_user(user)


def principal(request: Request) -> Principal:
    """The owner of the key, as ``authorize`` found it."""
    found: Principal = request.state.principal
    return found
