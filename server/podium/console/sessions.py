"""Who looks at a page: a signed cookie, and whether it is still good.

Redis keeps the id of each session, under the prefix of its space, until it ends or its person signs out; a rebuild
of the space leaves it there. What the cookie says is signed, so Redis alone makes nobody somebody.
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
from podium.console.stores import of_redis, soon
from podium.game.errors import Unavailable
from podium.http.addresses import is_here
from podium.http.cookies import cookie
from podium.http.services import services
from podium.spaces.space import Principal, Space

COOKIE = "podium_console"
SESSION_S = 12 * 3_600
"""A session ends after a working day."""
CSRF_BYTES = 16


class Session(msgspec.Struct, frozen=True):
    """A signed-in person. ``by`` says what with; ``mark`` changes with an account's password; ``exp`` is in s."""

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
        """Whether what needs a role is allowed."""
        return ROLES.index(self.role) >= ROLES.index(role)

    @property
    def csrf(self) -> str:
        """What every form repeats, as a page shows it."""
        return masked(bytes.fromhex(self.secret))

    def made(self, csrf: str) -> bool:
        """Whether a form is one of this session's pages."""
        return secrets.compare_digest(unmasked(csrf), bytes.fromhex(self.secret))


async def sign_in(
    response: Response, request: Request, space: Space, by: str, sub: str, name: str, role: Role, mark: str = ""
) -> None:
    """Begin a session and set its cookie. ``Unavailable`` where Redis is away."""
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
    await of_redis(parts.redis.raw.set(space.keys.session(claims["id"]), 1, ex=SESSION_S))
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
    """Return whether the cookie may go over plain HTTP: on this machine, or where the setting says so.

    The scheme of the request says nothing: TLS may end at a proxy that ``PODIUM_TRUSTED_PROXIES`` doesn't name.
    """
    if request.scope["scheme"] == "https":
        return False
    return is_here(request.headers.get("host", "")) or services(request).settings.console_plain_http


async def sign_out(response: Response, request: Request) -> None:
    """End the session and take the cookie back. ``Unavailable`` where Redis is away: it has not ended then."""
    session, space = request.state.session, request.state.space
    await of_redis(services(request).redis.raw.delete(space.keys.session(session.id)))
    response.delete_cookie(COOKIE, path="/console")


async def session_of(request: Request, *, in_outages: bool = False) -> tuple[Session, Space] | None:
    """Who sent a request, and the space that they look at; None where nobody is signed in any more.

    ``Unavailable`` where a store is away that would know; with ``in_outages`` what the cookie says is believed
    then.
    """
    parts, found = services(request), _signed(request)
    if found is None:
        return None
    session, space = found
    try:
        if not await of_redis(parts.redis.raw.exists(space.keys.session(session.id))):
            return None
    except Unavailable:
        if not in_outages:
            raise
    if session.by == "key":
        return found if parts.directory.knows_key(session.sub) else None
    try:
        async with soon(parts.pool) as connection:
            account = await accounts.get(connection, session.sub)
    except Unavailable:
        if not in_outages:
            raise
        return found
    if account is None or account.space_id != space.id or account.mark != session.mark:
        return None
    return msgspec.structs.replace(session, role=account.role, name=account.name), space


def principal_of(session: Session, space: Space) -> Principal:
    """The person as the API knows them; what a role may do was checked by the page."""
    return Principal(space, f"console, {session.by} {session.sub}", session.name, frozenset({"admin"}))


def _signed(request: Request) -> tuple[Session, Space] | None:
    """What the cookie says, where we signed it, it has not expired and its space is there."""
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
    """Not the secret of live tokens itself: the app's own server has that, and may not sign in with it."""
    return hmac.new(space.realtime_secret.encode(), b"console session", sha256).hexdigest()
