from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import jwt
import pytest

from podium.game.catalog import Catalog, CatalogIndex
from podium.game.errors import Forbidden, Unauthorized, Unprocessable
from podium.live import access
from podium.live.channels import STARS_MAX
from podium.live.protocol import Close, CloseCode, CommandError, ErrorCode
from podium.spaces.space import Principal, Space

NOW_MS = 1_795_435_200_000
NOW_S = NOW_MS // 1000
SECRET = "a" * 32
CLAIMS = {"sub": "ada", "aud": "space-1", "exp": NOW_S + 60}


def make_space(public_id: str, secret: str, origins: tuple[str, ...] = ()) -> Space:
    return Space(1, public_id, "production", "default", secret, origins, CatalogIndex(Catalog(1)))


class Known:
    """Two spaces and two keys."""

    def __init__(self) -> None:
        self.production = make_space("space-1", SECRET)
        self.spaces = {"space-1": self.production, "space-2": make_space("space-2", "b" * 32)}

    def authenticate(self, key: str | None) -> Principal:
        if key == "app_ada.reads":
            return Principal(self.production, "k", "n", frozenset({"read"}), "ada")
        capabilities = {"app.admin": {"admin"}, "app.writes": {"events:write"}}
        if key not in capabilities:
            raise Unauthorized("no")
        return Principal(self.production, "k", "n", frozenset(capabilities[key]))

    def enter(self, key: str | None, tenant: str | None) -> Principal:
        found = self.authenticate(key)
        if tenant is None:
            return found
        for space in self.spaces.values():
            if (space.environment, space.tenant) == ("production", tenant):
                if space.archived:
                    raise Forbidden("The tenant is archived")
                return replace(found, space=space)
        raise Unprocessable("Tenant-ID names no tenant")

    def knows_key(self, id_: str) -> bool:
        return id_ == "k"


def with_tenants() -> Known:
    """The second space is a tenant of the first one's environment, the third is another environment's."""
    known = Known()
    known.spaces["space-2"].tenant = "acme"
    known.spaces["space-3"] = make_space("space-3", "c" * 32)
    known.spaces["space-3"].environment, known.spaces["space-3"].tenant = "staging", "acme"
    return known


def token(claims: dict[str, Any], secret: str = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, secret, algorithm=algorithm)


def unsigned(claims: dict[str, Any]) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."


def test_a_user_may_watch_everything_and_write_nothing_unless_told() -> None:
    grant = access.authorize(Known(), token(CLAIMS), None, NOW_MS)
    assert (grant.user, grant.space.public_id, grant.expires_ms) == ("ada", "space-1", NOW_MS + 60_000)
    assert grant.may_watch("leaderboard:secret", public=False)
    assert not grant.writes


def test_capabilities_and_patterns_of_a_token() -> None:
    claims = {**CLAIMS, "caps": ["events:write"], "channels": ["leaderboard:w*"]}
    grant = access.authorize(Known(), token(claims), None, NOW_MS)
    assert grant.writes
    assert grant.may_watch("leaderboard:weekly", public=False)
    assert not grant.may_watch("leaderboard:daily", public=True)


def test_a_token_with_too_many_stars_is_refused_wherever_it_was_signed() -> None:
    access.authorize(Known(), token({**CLAIMS, "channels": ["*a" * STARS_MAX]}), None, NOW_MS)
    with pytest.raises(Close) as close:
        access.authorize(Known(), token({**CLAIMS, "channels": ["*", "*a" * (STARS_MAX + 1)]}), None, NOW_MS)
    assert close.value.code == CloseCode.INVALID_TOKEN


def test_a_token_that_is_nested_without_end_is_refused_like_any_other() -> None:
    nested = base64.urlsafe_b64encode(b"[" * 30_000).decode()
    for bad in (f"{nested}.{nested}.", unsigned(CLAIMS).split(".")[0] + f".{nested}."):
        with pytest.raises(Close) as close:
            access.authorize(Known(), bad, None, NOW_MS)
        assert close.value.code == CloseCode.INVALID_TOKEN


def test_the_space_is_the_one_of_the_audience() -> None:
    second = token({**CLAIMS, "aud": "space-2"}, "b" * 32)
    assert access.authorize(Known(), second, "space-1", NOW_MS).space.public_id == "space-2"


def test_a_key_enters_the_tenant_that_the_url_names() -> None:
    known = with_tenants()
    for named, entered in (
        ("space-2", "space-2"),
        ("space-3", "space-1"),
        ("nowhere", "space-1"),
        (None, "space-1"),
    ):
        assert access.authorize(known, "app.admin", named, NOW_MS).space.public_id == entered
    known.spaces["space-2"].archived = True
    for archived in ("app.admin", token({**CLAIMS, "aud": "space-2"}, "b" * 32)):
        with pytest.raises(Close):
            access.authorize(known, archived, "space-2", NOW_MS)


def test_a_key_enters_the_tenant_that_the_handshake_names() -> None:
    known = with_tenants()
    assert access.authorize(known, "app.admin", None, NOW_MS, "acme").space.public_id == "space-2"
    with pytest.raises(Unprocessable):
        access.authorize(known, "app.admin", None, NOW_MS, "nobody")
    known.spaces["space-2"].archived = True
    with pytest.raises(Close):
        access.authorize(known, "app.admin", None, NOW_MS, "acme")


def test_a_grant_lapses_with_its_key_and_with_its_tenant() -> None:
    known = with_tenants()
    grants = [access.authorize(known, shown, None, NOW_MS) for shown in ("app.admin", token(CLAIMS), "")]
    assert [grant.revocation(known) for grant in grants] == [None, None, None]
    gone = replace(grants[0], key="gone")
    assert gone.revocation(known) == access.REVOKED
    known.production.archived = True
    assert [grant.revocation(known) for grant in grants] == [access.ARCHIVED] * 3
    with pytest.raises(Close):
        access.authorize(known, "", None, NOW_MS)


def test_an_application_key_is_its_user() -> None:
    grant = access.authorize(with_tenants(), "app_ada.reads", "space-2", NOW_MS)
    assert (grant.user, grant.is_server, grant.space.public_id) == ("ada", False, "space-1")
    assert grant.may_watch_user("user#ada", "ada")
    assert not grant.may_watch_user("user#bob", "bob")


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(token(CLAIMS, "c" * 32), id="forged"),
        pytest.param(token({**CLAIMS, "aud": "space-2"}), id="secret of another space"),
        pytest.param(token({**CLAIMS, "aud": "space-3"}), id="unknown audience"),
        pytest.param(token({**CLAIMS, "aud": ["space-1"]}), id="several audiences"),
        pytest.param(token({k: v for k, v in CLAIMS.items() if k != "aud"}), id="no audience"),
        pytest.param(token({k: v for k, v in CLAIMS.items() if k != "sub"}), id="no user"),
        pytest.param(token({k: v for k, v in CLAIMS.items() if k != "exp"}), id="no end"),
        pytest.param(token({**CLAIMS, "nbf": NOW_S + 1}), id="not yet"),
        pytest.param(token({**CLAIMS, "caps": "events:write"}), id="caps are no list"),
        pytest.param(token(CLAIMS, "a" * 64, "HS512"), id="another algorithm"),
        pytest.param(unsigned(CLAIMS), id="alg none"),
        pytest.param("a.b.c", id="no token at all"),
        pytest.param("..", id="dots"),
        pytest.param("app.unknown", id="unknown key"),
        pytest.param("ключ", id="no key"),
    ],
)
def test_bad_tokens_end_the_connection(bad: str) -> None:
    with pytest.raises(Close) as closed:
        access.authorize(Known(), bad, None, NOW_MS)
    assert closed.value.code is CloseCode.INVALID_TOKEN


def test_an_expired_token_is_an_error_to_recover_from() -> None:
    assert access.authorize(Known(), token(CLAIMS), None, NOW_MS + 59_999).user == "ada"
    with pytest.raises(CommandError) as expired:
        access.authorize(Known(), token(CLAIMS), None, NOW_MS + 60_000)
    assert expired.value.code is ErrorCode.TOKEN_EXPIRED


def test_keys() -> None:
    admin = access.authorize(Known(), "app.admin", None, NOW_MS)
    assert (admin.user, admin.writes, admin.may_watch("leaderboard:x", public=False)) == (None, True, True)
    writer = access.authorize(Known(), "app.writes", None, NOW_MS)
    assert writer.writes
    assert not writer.may_watch("leaderboard:x", public=False)


def test_without_a_token_only_what_is_public() -> None:
    grant = access.authorize(Known(), "", None, NOW_MS)
    assert (grant.space.public_id, grant.writes) == ("space-1", False)
    assert grant.may_watch("leaderboard:x", public=True)
    assert not grant.may_watch("leaderboard:x", public=False)
    assert access.authorize(Known(), "", "space-2", NOW_MS).space.public_id == "space-2"
    with pytest.raises(CommandError) as unknown:
        access.authorize(Known(), "", "space-3", NOW_MS)
    assert unknown.value.code is ErrorCode.BAD_REQUEST


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        ((), "https://evil.example", True),
        (("https://game.example",), None, True),
        (("https://game.example",), "https://game.example", True),
        (("https://game.example",), "https://podium.example:8000", True),
        (("https://game.example",), "https://podium.example", False),
        (("https://game.example",), "https://evil.example", False),
        (("https://game.example",), "null", False),
        (("https://game.example",), "https://[", False),
    ],
)
def test_origins(origins: tuple[str, ...], origin: str | None, allowed: bool) -> None:
    space = make_space("s", SECRET, origins)
    assert access.origin_allowed(space, origin, "podium.example:8000") is allowed
