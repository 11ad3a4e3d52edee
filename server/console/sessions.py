"""Who looks at a page: a signed cookie, and whether it is still good."""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256
from typing import Any, Literal

import jwt
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from server.backends.postgres.pool import acquired
from server.console import accounts
from server.console.accounts import ROLES, Role
from server.http.services import services
from server.spaces.space import Principal, Space

COOKIE = "podium_console"
SESSION_S = 12 * 3_600
"""A session ends after a working day."""
CSRF_BYTES = 16


class Session(msgspec.Struct, frozen=True):
    """A signed-in person. ``by`` says what with; ``csrf`` is repeated by every form."""

    space: str
    by: Literal["key", "account"]
    sub: str
    name: str
    role: Role
    csrf: str
    exp: int

    def may(self, role: Role) -> bool:
        """Whether what needs a role is allowed."""
        return ROLES.index(self.role) >= ROLES.index(role)


def sign_in(response: Response, request: Request, space: Space, by: str, sub: str, name: str, role: Role) -> None:
    """Set the cookie."""
    now_s = services(request).clock() // 1000
    claims: dict[str, Any] = {
        "space": space.public_id,
        "by": by,
        "sub": sub,
        "name": name,
        "role": role,
        "csrf": secrets.token_urlsafe(CSRF_BYTES),
        "exp": now_s + SESSION_S,
    }
    response.set_cookie(
        COOKIE,
        jwt.encode(claims, _secret(space), algorithm="HS256"),
        max_age=SESSION_S,
        path="/console",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )


def sign_out(response: Response) -> None:
    """Take the cookie back."""
    response.delete_cookie(COOKIE, path="/console")


async def session_of(request: Request) -> tuple[Session, Space] | None:
    """Who sent a request, and the space that they look at; None where nobody is signed in any more."""
    parts, token = services(request), request.cookies.get(COOKIE)
    if not token:
        return None
    unchecked: Any = {"verify_signature": False, "verify_exp": False}
    try:
        named = jwt.decode(token, options=unchecked).get("space")
        space = parts.directory.spaces.get(named) if isinstance(named, str) else None
        if space is None or space.archived:
            return None
        claims = jwt.decode(token, _secret(space), algorithms=["HS256"], options={"verify_exp": False})
        found = msgspec.convert(claims, Session)
    except (jwt.PyJWTError, msgspec.ValidationError, ValueError):
        return None
    if found.exp * 1000 <= parts.clock():
        return None
    if found.by == "key":
        return (found, space) if parts.directory.knows_key(found.sub) else None
    async with acquired(parts.pool) as connection:
        account = await accounts.get(connection, found.sub)
    if account is None or account.space_id != space.id:
        return None
    return msgspec.structs.replace(found, role=account.role, name=account.name), space


def principal_of(session: Session, space: Space) -> Principal:
    """The person as the API knows them; what a role may do was checked by the page."""
    return Principal(space, f"console, {session.by} {session.sub}", session.name, frozenset({"admin"}))


def _secret(space: Space) -> str:
    """Not the secret of live tokens itself: the app's own server has that, and may not sign in with it."""
    return hmac.new(space.realtime_secret.encode(), b"console session", sha256).hexdigest()
