"""The edges of the contract, over HTTP: 400 or 422, texts that can't be stored, dates that are far away."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any

import httpx
import pytest

from podium.game.periods import MS_PER_DAY, iso, local_day
from podium.services import Services
from tests.conftest import SettableClock
from tests.integration.test_boards import flush, make

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


@pytest.mark.parametrize("sign_up", ["9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00"])
async def test_a_sign_up_at_the_end_of_the_calendar(http: httpx.AsyncClient, sign_up: str) -> None:
    await make(http, "metrics", {"name": "Words", "key": "words"})
    await make(http, "achievements", {"name": "Hero", "trigger": "api", "key": "hero", "status": "active"})
    user = {"id": "ann", "signUpDate": sign_up}
    event = {"user": user, "value": 1}
    for method, path, body in (
        ("PUT", "/v1/users/ann", {"signUpDate": sign_up}),
        ("POST", "/v1/metrics/words/event", event),
        ("POST", "/admin/v1/metrics/events", [{"key": "words", **event}]),
        ("POST", "/v1/achievements/hero/complete", {"user": user}),
    ):
        assert "signUpDate must lie in the years" in await refusal(http, method, path, 422, json=body), path


async def test_what_no_query_may_hold(http: httpx.AsyncClient) -> None:
    [plan] = await make(http, "attributes", {"name": "Plan", "key": "plan", "type": "user"})
    [system] = await make(http, "points", {"name": "XP", "key": "xp"})
    board = {"name": "A", "key": "a", "rankBy": "streak", "breakdownAttributes": [plan["id"]], "status": "active"}
    await make(http, "leaderboards", board)
    for path in ("/v1/points/xp/summary", "/v1/achievements", "/v1/leaderboards/a"):
        said = await refusal(http, "GET", f"{path}?userAttributes=plan:%00", 422)
        assert said == f"userAttributes {NOT_TEXT}"
    preview = {"multiplier": 2, "userId": "a\0"}
    said = await refusal(http, "POST", f"/admin/v1/points/{system['id']}/boosts/preview", 422, json=preview)
    assert said == "userId must not contain control characters"


async def test_a_group_with_a_comma_can_be_asked_for(http: httpx.AsyncClient) -> None:
    [words] = await make(http, "metrics", {"name": "Words", "key": "words"})
    city, plan = await make(
        http, "attributes", *({"name": key, "key": key, "type": "user"} for key in ("city", "plan"))
    )
    board = {"name": "A", "key": "a", "rankBy": "metric", "metricId": words["id"], "status": "active"}
    await make(http, "leaderboards", {**board, "breakdownAttributes": [city["id"], plan["id"]]})
    user = {"id": "ann", "attributes": {"city": "Paris, FR", "plan": "pro"}}
    assert (await http.post("/v1/metrics/words/event", json={"user": user, "value": 1})).status_code == 201
    for text in ("city:Paris, FR,plan:pro", "plan:pro,city:Paris, FR"):
        rows = (await http.get("/v1/leaderboards/a", params={"userAttributes": text})).json()["rankings"]
        assert [row["userId"] for row in rows] == ["ann"], text


async def test_an_id_with_a_comma_can_be_asked_for(http: httpx.AsyncClient) -> None:
    made = await make(http, "application-api-keys", {"userId": "a,b"}, {"userId": "a"})
    comma, plain = ({"X-API-KEY": key["key"]} for key in made)
    for user in ("a,b", "a", "b"):
        await http.put(f"/v1/users/{user}", json={})
    for headers, status in ((comma, 200), (plain, 403)):
        answer = await http.get("/v1/achievements", params={"userId": "a,b"}, headers=headers)
        assert answer.status_code == status
    path = "/v1/streaks?userIds=a%2Cb&userIds="
    assert [row["userId"] for row in (await http.get(path, headers=comma)).json()] == ["a,b"]
    assert (await http.get(path, headers=plain)).status_code == 403


async def test_ids_that_are_not_utf8_are_nobody(http: httpx.AsyncClient) -> None:
    await http.put("/v1/users/b%EF%BF%BDd", json={"name": "Real"})  # U+FFFD itself is a character like any
    for path in ("/v1/users/b%ffd", "/v1/users/b%fed", "/v1/users/b%2f%ffd"):
        assert (
            await refusal(http, "PUT", path, 422, json={"name": "X"}) == "The path must be percent-encoded UTF-8"
        )
    said = await refusal(http, "DELETE", "/admin/v1/users?ids=b%ffd", 422)
    assert said == "The query must be percent-encoded UTF-8"
    assert (await http.get("/v1/users/b%EF%BF%BDd")).json()["name"] == "Real"


async def issues(http: httpx.AsyncClient, method: str, kind: str, item: dict[str, Any]) -> list[str]:
    """What one item is refused with."""
    answer = (await http.request(method, f"/admin/v1/{kind}", json=[item])).json()
    return [issue["message"] for issue in answer["issues"]]


async def test_an_active_leaderboard_does_not_end_in_the_past(
    http: httpx.AsyncClient, clock: SettableClock
) -> None:
    board = {"name": "A", "key": "a", "rankBy": "streak", "start": "2026-01-01", "status": "active"}
    [made] = await make(http, "leaderboards", board)
    today = local_day(clock.now_ms, UTC)
    yesterday = (today - timedelta(days=1)).isoformat()
    for more in ({}, {"status": "finished"}):
        [said] = await issues(http, "PATCH", "leaderboards", {"id": made["id"], "end": yesterday, **more})
        assert said.startswith("end must not lie before today")
        assert "runs/end" in said
    assert (await http.get(f"/admin/v1/leaderboards/{made['id']}")).json()["status"] == "active"
    assert await issues(http, "PATCH", "leaderboards", {"id": made["id"], "end": today.isoformat()}) == []


async def test_what_would_have_no_effect_is_refused(http: httpx.AsyncClient) -> None:
    [city] = await make(http, "attributes", {"name": "City", "key": "city", "type": "user"})
    [words] = await make(http, "metrics", {"name": "Words", "key": "words"})
    board = {"name": "A", "key": "a", "rankBy": "metric", "metricId": words["id"]}
    for times in (("09:00", "09:00"), ("09:00", "09:00:00"), (None, "00:00")):
        item = {**board, "startTime": times[0], "endTime": times[1]}
        [said] = await issues(http, "POST", "leaderboards", item)
        assert said.startswith("endTime must not equal startTime"), times
    for fields in ({"aggregateTop": 3}, {"aggregate": "max"}, {"minMembers": 2}, {"keepOnLeave": True}):
        assert await issues(http, "POST", "leaderboards", {**board, **fields}) == [
            f"{next(iter(fields))} needs groupBy"
        ]
    usual = {"aggregate": "sum", "aggregateTop": 10, "minMembers": 1, "keepOnLeave": False}
    [plain] = await make(http, "leaderboards", {**board, **usual})
    assert await issues(http, "PATCH", "leaderboards", {"id": plain["id"], "aggregateTop": 3}) == [
        "aggregateTop needs groupBy"
    ]
    [grouped] = await make(
        http, "leaderboards", {**board, "key": "b", "groupBy": city["id"], "aggregate": "top", "aggregateTop": 3}
    )
    # Without groups there is nothing left of them, also where they come back.
    assert await issues(http, "PATCH", "leaderboards", {"id": grouped["id"], "groupBy": None}) == []
    assert await issues(http, "PATCH", "leaderboards", {"id": grouped["id"], "groupBy": city["id"]}) == []
    row = (await http.get(f"/admin/v1/leaderboards/{grouped['id']}")).json()
    assert (row["aggregate"], row["aggregateTop"]) == ("sum", 10)


async def test_a_leaderboard_that_has_not_begun_has_empty_analytics(
    http: httpx.AsyncClient, clock: SettableClock
) -> None:
    start = (local_day(clock.now_ms, UTC) + timedelta(days=3)).isoformat()
    board = {"name": "A", "key": "a", "rankBy": "streak", "start": start, "status": "active"}
    [made] = await make(http, "leaderboards", board)
    path = f"/admin/v1/leaderboards/{made['id']}/analytics"
    nothing = {"participants": 0, "activeUsers": [], "rankChanges": [], "distribution": []}
    assert (await http.get(path)).json() == nothing
    said = await refusal(http, "GET", f"{path}?from=2026-02-02&to=2026-02-01", 422)
    assert said == "from must not lie after to"


@pytest.mark.parametrize(
    ("order", "scores", "threshold"), [("desc", (12, 11, 10.7), 11), ("asc", (9, 10, 10.7), 10)]
)
async def test_a_threshold_is_an_integer_that_enters(
    http: httpx.AsyncClient, order: str, scores: tuple[float, ...], threshold: int
) -> None:
    [words] = await make(http, "metrics", {"name": "Words", "key": "words"})
    board = {"name": "A", "key": "a", "rankBy": "metric", "metricId": words["id"], "status": "active"}
    await make(http, "leaderboards", {**board, "order": order, "maxParticipants": 3})

    async def post(user: str, value: float) -> dict[str, Any]:
        event = {"user": {"id": user}, "value": value}
        shown: dict[str, Any] = (await http.post("/v1/metrics/words/event", json=event)).json()["leaderboards"][
            "a"
        ]
        return shown

    for user, value in zip("abc", scores, strict=True):
        told = await post(user, value)
    assert told["threshold"] == threshold
    assert (await post("d", threshold))["rank"] == 3


async def test_a_late_event_does_not_contradict_the_history(
    http: httpx.AsyncClient, services: Services, clock: SettableClock
) -> None:
    [words] = await make(http, "metrics", {"name": "Words", "key": "words"})
    board = {"name": "A", "key": "a", "rankBy": "metric", "metricId": words["id"], "start": "2026-01-01"}
    await make(http, "leaderboards", {**board, "status": "active"})
    now_ms = clock.now_ms
    for days_ago, value in ((22, 10), (21, 10), (2, 10), (1, 10), (20, 100)):
        event = {"user": {"id": "ann"}, "value": value, "timestamp": iso(now_ms - days_ago * MS_PER_DAY)}
        assert (await http.post("/v1/metrics/words/event", json=event)).status_code == 201
    await flush(services)
    history = (await http.get("/v1/users/ann/leaderboards/a")).json()["history"]
    assert [(row["previousValue"], row["value"]) for row in history] == [(None, 10), (10, 20), (20, 30), (30, 140)]
    assert history[-1]["date"] == local_day(now_ms - MS_PER_DAY, UTC).isoformat()


async def test_one_event(http: httpx.AsyncClient, services: Services) -> None:
    await make(http, "metrics", {"name": "Words", "key": "words"})
    await make(http, "attributes", {"name": "Genre", "key": "genre", "type": "event"})
    event = {"user": {"id": "ann"}, "value": 2.5, "attributes": {"genre": "crime"}}
    id_ = (await http.post("/v1/metrics/words/event", json=event)).json()["eventId"]
    await flush(services)
    [listed] = (await http.get("/admin/v1/events")).json()["events"]
    one = (await http.get(f"/admin/v1/events/{id_}")).json()
    assert (one["id"], one["userId"], one["value"], one["attributes"]) == (id_, "ann", 2.5, {"genre": "crime"})
    assert one == listed
    assert await refusal(http, "GET", f"/admin/v1/events/{id_[:-4]}0000", 404) == "Event not found by ID"
    assert await refusal(http, "GET", "/admin/v1/events/x", 422) == "id must be a valid UUID"
