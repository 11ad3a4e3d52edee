"""All methods of the published SDK (tests/data/sdk-methods.txt) against the server: each has its endpoint, is
refused with a bad key, and is answered with what the SDK can read, or an error that is documented for it."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from trophy import AsyncTrophyApi, UpsertedUser
from trophy.admin.streaks import ResetStreaksRequestUsersItem, RestoreStreaksRequestUsersItem
from trophy.admin.streaks.freezes import CreateStreakFreezesRequestFreezesItem
from trophy.admin.streaks.pauses import CreateStreakPausesRequestPausesItem
from trophy.core.api_error import ApiError
from trophy.environment import TrophyApiEnvironment
from trophy.errors import UnauthorizedError

from server.app import ENDPOINTS

LINES = (Path(__file__).parents[1] / "data" / "sdk-methods.txt").read_text().splitlines()
UNKNOWN = "0195d0d2-0000-7000-8000-000000000000"
NUMBER = 85


class Method(NamedTuple):
    """A line of the list: the method's name, verb and path, and the documented errors."""

    name: str
    verb: str
    path: str
    errors: set[int]


def parse(line: str) -> Method:
    found = re.match(r"([\w.]+)\(.*  (\w+) \[(api|admin)\] (\S+).* errors:([\d,]+)", line)
    assert found, line
    name, verb, side, path, errors = found.groups()
    prefix = "/v1" if side == "api" else "/admin/v1"
    return Method(name, verb, prefix + path, {int(error) for error in errors.split(",")})


METHODS = [parse(line) for line in LINES if line and not line.startswith("#")]

ARGUMENTS: dict[str, Any] = {
    "user": UpsertedUser(id="ann"),
    "value": 1.0,
    "aggregation": "daily",
    "start_date": "2026-11-01",
    "end_date": "2026-11-30",
    "users": [],
    "request": [],
    "freezes": [CreateStreakFreezesRequestFreezesItem(user_id="nobody")],
    "pauses": [CreateStreakPausesRequestPausesItem(user_id="nobody", start="2026-12-01", end="2026-12-02")],
}
OF_METHOD: dict[str, dict[str, Any]] = {
    "admin.streaks.reset": {"users": [ResetStreaksRequestUsersItem(id="nobody")]},
    "admin.streaks.restore": {"users": [RestoreStreaksRequestUsersItem(id="nobody")]},
    "streaks.list": {"user_ids": "ann,bob"},
}


async def call(client: AsyncTrophyApi, method: Method) -> Any:
    """The method with arguments that name nobody and nothing."""
    found: Any = client
    for part in method.name.split("."):
        found = getattr(found, part)
    given = {
        name: ARGUMENTS.get(name, UNKNOWN if name in ("id", "system_id") else "nothing")
        for name, parameter in inspect.signature(found).parameters.items()
        if parameter.default is parameter.empty
    }
    return await found(**{**given, **OF_METHOD.get(method.name, {})})


def test_the_list_is_whole() -> None:
    assert len({method.name for method in METHODS}) == NUMBER


def test_each_method_has_its_endpoint() -> None:
    def bare(path: str) -> str:
        return re.sub(r"\{\w+\}", "{}", path)

    known = {(endpoint.method, bare(endpoint.path)): endpoint for endpoint in ENDPOINTS}
    for method in METHODS:
        endpoint = known.get((method.verb, bare(method.path)))
        assert endpoint is not None, method


@pytest.fixture
def clients(base_url: str, admin_key: str) -> Any:
    """The SDK with a key."""

    def make(http: httpx.AsyncClient, key: str = admin_key) -> AsyncTrophyApi:
        bases = TrophyApiEnvironment(api=f"{base_url}/v1", admin=f"{base_url}/admin/v1")
        return AsyncTrophyApi(api_key=key, environment=bases, httpx_client=http, max_retries=0)

    return make


async def test_each_method_is_refused_with_a_bad_key(clients: Any) -> None:
    async with httpx.AsyncClient() as http:
        client = clients(http, "bad.key")
        for method in METHODS:
            with pytest.raises(UnauthorizedError):
                await call(client, method)


async def test_each_method_answers_what_is_documented(clients: Any) -> None:
    answered, undocumented = 0, []
    async with httpx.AsyncClient() as http:
        client = clients(http)
        for method in METHODS:
            try:
                await call(client, method)
                answered += 1
            except ApiError as error:
                # 404 for a user is ours: the contract leaves it open (section 16).
                if error.status_code not in method.errors | {404}:
                    undocumented.append((method, error))
    assert undocumented == []
    assert answered >= 25
