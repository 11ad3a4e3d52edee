"""The edges of the contract, over HTTP: 400 or 422, texts that can't be stored, dates that are far away."""

from __future__ import annotations

from typing import Any

import httpx

from tests.integration.test_boards import make

NOT_TEXT = "must not contain U+0000 or lone surrogates"


async def refusal(http: httpx.AsyncClient, method: str, path: str, status: int, **request: Any) -> str:
    """What a request is refused with."""
    answer = await http.request(method, path, **request)
    assert (answer.status_code, set(answer.json())) == (status, {"error"}), (path, answer.text)
    message: str = answer.json()["error"]
    return message


async def test_out_of_range_is_422_and_of_another_type_400(http: httpx.AsyncClient) -> None:
    [system] = await make(http, "points", {"name": "XP", "key": "xp"})
    preview = f"/admin/v1/points/{system['id']}/boosts/preview"
    for wrong in ({"multiplier": 0}, {"multiplier": 2, "days": 91}, {"multiplier": 2, "rounding": "sideways"}):
        assert next(reversed(wrong)) in await refusal(http, "POST", preview, 422, json=wrong)
    for wrong in ({}, {"multiplier": "2"}, {"multiplier": 2, "days": 1.5}, {"multiplier": 2, "more": 1}):
        await refusal(http, "POST", preview, 400, json=wrong)
    [made, *_], issues = await _batch(http, "leaderboards", {"name": "A", "key": "a", "rankBy": "streak"})
    assert issues == []
    _, issues = await _batch(http, "leaderboards", {"name": "B", "key": "b", "rankBy": "streak", "start": "soon"})
    assert issues == ["start must be a date, YYYY-MM-DD, like 2026-01-31"]
    answer = await http.patch("/admin/v1/leaderboards", json=[{"id": made["id"], "end": "2026-02-30"}])
    assert answer.json()["issues"][0]["message"] == "end must be a date, YYYY-MM-DD, like 2026-01-31"


async def _batch(http: httpx.AsyncClient, kind: str, *items: dict[str, Any]) -> tuple[list[Any], list[str]]:
    answer = (await http.post(f"/admin/v1/{kind}", json=items)).json()
    return answer["created"], [issue["message"] for issue in answer["issues"]]


async def test_the_key_of_an_attribute_is_named(http: httpx.AsyncClient) -> None:
    await make(http, "attributes", {"name": "City", "key": "city", "type": "user"})
    said = await refusal(http, "PUT", "/v1/users/ann", 400, json={"attributes": {"city": 7}})
    assert said == "attributes.city: expected str | null, got int"


async def test_a_lone_surrogate_is_422_wherever_it_stands(http: httpx.AsyncClient) -> None:
    [words] = await make(http, "metrics", {"name": "Words", "key": "words"})
    headers = {"Content-Type": "application/json"}

    async def refused(method: str, path: str, body: str) -> str:
        return await refusal(http, method, path, 422, content=body, headers=headers)

    assert await refused("PUT", "/v1/users/ann", r'{"name": "\ud800"}') == f"name {NOT_TEXT}"
    event = r'{"user": {"id": "a\udc00"}, "value": 1}'
    assert await refused("POST", "/v1/metrics/words/event", event) == f"user.id {NOT_TEXT}"
    batch = rf'[{{"key": "words", "user": {{"id": "a"}}, "value": 1}}, {{"key": "words", {event[1:]}]'
    assert await refused("POST", "/admin/v1/metrics/events", batch) == f"[1].user.id {NOT_TEXT}"
    # In an admin batch only the item itself is refused.
    items = r'[{"name": "\ud800", "key": "a"}, {"name": "B", "key": "b"}]'
    answer = (await http.post("/admin/v1/metrics", content=items)).json()
    assert [one["key"] for one in answer["created"]] == ["b"]
    assert [(one["index"], one["message"]) for one in answer["issues"]] == [(0, f"name {NOT_TEXT}")]
    items = rf'[{{"id": "\ud800", "name": "A"}}, {{"id": "{words["id"]}", "name": "\udfff"}}]'
    answer = (await http.patch("/admin/v1/metrics", content=items)).json()
    assert answer["updated"] == []
    assert [one["message"] for one in answer["issues"]] == [f"id {NOT_TEXT}", f"name {NOT_TEXT}"]
