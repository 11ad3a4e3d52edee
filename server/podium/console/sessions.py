"""Sessions: a signed cookie, whose id Redis keeps until the session ends.

The id is kept under the prefix of the space, and a rebuild of the space leaves it there. The claims are in the
signed cookie, so write access to Redis is not enough to forge a session.
"""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256
from typing import Any, Literal

import jwt
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from podium.console import accounts
from podium.console.accounts import ROLES, Role
from podium.console.csrf_tokens import masked, unmasked
from podium.console.stores import connection_within_limit, within_limit
from podium.game.errors import Unavailable
from podium.http.addresses import is_here
from podium.http.cookies import cookie
from podium.http.services import services
from podium.spaces.space import Principal, Space

COOKIE = "podium_console"
SESSION_S = 12 * 3_600
"""Seconds of a session: a working day."""
CSRF_BYTES = 16


class Session(msgspec.Struct, frozen=True):
    """A signed-in person. ``by`` is the means of signing in, ``exp`` the end in unix seconds.

    ``mark`` changes with the password of an account (accounts.Account).
    """

    id: str
    space: str
    by: Literal["key", "account"]
    sub: str
    mark: str
    name: str
    role: Role
    secret: str
    exp: int

    def may(self, role: Role) -> bool:
        """Return whether the person has a role, or one that includes it."""
        return ROLES.index(self.role) >= ROLES.index(role)

    @property
    def csrf(self) -> str:
        """The CSRF token for a form, different each time."""
        return masked(bytes.fromhex(self.secret))

    def verifies(self, csrf: str) -> bool:
        """Return whether a CSRF token is from a page of this session."""
        return secrets.compare_digest(unmasked(csrf), bytes.fromhex(self.secret))


async def sign_in(
    response: Response, request: Request, space: Space, by: str, sub: str, name: str, role: Role, mark: str = ""
) -> None:
    """Begin a session and set its cookie. Raises ``Unavailable`` where Redis is away."""
    parts = services(request)
    claims: dict[str, Any] = {
        "id": secrets.token_urlsafe(16),
        "space": space.public_id,
        "by": by,
        "sub": sub,
        "mark": mark,
        "name": name,
        "role": role,
        "secret": secrets.token_hex(CSRF_BYTES),
        "exp": parts.clock() // 1000 + SESSION_S,
    }
    await within_limit(parts.redis.raw.set(space.keys.session(claims["id"]), 1, ex=SESSION_S))
    response.set_cookie(
        COOKIE,
        jwt.encode(claims, _secret(space), algorithm="HS256"),
        max_age=SESSION_S,
        path="/console",
        secure=not _may_be_plain(request),
        httponly=True,
        samesite="lax",
    )


def _may_be_plain(request: Request) -> bool:
    """Return whether the cookie may be sent over plain HTTP: on this machine, or where the setting allows it.

    A request by plain HTTP does not prove that the browser uses it: TLS may end at a proxy that
    ``PODIUM_TRUSTED_PROXIES`` doesn't name.
    """
    if request.scope["scheme"] == "https":
        return False
    return is_here(request.headers.get("host", "")) or services(request).settings.console_plain_http


async def sign_out(response: Response, request: Request) -> None:
    """End the session and delete its cookie. Raises ``Unavailable`` where Redis is away; it has not ended then."""
    session, space = request.state.session, request.state.space
    await within_limit(services(request).redis.raw.delete(space.keys.session(session.id)))
    response.delete_cookie(COOKIE, path="/console")


async def session_of(request: Request, *, in_outages: bool = False) -> tuple[Session, Space] | None:
    """Return the session of a request and its space, None without a valid one.

    Raises:
        Unavailable: a store is away, so the session can't be checked. With ``in_outages`` the signed cookie alone
        is
            enough then.
    """
    parts, found = services(request), _signed(request)
    if found is None:
        return None
    session, space = found
    try:
        if not await within_limit(parts.redis.raw.exists(space.keys.session(session.id))):
            return None
    except Unavailable:
        if not in_outages:
            raise
    if session.by == "key":
        return found if parts.directory.knows_key(session.sub) else None
    try:
        async with connection_within_limit(parts.pool) as connection:
            account = await accounts.get(connection, session.sub)
    except Unavailable:
        if not in_outages:
            raise
        return found
    if account is None or account.space_id != space.id or account.mark != session.mark:
        return None
    return msgspec.structs.replace(session, role=account.role, name=account.name), space


def principal_of(session: Session, space: Space) -> Principal:
    """Return the principal for calls of the API. It has all rights; the console has checked the role."""
    return Principal(space, f"console, {session.by} {session.sub}", session.name, frozenset({"admin"}))


def _signed(request: Request) -> tuple[Session, Space] | None:
    """Return session and space of the cookie, None if it is not valid or the space is gone."""
    parts, token = services(request), cookie(request, COOKIE)
    if not token:
        return None
    unchecked: Any = {"verify_signature": False, "verify_exp": False}
    try:
        named = jwt.decode(token, options=unchecked).get("space")
        space = parts.directory.spaces.get(named) if isinstance(named, str) else None
        if space is None or space.archived:
            return None
        claims = jwt.decode(token, _secret(space), algorithms=["HS256"], options={"verify_exp": False})
        session = msgspec.convert(claims, Session)
    except (jwt.PyJWTError, msgspec.ValidationError, ValueError, RecursionError):
        return None
    return (session, space) if session.exp * 1000 > parts.clock() else None


def _secret(space: Space) -> str:
    """Derive the key that signs sessions from the secret of live tokens.

    It must differ: the app's own server knows that secret, and must not be able to forge a session.
    """
    return hmac.new(space.realtime_secret.encode(), b"console session", sha256).hexdigest()
