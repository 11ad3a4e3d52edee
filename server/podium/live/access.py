"""Authorization of live connections: from a key or a token to a ``Grant``. Pure, but for the look-up of keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol
from urllib.parse import urlsplit

import jwt
import msgspec

from podium.game.errors import Forbidden, Unauthorized
from podium.live.channels import STARS_MAX, allows
from podium.live.protocol import Close, CloseCode, CommandError, ErrorCode
from podium.spaces.space import NO_TENANT, Principal, Space

WRITE_EVENTS = "events:write"
"""The capability of keys and tokens to post events."""
ALGORITHM = "HS256"
"""The only algorithm that tokens are signed with; accepting others would let a forger choose ``none``."""
ARCHIVED = "the tenant is archived"
REVOKED = "the key was revoked"
"""Reasons for closing a connection whose grant no longer holds."""


class Spaces(Protocol):
    """The directory of spaces and keys (spaces/directory.py)."""

    spaces: dict[str, Space]
    """By public id."""

    @property
    def production(self) -> Space:
        """The default space. Raises ``Unavailable`` while there is none."""

    def authenticate(self, key: str | None) -> Principal:
        """Return the principal of a key. Raises ``Unauthorized`` for an unknown one."""

    def enter(self, key: str | None, tenant: str | None) -> Principal:
        """Return the principal of a key in the space of a tenant, named by its customer id.

        Where multi-tenancy is off this is ``authenticate``. Raises ``Unauthorized`` and ``Forbidden``.
        """

    def knows_key(self, id_: str) -> bool:
        """Return whether the key with this id is still valid."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The rights of a connection.

    ``user`` is None for servers and for anonymous viewers. ``patterns`` restrict the channels that it may watch;
    None does not. ``expires_ms`` None means never. ``key`` is the id of the API key that was shown, if any.
    """

    space: Space
    user: str | None = None
    anonymous: bool = False
    reads: bool = True
    writes: bool = False
    patterns: tuple[str, ...] | None = None
    expires_ms: int | None = None
    key: str | None = None

    def revocation(self, spaces: Spaces) -> str | None:
        """Return why the grant no longer holds, None while it does.

        Keys are revoked and tenants archived while connections are open, so this is asked again and again.
        """
        if self.space.archived:
            return ARCHIVED
        if self.key is not None and not spaces.knows_key(self.key):
            return REVOKED
        return None

    @property
    def is_server(self) -> bool:
        """True if the connection has shown an API key: it belongs to the app's own server."""
        return self.user is None and not self.anonymous

    @property
    def quota(self) -> str | None:
        """The quota of speculative channels (live/speculation.py) that the connection uses; None is unlimited."""
        if self.is_server:
            return None
        return "anonymous" if self.anonymous else "users"

    def may_watch(self, channel: str, public: bool) -> bool:
        """Return whether the connection may watch a board; ``public`` is the leaderboard's setting."""
        if self.anonymous or not self.reads:
            return public
        return self.patterns is None or allows(self.patterns, channel)

    def may_watch_user(self, channel: str, user: str) -> bool:
        """Return whether the connection may subscribe to a channel about this user."""
        return self.user in (None, user) and self.may_watch(channel, public=False)


class _Claims(msgspec.Struct, frozen=True):
    sub: str
    aud: str
    exp: int | float
    channels: tuple[str, ...] | None = None
    caps: tuple[str, ...] = ()
    nbf: int | float = 0


def is_key(token: str) -> bool:
    """Return whether this is an API key rather than a JWT, which has two dots."""
    return token.count(".") != 2


def authorize(spaces: Spaces, token: str, space_id: str | None, now_ms: int, tenant: str | None = None) -> Grant:
    """Return the grant of a connection that shows this key or token, or none ("").

    ``space_id`` is the public id of the space that its URL names, ``tenant`` the customer id.

    Raises:
        CommandError: 109 for an expired token, 107 for an unknown space.
        Close: 3500 for any other bad token or key, and for an archived tenant.
    """
    if not token:
        space = spaces.production if space_id is None else spaces.spaces.get(space_id)
        if space is None:
            raise CommandError(ErrorCode.BAD_REQUEST, "space is not known")
        if space.archived:
            raise Close(CloseCode.INVALID_TOKEN, ARCHIVED)
        return Grant(space, anonymous=True)
    if not is_key(token):
        return _grant_of_token(spaces.spaces, token, now_ms)
    try:
        return _grant_in_named_space(spaces, token, space_id) or authorize_key(spaces, token, tenant)
    except Unauthorized:
        raise Close(CloseCode.INVALID_TOKEN, "invalid token") from None
    except Forbidden as error:
        raise Close(CloseCode.INVALID_TOKEN, error.message) from None


def authorize_key(spaces: Spaces, key: str, tenant: str | None) -> Grant:
    """Return the grant of an API key.

    Raises:
        Unauthorized: the key is unknown.
        Forbidden: the key may not act for this tenant.
    """
    return _grant_of(spaces.enter(key, tenant))


def _grant_in_named_space(spaces: Spaces, key: str, space_id: str | None) -> Grant | None:
    """Return the grant of an environment's key in the tenant's space that the URL names, None without one."""
    named = spaces.spaces.get(space_id) if space_id is not None else None
    principal = spaces.authenticate(key)
    home = principal.space
    if named is None or principal.user is not None or home.tenant != NO_TENANT:
        return None
    if named.environment != home.environment or named.tenant == NO_TENANT:
        return None
    if named.archived:
        raise Forbidden(ARCHIVED)
    return _grant_of(replace(principal, space=named))


def _grant_of(principal: Principal) -> Grant:
    return Grant(
        principal.space,
        principal.user,
        reads=principal.may("read"),
        writes=principal.may(WRITE_EVENTS),
        key=principal.key_id,
    )


def _grant_of_token(spaces: Mapping[str, Space], token: str, now_ms: int) -> Grant:
    invalid = Close(CloseCode.INVALID_TOKEN, "invalid token")
    try:
        # Not trusted: it only selects the secret that the token is verified with below.
        named = jwt.decode(token, options={"verify_signature": False}).get("aud")
        space = spaces.get(named) if isinstance(named, str) else None
        if space is None or space.archived:
            raise invalid
        # PyJWT would compare with the system clock; the times are checked below, against ours.
        unchecked: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
        decoded = jwt.decode(
            token, space.realtime_secret, algorithms=[ALGORITHM], audience=space.public_id, options=unchecked
        )
        claims = msgspec.convert(decoded, _Claims)
        expires_ms = int(claims.exp * 1000)
        if claims.nbf * 1000 > now_ms or any(one.count("*") > STARS_MAX for one in claims.channels or ()):
            raise invalid
    except (jwt.PyJWTError, msgspec.ValidationError, ValueError, OverflowError, RecursionError):
        raise invalid from None
    if expires_ms <= now_ms:
        raise CommandError(ErrorCode.TOKEN_EXPIRED)
    return Grant(
        space,
        user=claims.sub,
        writes=WRITE_EVENTS in claims.caps,
        patterns=claims.channels,
        expires_ms=expires_ms,
    )


def origin_allowed(space: Space, origin: str | None, host: str | None) -> bool:
    """Return whether a page of this origin may connect: a page of the server itself, or of the space's allow list.

    Everything is allowed where the list is empty, and without an origin: then the client is no browser.
    """
    if origin is None or not space.allowed_origins or origin in space.allowed_origins:
        return True
    try:
        return bool(host) and urlsplit(origin).netloc == host
    except ValueError:
        return False
