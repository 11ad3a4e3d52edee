"""Authorisation asks for the path that routing went by, whatever the header Host says."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.datastructures import URL
from starlette.requests import Request

from podium.game.errors import Forbidden
from podium.http.auth import authorize
from podium.spaces.space import Principal

SERVER = Path(__file__).parents[3] / "server"


class OldRequest(Request):
    """A request as Starlette before 1.3 has it: Host may bring a path along (CVE-2026-48710)."""

    @property
    def url(self) -> URL:
        return URL(f"http://{self.headers['host']}{self.scope['path']}")


class Directory:
    """Knows one application key, of ``me``, and says by which way it was asked for."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self.space: Any = SimpleNamespace()

    def enter(self, key: str | None, tenant: str | None, own: bool = False) -> Principal:
        self.entered.append("own" if own else "space")
        return Principal(self.space, "k", "n", frozenset({"read", "events:write"}), "me")

    def enter_environment(self, key: str | None) -> Principal:
        self.entered.append("environment")
        return Principal(self.space, "k", "n", frozenset({"admin"}))


def request(method: str, path: str, host: str, directory: Directory, **params: str) -> Request:
    app = SimpleNamespace(state=SimpleNamespace(services=SimpleNamespace(directory=directory)))
    return OldRequest(
        {
            "type": "http",
            "method": method,
            "path": path,
            "path_params": params,
            "query_string": b"",
            "headers": [(b"host", host.encode()), (b"x-api-key", b"app_me.secret")],
            "app": app,
        }
    )


@pytest.mark.parametrize("host", ["x", "x/v1/leaderboards/?", "x/v1/leaderboards/#", "x/admin/v1/tenants?"])
@pytest.mark.parametrize(
    ("method", "path", "params", "capability"),
    [
        ("GET", "/v1/users/other", {"id": "other"}, "read"),
        ("POST", "/v1/users/other/realtime-token", {"id": "other"}, "read"),
        ("PATCH", "/v1/users/other", {"id": "other"}, "events:write"),
        ("GET", "/admin/v1/users", {}, "read"),
        ("POST", "/v1/achievements/first/complete", {"key": "first"}, "achievements:complete"),
        ("GET", "/admin/v1/keys", {}, ""),
    ],
)
def test_a_host_with_a_path_lets_nobody_in(
    host: str, method: str, path: str, params: dict[str, str], capability: str
) -> None:
    directory = Directory()
    with pytest.raises(Forbidden):
        authorize(request(method, path, host, directory, **params), capability)
    assert directory.entered == ["space"]


@pytest.mark.parametrize("host", ["x", "x/v1/users/?", "x/admin/?"])
def test_nor_does_it_keep_anybody_out(host: str) -> None:
    for path, params in (("/v1/users/me", {"id": "me"}), ("/v1/leaderboards/all/rank", {"userId": "me"})):
        found = authorize(request("GET", path, host, Directory(), **params), "read")
        assert found.user == "me"


def test_nothing_is_decided_by_the_url_of_a_request() -> None:
    found = [
        f"{path.relative_to(SERVER)}:{node.lineno}"
        for path in SERVER.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr in ("url", "base_url", "url_for")
        and isinstance(node.value, ast.Name)
        and node.value.id == "request"
    ]
    assert found == [], "scope['path'] is what routes go by; request.url is made from the header Host too"
