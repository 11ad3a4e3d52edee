"""Authentication and authorization of requests by their API key."""

from __future__ import annotations

from starlette.requests import Request

from podium.game.errors import Forbidden, Unprocessable
from podium.http.params import listed
from podium.http.services import services
from podium.spaces.space import Principal

_OF_ENVIRONMENTS = ("/admin/v1/tenants", "/admin/v1/environments")
"""Paths of the environment as a whole, which take no tenant."""
_BOARDS = "/v1/leaderboards/"
"""Boards are for everybody, so an application key may ask for the rows of other users here."""
_AUDIT_LOG = "/admin/v1/audit-log"
"""The log of an environment has the changes of its tenants, so the header Tenant-ID is optional here."""


def authorize(request: Request, capability: str) -> Principal:
    """Return the principal of the header X-API-KEY, and keep it as ``request.state.principal``.

    Raises:
        Unauthorized: the key is missing, unknown or revoked.
        Forbidden: the key lacks the capability ("" asks for none), or may not act for this tenant or user.
    """
    directory, key = services(request).directory, request.headers.get("x-api-key")
    path = routed_path(request)
    if path.startswith(_OF_ENVIRONMENTS):
        found = directory.enter_environment(key)
    else:
        found = directory.enter(key, tenant(request), own=path == _AUDIT_LOG)
    if capability and not found.may(capability):
        raise Forbidden(f"The key lacks the capability {capability}")
    if found.user is not None:
        _check_user(request, found)
    request.state.principal = found
    return found


def routed_path(request: Request) -> str:
    """Return the path by which the route was chosen.

    Never use ``request.url`` for this: Starlette before 1.3 builds it from the header Host, so a client can choose
    its path freely (CVE-2026-48710).
    """
    path: str = request.scope["path"]
    return path


def tenant(request: Request) -> str | None:
    """Return the customer id in the header Tenant-ID, None without one."""
    for name, value in request.headers.raw:
        if name == b"tenant-id":
            return header_text("Tenant-ID", value)
    return None


def header_text(name: str, value: bytes) -> str:
    """Decode a header that may hold any text. Raises ``Unprocessable`` if it is not UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Unprocessable(f"{name} must be UTF-8") from None


def _check_user(request: Request, found: Principal) -> None:
    """Raise ``Forbidden`` where an application key names another user, or asks for the admin API."""
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
    """Return the principal that ``authorize`` has found."""
    found: Principal = request.state.principal
    return found
