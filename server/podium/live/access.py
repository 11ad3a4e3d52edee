"""Who a connection is and what it may do. Pure, but for the look-up of keys."""

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
"""The only one that tokens are signed with."""
ARCHIVED = "the tenant is archived"
REVOKED = "the key was revoked"
"""Why a connection ends whose grant has lapsed."""


class Spaces(Protocol):
    """Where spaces and keys are known (spaces/directory.py)."""

    spaces: dict[str, Space]
    """By public id."""

    @property
    def production(self) -> Space:
        """The default space; ``Unavailable`` while there is none."""

    def authenticate(self, key: str | None) -> Principal:
        """Whose key this is; ``Unauthorized`` if it is none."""

    def enter(self, key: str | None, tenant: str | None) -> Principal:
        """The same, where tenants are on in the space of the one that is named by its customer id."""

    def knows_key(self, id_: str) -> bool:
        """Whether a key of this id is still good."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a connection may do. ``user`` is None for servers and for anonymous viewers.

    ``patterns`` limit the channels, None does not. Instants in ms; ``expires_ms`` None means never. ``key`` is the
    id of the key that was shown, None without one.
    """

    space: Space
    user: str | None = None
    anonymous: bool = False
    reads: bool = True
    writes: bool = False
    patterns: tuple[str, ...] | None = None
    expires_ms: int | None = None
    key: str | None = None

    def lapsed(self, spaces: Spaces) -> str | None:
        """Why the connection may not go on, None while it may: who came in may have lost the right since."""
        if self.space.archived:
            return ARCHIVED
        if self.key is not None and not spaces.knows_key(self.key):
            return REVOKED
        return None

    @property
    def is_server(self) -> bool:
        """Whether it showed an API key: the app's own server."""
        return self.user is None and not self.anonymous

    @property
    def quota(self) -> str | None:
        """Whose share of speculative channels (live/hub.py) the connection's count against; None for nobody's."""
        if self.is_server:
            return None
        return "anonymous" if self.anonymous else "users"

    def may_watch(self, channel: str, public: bool) -> bool:
        """Whether the connection may subscribe to this leaderboard channel."""
        if self.anonymous or not self.reads:
            return public
        return self.patterns is None or allows(self.patterns, channel)

    def may_watch_user(self, channel: str, user: str) -> bool:
        """Whether the connection may subscribe to a channel that is one user's own."""
        return self.user in (None, user) and self.may_watch(channel, public=False)


class _Claims(msgspec.Struct, frozen=True):
    sub: str
    aud: str
    exp: int | float
    channels: tuple[str, ...] | None = None
    caps: tuple[str, ...] = ()
    nbf: int | float = 0


def is_key(token: str) -> bool:
    """Whether this is an API key, and no user's token."""
    return token.count(".") != 2


def grant(spaces: Spaces, token: str, space_id: str | None, now_ms: int, tenant: str | None = None) -> Grant:
    """What a connection with this token, or with none, may do; ``space_id`` is the one that its URL names,
    ``tenant`` the customer id that it names.

    A token that is expired is error 109, any other bad one ends the connection with 3500.
    """
    if not token:
        space = spaces.production if space_id is None else spaces.spaces.get(space_id)
        if space is None:
            raise CommandError(ErrorCode.BAD_REQUEST, "space is not known")
        if space.archived:
            raise Close(CloseCode.INVALID_TOKEN, ARCHIVED)
        return Grant(space, anonymous=True)
    if not is_key(token):
        return _user(spaces.spaces, token, now_ms)
    try:
        return _of_named_space(spaces, token, space_id) or of_key(spaces, token, tenant)
    except Unauthorized:
        raise Close(CloseCode.INVALID_TOKEN, "invalid token") from None
    except Forbidden as error:
        raise Close(CloseCode.INVALID_TOKEN, error.message) from None


def of_key(spaces: Spaces, key: str, tenant: str | None) -> Grant:
    """What a connection with an API key may do; raises what HTTP answers (``enter``)."""
    return _granted(spaces.enter(key, tenant))


def _of_named_space(spaces: Spaces, key: str, space_id: str | None) -> Grant | None:
    """What a key of an environment may do in the space of a tenant that the URL names by its public id."""
    named = spaces.spaces.get(space_id) if space_id is not None else None
    principal = spaces.authenticate(key)
    own = principal.space
    if named is None or principal.user is not None or own.tenant != NO_TENANT:
        return None
    if named.environment != own.environment or named.tenant == NO_TENANT:
        return None
    if named.archived:
        raise Forbidden(ARCHIVED)
    return _granted(replace(principal, space=named))


def _granted(who: Principal) -> Grant:
    may = who.may
    return Grant(who.space, who.user, reads=may("read"), writes=may(WRITE_EVENTS), key=who.key_id)


def _user(spaces: Mapping[str, Space], token: str, now_ms: int) -> Grant:
    invalid = Close(CloseCode.INVALID_TOKEN, "invalid token")
    try:
        # Only says whose secret to check it with.
        named = jwt.decode(token, options={"verify_signature": False}).get("aud")
        space = spaces.get(named) if isinstance(named, str) else None
        if space is None or space.archived:
            raise invalid
        # The times are checked below, against our clock.
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
    """Whether a page of this origin may connect: one of the server's own, or of the space's allow list.

    Without an origin it is no browser; an empty list allows every page.
    """
    if origin is None or not space.allowed_origins or origin in space.allowed_origins:
        return True
    try:
        return bool(host) and urlsplit(origin).netloc == host
    except ValueError:
        return False
