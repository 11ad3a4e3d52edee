"""Minting tokens of users over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import jwt

from podium.spaces import store
from podium.spaces.directory import Directory
from podium.storage.postgres.pool import Pool
from tests.conftest import START_MS


async def test_a_token_of_a_user_who_does_not_exist_yet(http: httpx.AsyncClient, directory: Directory) -> None:
    response = await http.post("/v1/users/ad%2Fa/realtime-token")
    assert response.status_code == 201, response.text
    assert response.headers["cache-control"] == "no-store"
    assert response.json()["expiresAt"] == "2026-11-23T13:00:00.000Z"
    space = directory.production
    claims = jwt.decode(
        response.json()["token"],
        space.realtime_secret,
        algorithms=["HS256"],
        audience=space.public_id,
        options={"verify_exp": False},
    )
    assert claims == {"sub": "ad/a", "aud": space.public_id, "exp": START_MS // 1000 + 3_600}


_REFUSALS_NAME_THE_FIELD: list[Any] = [
    ('{"ttl": "soon"}', 400, "ttl"),
    ('{"channels": "leaderboard:*"}', 400, "channels"),
    ('{"caps": [1]}', 400, "caps"),
    ('{"cap": []}', 400, "cap"),
    ("[]", 400, "The body"),
    ('{"ttl": 86401}', 422, "ttl"),
    ('{"caps": ["admin"]}', 422, "caps"),
    ('{"channels": [""]}', 422, "channels"),
]


async def test_refusals_name_the_field(http: httpx.AsyncClient) -> None:
    for body, status, named in _REFUSALS_NAME_THE_FIELD:
        response = await http.post("/v1/users/ada/realtime-token", content=body)
        assert response.status_code == status
        assert response.json()["error"].startswith(named)


async def test_a_key_grants_only_what_it_may_itself(
    http: httpx.AsyncClient, pool: Pool, directory: Directory
) -> None:
    async with pool.acquire() as connection:
        reads = await store.create_key(connection, directory.production.id, "reads", ("read",))
        writes = await store.create_key(connection, directory.production.id, "writes", ("events:write",))
    await directory.refresh()
    path, caps = "/v1/users/ada/realtime-token", {"caps": ["events:write"]}
    assert (await http.post(path, headers={"X-API-KEY": reads})).status_code == 201
    refused = await http.post(path, json=caps, headers={"X-API-KEY": reads})
    assert (refused.status_code, refused.json()["error"][:5]) == (403, "caps:")
    assert (await http.post(path, headers={"X-API-KEY": writes})).status_code == 403
    assert (await http.post(path, json=caps)).status_code == 201
