"""Reads over a real server and both stores, through the published SDK where it reaches."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from trophy import (
    AsyncTrophyApi,
    CreateLeaderboardRequestItem,
    CreateMetricRequestItem,
    NotFoundError,
    UpsertedUser,
)
from trophy.core.api_error import ApiError

from podium.app import ENDPOINTS
from podium.http.openapi import document
from podium.services import Services
from podium.writebehind.eviction import evict
from podium.writebehind.flusher import Flusher
from tests.conftest import SettableClock

DAY_MS = 86_400_000


@pytest.fixture
async def catalog(trophy: AsyncTrophyApi) -> None:
    """Metrics ``words`` and ``miles``; by words: ``all-time``, ``daily``, ``top-2`` and one in every status."""
    made = await trophy.admin.metrics.create(
        request=[
            CreateMetricRequestItem(name="Words", key="words"),
            CreateMetricRequestItem(name="Miles", key="miles"),
        ]
    )
    assert made.issues == []

    def board(key: str, start: str = "2026-01-01", **more: Any) -> CreateLeaderboardRequestItem:
        fields: dict[str, Any] = {"status": "active", "start": start, **more}
        return CreateLeaderboardRequestItem(
            name=key.title(), key=key, rank_by="metric", metric_id=made.created[0].id, **fields
        )

    boards = await trophy.admin.leaderboards.create(
        request=[
            board("all-time"),
            board("daily", run_unit="day", run_interval=1),
            board("top-2", max_participants=2),
            board("sleeping", status="inactive"),
            board("coming", "2026-12-01", status="scheduled"),
            board("over", end="2026-11-01"),
        ]
    )
    assert boards.issues == []


async def flush(services: Services) -> None:
    """Write everything to Postgres."""
    flusher = Flusher(services.pool, services.redis, services.directory.production, services.clock)
    while (await flusher.flush()).events:
        pass


async def make_cold(services: Services) -> None:
    """Move every user out of Redis."""
    await flush(services)
    space = services.directory.production
    await evict(services.pool, services.redis, space, services.clock() + 1)
    assert await services.redis.raw.keys(space.keys.user("*")) == []


def at(clock: SettableClock, moment: str) -> None:
    """Set the time."""
    clock.now_ms = int(datetime.fromisoformat(moment).timestamp() * 1000)


async def post(trophy: AsyncTrophyApi, user: str, value: float, metric: str = "words", **more: Any) -> None:
    await trophy.metrics.event(metric, user=UpsertedUser(id=user, **more), value=value)


async def shown(trophy: AsyncTrophyApi, key: str, **query: Any) -> list[tuple[int, str, int]]:
    """Rank, user and value of each row."""
    board = await trophy.leaderboards.get(key, **query)
    return [(row.rank, row.user_id, row.value) for row in board.rankings]


async def test_users_are_created_changed_and_read(trophy: AsyncTrophyApi, clock: SettableClock) -> None:
    created = await trophy.users.create(id="ann", email="a@example.com", tz="Europe/Berlin")
    assert (created.id, created.name, created.email, created.tz) == (
        "ann",
        None,
        "a@example.com",
        "Europe/Berlin",
    )
    assert (created.subscribe_to_emails, created.control, created.attributes) == (True, False, {})
    assert created.created == created.updated == datetime(2026, 11, 23, 12, tzinfo=UTC)

    clock.advance(1_234)
    changed = await trophy.users.identify("ann", name="Ann", device_tokens=["t1"])
    assert (changed.name, changed.email, changed.device_tokens) == ("Ann", "a@example.com", ["t1"])
    assert changed.updated == datetime(2026, 11, 23, 12, 0, 1, 234_000, tzinfo=UTC)
    assert changed.created == created.created
    patched = await trophy.users.update("ann", sign_up_date="2026-01-31", subscribe_to_emails=False)
    assert (patched.sign_up_date, patched.email, patched.subscribe_to_emails) == ("2026-01-31", None, False)
    assert await trophy.users.get("ann") == patched
    assert (await trophy.users.create(id="ann")).name == "Ann"


async def test_a_user_as_json_has_every_field(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/users", json={"id": "ann"})
    assert answer.status_code == 201
    assert answer.json() == {
        "id": "ann",
        "email": None,
        "name": None,
        "tz": None,
        "deviceTokens": [],
        "subscribeToEmails": True,
        "attributes": {},
        "control": False,
        "created": "2026-11-23T12:00:00.000Z",
        "updated": "2026-11-23T12:00:00.000Z",
        "signUpDate": None,
    }


async def test_unknown_users_are_not_found(trophy: AsyncTrophyApi, catalog: None) -> None:
    with pytest.raises(NotFoundError):
        await trophy.users.update("ghost", name="Boo")
    with pytest.raises(ApiError) as refused:
        await trophy.users.get("ghost")
    assert (refused.value.status_code, refused.value.body) == (404, {"error": "User not found: ghost"})
    with pytest.raises(NotFoundError):
        await trophy.users.all_metrics("ghost")
    with pytest.raises(NotFoundError):
        await trophy.users.leaderboard("ghost", "all-time")
    assert await shown(trophy, "all-time", user_id="ghost") == []


_BAD_USERS_ARE_REFUSED: list[Any] = [
    ("POST", "/v1/users", b"{", 400, "The body is not JSON"),
    ("POST", "/v1/users", b"{}", 400, "id is required"),
    ("POST", "/v1/users", b'{"id": ""}', 422, "id must have 1 to 255 characters"),
    ("POST", "/v1/users", b'{"id": "a\\u0000"}', 422, "id must not contain control characters"),
    ("PUT", "/v1/users/" + "x" * 256, b"{}", 422, "id must have 1 to 255 characters"),
    ("PUT", "/v1/users/a", b'{"tz": "Mars/Base"}', 422, "tz is not a known time zone: Mars/Base"),
    ("PUT", "/v1/users/a", b'{"tz": 1}', 400, "tz: expected"),
    ("PUT", "/v1/users/a", b'{"attributes": {"x": "y"}}', 422, "Invalid attribute keys: x"),
    ("PUT", "/v1/users/a", b'{"subscribeToEmails": true}', 422, "subscribeToEmails needs an email"),
    ("PUT", "/v1/users/a", b'{"signUpDate": "2026-11-25"}', 422, "signUpDate must not lie"),
    ("GET", "/v1/users/%00", b"", 422, "id must not contain control characters"),
]


async def test_bad_users_are_refused(http: httpx.AsyncClient) -> None:
    for method, path, body, status, error in _BAD_USERS_ARE_REFUSED:
        answer = await http.request(method, path, content=body)
        assert (answer.status_code, answer.json()["error"][: len(error)]) == (status, error)


@pytest.mark.parametrize("user", ["a/b", "a/metrics", "ü ?#%2F&", "..x", "50%", "日本/🦊"])
async def test_ids_may_hold_anything_when_percent_encoded(http: httpx.AsyncClient, user: str) -> None:
    path = f"/v1/users/{quote(user, safe='')}"
    assert (await http.get(path)).status_code == 404
    assert (await http.put(path, json={"name": "N"})).json()["id"] == user
    assert (await http.get(path)).json()["id"] == user
    assert (await http.get(f"{path}/metrics")).json() == []


async def test_metrics_of_a_user(trophy: AsyncTrophyApi, catalog: None) -> None:
    await post(trophy, "ann", 1.25)
    await post(trophy, "ann", 2.5)
    metrics = await trophy.users.all_metrics("ann")
    assert [(m.key, m.name, m.current, m.achievements) for m in metrics] == [
        ("words", "Words", 3.75, []),
        ("miles", "Miles", 0.0, []),
    ]
    assert await trophy.users.single_metric("ann", "miles") == metrics[1]
    with pytest.raises(NotFoundError):
        await trophy.users.single_metric("ann", "nope")


async def test_a_summary_has_every_bucket(
    trophy: AsyncTrophyApi, services: Services, clock: SettableClock, catalog: None
) -> None:
    for moment, value in [
        ("2026-10-01T12:00:00Z", 100),
        ("2026-11-20T23:30:00Z", 1.5),  # 21 November in Berlin
        ("2026-11-21T12:00:00Z", 2),
        ("2026-11-23T12:00:00Z", -4),
    ]:
        at(clock, moment)
        await post(trophy, "ann", value, tz="Europe/Berlin")
    await post(trophy, "ann", 7, "miles")
    await post(trophy, "bob", 9)
    await flush(services)

    async def summary(aggregation: str, start: str, end: str) -> list[tuple[str, float, float]]:
        buckets = await trophy.users.metric_event_summary(
            "ann", "words", aggregation=aggregation, start_date=start, end_date=end
        )
        return [(bucket.date, bucket.total, bucket.change) for bucket in buckets]

    assert await summary("daily", "2026-11-20", "2026-11-23") == [
        ("2026-11-20", 100.0, 0.0),
        ("2026-11-21", 103.5, 3.5),
        ("2026-11-22", 103.5, 0.0),
        ("2026-11-23", 99.5, -4.0),
    ]
    assert await summary("weekly", "2026-11-18", "2026-11-23") == [
        ("2026-11-16", 103.5, 3.5),
        ("2026-11-23", 99.5, -4.0),
    ]
    assert await summary("monthly", "2026-09-15", "2026-11-30") == [
        ("2026-09-01", 0.0, 0.0),
        ("2026-10-01", 100.0, 100.0),
        ("2026-11-01", 99.5, -0.5),
    ]


_BAD_SUMMARIES_ARE_REFUSED: list[Any] = [
    ("startDate=2026-01-01&endDate=2026-02-01", "aggregation must be one of daily, weekly, monthly"),
    ("aggregation=daily&endDate=2026-02-01", "startDate is required"),
    ("aggregation=daily&startDate=2026-01-01", "endDate is required"),
    ("aggregation=daily&startDate=today&endDate=2026-02-01", "startDate must be a date"),
    ("aggregation=daily&startDate=2026-02-01&endDate=2026-02-01", "startDate must lie before endDate"),
    ("aggregation=daily&startDate=2025-01-01&endDate=2026-02-06", "endDate must lie at most 400 days"),
]


async def test_bad_summaries_are_refused(http: httpx.AsyncClient, catalog: None) -> None:
    for query, error in _BAD_SUMMARIES_ARE_REFUSED:
        await http.put("/v1/users/ann", json={})
        answer = await http.get(f"/v1/users/ann/metrics/words/event-summary?{query}")
        assert (answer.status_code, answer.json()["error"][: len(error)]) == (422, error)


async def test_leaderboards_are_listed(trophy: AsyncTrophyApi, http: httpx.AsyncClient, catalog: None) -> None:
    listed = [(board.key, board.status) for board in await trophy.leaderboards.all_()]
    live = [("all-time", "active"), ("daily", "active"), ("top-2", "active"), ("coming", "scheduled")]
    assert listed == live
    everything = await trophy.leaderboards.all_(include_finished=True)
    assert [(board.key, board.status) for board in everything] == [*live, ("over", "finished")]
    daily = (await http.get("/v1/leaderboards")).json()[1]
    assert daily == {
        "id": daily["id"],
        "key": "daily",
        "name": "Daily",
        "rankBy": "metric",
        "metricKey": "words",
        "metricName": "Words",
        "description": None,
        "start": "2026-01-01",
        "end": None,
        "startTime": None,
        "endTime": None,
        "maxParticipants": daily["maxParticipants"],
        "runUnit": "day",
        "runInterval": 1,
        "breakdownAttribute": None,
        "breakdownAttributes": [],
        "userAttributes": [],
        "tieRule": "ordinal",
        "order": "desc",
        "operator": "sum",
        "groupBy": None,
        "displayAttributes": [],
        "public": False,
        "status": "active",
    }


async def test_a_ranking_is_paged(trophy: AsyncTrophyApi, clock: SettableClock, catalog: None) -> None:
    for user, value in [("dan", 1.999), ("ann", 5), ("bob", 5), ("eve", -0.5), ("cid", 7.25)]:
        await post(trophy, user, value, name=user.title())
        clock.advance(1)
    everyone = [(1, "cid", 7), (2, "ann", 5), (3, "bob", 5), (4, "dan", 1), (5, "eve", -1)]
    assert await shown(trophy, "all-time") == everyone
    assert await shown(trophy, "all-time", offset=1, limit=2) == everyone[1:3]
    assert await shown(trophy, "all-time", offset=5) == []
    assert await shown(trophy, "all-time", user_id="bob", limit=2) == everyone[2:4]
    assert await shown(trophy, "all-time", user_id="bob", offset=1) == everyone[3:]
    assert await shown(trophy, "top-2") == everyone[:2]
    assert await shown(trophy, "top-2", user_id="ann") == everyone[1:2]
    assert await shown(trophy, "top-2", user_id="ann", offset=1) == []
    assert await shown(trophy, "top-2", user_id="bob") == []
    board = await trophy.leaderboards.get("all-time", limit=1)
    assert (board.status, board.metric_key, board.rankings[0].user_name) == ("active", "words", "Cid")
    assert board.rankings[0].exactValue == 7.25  # type: ignore[attr-defined] # our extra field


_BAD_RANKINGS_ARE_REFUSED: list[Any] = [
    ("nope", 404, "Leaderboard not found: nope"),
    ("sleeping", 404, "Leaderboard not found: sleeping"),
    ("daily?limit=0", 422, "limit must be 1 to 1,000"),
    ("daily?limit=1001", 422, "limit must be 1 to 1,000"),
    ("daily?limit=ten", 400, "limit must be a whole number"),
    ("daily?offset=-1", 422, "offset must be 0 to 10,000,000"),
    ("daily?run=2025-12-31", 422, "run must be a day of the leaderboard, which runs from 2026-01-01"),
    ("daily?run=yesterday", 422, "run must be a date like 2026-01-31"),
    ("over?run=2026-11-02", 422, "run must be a day of the leaderboard, which runs from 2026-01-01 to"),
    ("daily?userAttributes=city:london", 422, "userAttributes can't be used: this leaderboard has no breakdown"),
    ("daily?userId=%00", 422, "userId must not contain control characters"),
]


async def test_bad_rankings_are_refused(http: httpx.AsyncClient, catalog: None) -> None:
    for path, status, error in _BAD_RANKINGS_ARE_REFUSED:
        answer = await http.get(f"/v1/leaderboards/{path}")
        assert (answer.status_code, answer.json()["error"][: len(error)]) == (status, error)


async def test_the_current_run_is_that_of_the_users_day(
    trophy: AsyncTrophyApi, clock: SettableClock, catalog: None
) -> None:
    at(clock, "2026-11-23T10:30:00Z")
    await post(trophy, "east", 3, tz="Pacific/Kiritimati")  # 24 November, 00:30
    await post(trophy, "home", 2)
    await post(trophy, "west", 1, tz="Pacific/Pago_Pago")  # 22 November, 23:30
    for user, value in [("east", 3), ("home", 2), ("west", 1)]:
        assert await shown(trophy, "daily", user_id=user) == [(1, user, value)]
        board = await trophy.users.leaderboard(user, "daily")
        assert (board.rank, board.value) == (1, value)
    assert await shown(trophy, "daily") == [(1, "home", 2)]
    assert await shown(trophy, "daily", run="2026-11-24") == [(1, "east", 3)]
    assert await shown(trophy, "daily", run="2026-11-22") == [(1, "west", 1)]
    assert await shown(trophy, "daily", run="2026-11-22", user_id="east") == []
    west = await trophy.users.leaderboard("east", "daily", run="2026-11-22")
    assert (west.rank, west.value, west.history) == (None, None, [])
    # An hour later it is the 23rd in Pago Pago too.
    at(clock, "2026-11-23T11:30:00Z")
    assert await shown(trophy, "daily", user_id="west") == []
    assert await shown(trophy, "over") == []
    assert await shown(trophy, "coming") == []
    assert await shown(trophy, "daily", run="9999-12-31") == []


async def test_a_users_history_is_daily_and_oldest_first(
    trophy: AsyncTrophyApi, http: httpx.AsyncClient, services: Services, clock: SettableClock, catalog: None
) -> None:
    await post(trophy, "bob", 4)
    await post(trophy, "cid", 3.5)
    await post(trophy, "ann", 1.5)
    clock.advance(DAY_MS)
    await post(trophy, "ann", 1)
    await post(trophy, "ann", 1.25)
    clock.advance(2 * DAY_MS)
    await post(trophy, "ann", 10)
    await flush(services)

    board = await trophy.users.leaderboard("ann", "all-time")
    assert (board.key, board.rank, board.value) == ("all-time", 1, 13)
    days = [(e.date, e.previous_rank, e.rank, e.previous_value, e.value) for e in board.history]
    assert days == [
        ("2026-11-23", None, 3, None, 1),
        ("2026-11-24", 3, 2, 1, 3),
        ("2026-11-26", 2, 1, 3, 13),
    ]
    assert board.history[0].timestamp == datetime(2026, 11, 23, tzinfo=UTC)
    newest = await trophy.users.leaderboard("ann", "all-time", num_events=1)
    assert newest.history == board.history[2:]
    assert (await trophy.users.leaderboard("ann", "all-time", num_events=0)).history == []
    limited = await trophy.users.leaderboard("ann", "top-2")
    assert [(e.previous_rank, e.rank) for e in limited.history] == [(None, None), (None, 2), (2, 1)]
    beyond = (await http.get("/v1/users/cid/leaderboards/top-2")).json()
    assert (beyond["rank"], beyond["value"], beyond["exactValue"]) == (None, 3, 3.5)
    for days_, status in [("101", 422), ("-1", 422), ("x", 400)]:
        refused = await http.get(f"/v1/users/ann/leaderboards/daily?numEvents={days_}")
        assert (refused.status_code, refused.json()["error"][:9]) == (status, "numEvents")


async def test_cold_users_are_read_and_stay_cold(
    trophy: AsyncTrophyApi, services: Services, catalog: None
) -> None:
    for user, value in [("ann", 3), ("bob", 2), ("cid", 1)]:
        await post(trophy, user, value, name=user.title())

    async def everything() -> list[Any]:
        return [
            await trophy.users.get("bob"),
            await trophy.users.all_metrics("bob"),
            await shown(trophy, "all-time", user_id="bob"),
            await shown(trophy, "daily", user_id="bob", offset=1),
            await shown(trophy, "top-2", user_id="cid"),
            await trophy.users.leaderboard("bob", "daily"),
            await trophy.users.leaderboard("cid", "top-2"),
        ]

    await flush(services)
    warm = await everything()
    assert warm[2] == [(2, "bob", 2), (3, "cid", 1)]
    await make_cold(services)
    assert await everything() == warm
    keys = services.directory.production.keys
    assert await services.redis.raw.keys(keys.user("*")) == []
    assert await services.redis.raw.hlen(keys.cold) == 3


async def test_a_run_that_the_state_let_go_of_is_still_ranked(
    trophy: AsyncTrophyApi, services: Services, clock: SettableClock, catalog: None
) -> None:
    for _ in range(15):
        await post(trophy, "bob", 2)
        await post(trophy, "ann", 1)
        clock.advance(DAY_MS)
    await flush(services)
    space = services.directory.production
    number = space.index.leaderboard_by_key["daily"].number
    boards = [f"{number}:20261123", f"{number}:20261207"]
    dropped, kept = await services.redis.raw.hmget(space.keys.user("ann"), boards)
    assert dropped is None
    assert kept is not None
    assert await shown(trophy, "daily", run="2026-11-23", user_id="ann") == [(2, "ann", 1)]
    old = await trophy.users.leaderboard("ann", "daily", run="2026-11-23")
    assert (old.rank, old.value, [e.date for e in old.history]) == (2, 1, ["2026-11-23"])


async def test_without_postgres_only_cold_users_are_away(
    trophy: AsyncTrophyApi, http: httpx.AsyncClient, services: Services, catalog: None
) -> None:
    await post(trophy, "ann", 3)
    await make_cold(services)
    await post(trophy, "bob", 2)
    services.pool.terminate()
    assert await shown(trophy, "all-time") == [(1, "ann", 3), (2, "bob", 2)]
    assert await shown(trophy, "all-time", user_id="bob") == [(2, "bob", 2)]
    assert (await http.get("/v1/users/bob/metrics/words")).json()["current"] == 2.0
    for path in ("/v1/users/ann", "/v1/users/ann/metrics", "/v1/leaderboards/all-time?userId=ann"):
        answer = await http.get(path)
        assert (answer.status_code, answer.json()) == (503, {"error": "Postgres is away"})
        assert answer.headers["retry-after"] == "1"


async def test_a_redis_without_an_epoch_is_unavailable(
    trophy: AsyncTrophyApi, http: httpx.AsyncClient, services: Services, catalog: None
) -> None:
    await post(trophy, "ann", 3)
    space = services.directory.production
    await services.redis.raw.hdel(space.keys.meta, "epoch")
    paths = (
        "/v1/users/ann",
        "/v1/users/ann/metrics",
        "/v1/leaderboards/daily",
        "/v1/leaderboards/daily?userId=ann",
        "/v1/users/ann/leaderboards/daily",
    )
    # First the process still believes in its epoch, then it has heard.
    for epoch in (space.epoch, None):
        space.epoch = epoch
        for path in paths:
            answer = await http.get(path)
            assert (answer.status_code, answer.json()) == (503, {"error": "Redis is being rebuilt"})
            assert answer.headers["retry-after"] == "1"
    assert (await http.get("/v1/leaderboards")).status_code == 200


def test_the_document_tells_the_types_of_answers() -> None:
    schemas = document(ENDPOINTS)["components"]["schemas"]
    assert schemas["Ranking"]["properties"]["value"] == {"type": "integer"}
    assert schemas["Ranking"]["properties"]["exactValue"] == {"type": "number"}
    created = schemas["User"]["properties"]["created"]
    assert (created["type"], created["format"]) == ("string", "date-time")
    assert set(schemas["RankedDay"]["required"]) == {
        *("date", "timestamp", "previousRank", "rank", "previousValue", "value")
    }
