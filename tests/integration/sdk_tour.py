"""A tour through the published Python SDK: every method, each with what it must have done."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from trophy import UpsertedUser

Flush = Callable[[], Awaitable[None]]
DAY_MS = 86_400_000


class Recorder:
    """The SDK, sync or async, as one that is awaited; ``called`` are the methods that were answered."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.called: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return _Method(self, (name,))


class _Method:
    def __init__(self, recorder: Recorder, path: tuple[str, ...]) -> None:
        self._recorder, self._path = recorder, path

    def __getattr__(self, name: str) -> _Method:
        return _Method(self._recorder, (*self._path, name))

    async def __call__(self, *args: Any, **fields: Any) -> Any:
        found = self._recorder.client
        for name in self._path:
            found = getattr(found, name)
        if inspect.iscoroutinefunction(found):
            result = await found(*args, **fields)
        else:
            result = await asyncio.to_thread(found, *args, **fields)
        self._recorder.called.add(".".join(self._path))
        return result


def ids(rows: Any) -> list[str]:
    return [row.id for row in rows]


async def crud(of: Any, create: list[dict[str, Any]], change: dict[str, Any], *parents: str) -> list[Any]:
    """The five verbs: ``create`` some, list and get them, ``change`` the first, delete the last; the others."""
    made = await of.create(*parents, request=create)
    assert made.issues == []
    rows = made.created
    listed = await of.list(*parents, limit=100)
    assert set(ids(rows)) <= set(ids(listed))
    assert ids(await of.list(*parents, limit=1, skip=len(listed) - 1)) == ids(listed[-1:])
    updated = await of.update(*parents, request=[{"id": rows[0].id, **change}])
    assert updated.issues == []
    shown = await of.get(*parents, rows[0].id)
    for name, value in change.items():
        assert getattr(shown, name) == value
    deleted = await of.delete(*parents, ids=rows[-1].id)
    assert ids(deleted.deleted) == ids(rows[-1:])
    return list(rows[:-1])


async def set_up(t: Any) -> dict[str, Any]:
    """The admin API's methods about the catalog."""
    assert [one.key for one in await t.admin.environments.list()] == ["production"]
    [words] = await crud(
        t.admin.metrics,
        [{"name": "Words", "key": "words"}, {"name": "Pages", "key": "pages"}],
        {"name": "Words written"},
    )
    goal = {"trigger": "metric", "metricId": words.id, "metricValue": 100, "status": "active"}
    [city, genre] = await crud(
        t.admin.attributes,
        [{"name": k, "key": k, "type": of} for k, of in (("city", "user"), ("genre", "event"), ("x", "user"))],
        {"name": "Town"},
    )
    [hero, novelist] = await crud(
        t.admin.achievements,
        [
            {"name": "Hero", "trigger": "api", "key": "hero", "status": "active"},
            {"name": "Novelist", **goal},
            {"name": "Gone", "trigger": "streak", "streakLength": 3},
        ],
        {"description": "Saved the day"},
    )
    [xp] = await crud(
        t.admin.points.systems, [{"name": "XP", "key": "xp"}, {"name": "Y", "key": "y"}], {"name": "Experience"}
    )
    level = {"name": "Bronze", "key": "bronze", "points": 5}
    await crud(
        t.admin.points.levels, [level, {"name": "Gold", "key": "gold", "points": 50}], {"name": "Copper"}, xp.id
    )
    trigger = {"type": "metric", "metricId": words.id, "metricThreshold": 10, "points": 1, "status": "active"}
    await crud(t.admin.points.triggers, [trigger, {"type": "user_creation", "points": 3}], {"points": 2}, xp.id)
    boost = {"name": "Double", "start": "2026-11-01", "multiplier": 3}
    await crud(
        t.admin.points.boosts,
        [boost, {"name": "Other", "start": "2026-11-01", "multiplier": 5}],
        {"name": "Triple"},
        xp.id,
    )
    board = {"rankBy": "metric", "metricId": words.id, "status": "active", "start": "2026-11-01"}
    await crud(
        t.admin.leaderboards,
        [{"name": "All", "key": "all", **board}, {"name": "Gone", "key": "gone", **board}],
        {"name": "All time"},
    )
    settings = await t.admin.settings.update(experimentation={"controlRatio": 0, "userActivationWindow": 14})
    assert settings.experimentation.user_activation_window == 14
    assert (await t.admin.settings.get()).experimentation.user_activation_window == 14
    freezes = {"startCount": 1, "maxCount": 3}
    streak = await t.admin.streaks.settings.update(
        frequency="daily", metrics=[{"key": "words", "threshold": 1}], freezes=freezes
    )
    assert [one.key for one in streak.metrics] == ["words"]
    assert (await t.admin.streaks.settings.get()).freezes.max_count == 3
    kept = await crud(
        t.admin.tenants, [{"customerId": "a", "name": "A"}, {"customerId": "b", "name": "B"}], {"name": "Acme"}
    )
    assert [tenant.customer_id for tenant in kept] == ["a"]
    return {"xp": xp, "hero": hero, "novelist": novelist, "city": city, "genre": genre}


async def tour(t: Any, clock: Any, flush: Flush) -> None:
    """All methods, on an empty space."""
    made = await set_up(t)
    await of_users(t, clock, flush)
    await of_lists(t)
    await of_streaks(t, clock, flush)
    keys = await t.admin.application_api_keys.create(request=[{"userId": "ann"}])
    [key] = keys.created
    assert (key.user_id, key.key.startswith(key.prefix)) == ("ann", True)
    gone = await t.admin.application_api_keys.delete(ids=[key.id])
    assert ids(gone.deleted) == [key.id]
    assert made["xp"].key == "xp"


async def of_users(t: Any, clock: Any, flush: Flush) -> None:
    """Users, events, and what they brought."""
    created = await t.users.create(id="ann", name="Ann", tz="Europe/Rome", attributes={"city": "Rome"})
    assert (created.id, created.tz) == ("ann", "Europe/Rome")
    assert (await t.users.identify("bob", name="Bob")).id == "bob"
    assert (await t.users.update("ann", email="ann@example.com")).email == "ann@example.com"
    assert (await t.users.get("ann")).name == "Ann"

    user = UpsertedUser(id="ann")
    event = await t.metrics.event(
        "words", user=user, value=120, idempotency_key="first", attributes={"genre": "crime"}
    )
    assert (event.total, event.leaderboards["all"].rank, event.points["xp"].added) == (120, 1, 72)
    assert [one.name for one in event.achievements] == ["Novelist"]
    again = await t.metrics.event("words", user=user, value=120, idempotency_key="first")
    assert (again.idempotent_replayed, again.event_id, again.total) == (True, event.event_id, 120)
    batch = await t.admin.metrics.batch_events(
        request=[{"key": "words", "user": {"id": "bob"}, "value": 30}, {"key": "words", "user": user, "value": 5}]
    )
    assert batch.accepted == 2
    await flush()

    assert [(one.key, one.current) for one in await t.users.all_metrics("ann")] == [("words", 125)]
    assert (await t.users.single_metric("bob", "words")).current == 30
    days = {"aggregation": "daily", "start_date": "2026-11-22", "end_date": "2026-11-23"}
    summary = await t.users.metric_event_summary("ann", "words", **days)
    assert [(one.date, one.change) for one in summary] == [("2026-11-22", 0), ("2026-11-23", 125)]
    assert [one.name for one in await t.users.achievements("ann")] == ["Novelist"]
    assert (await t.users.streak("ann", history_periods=2)).length == 1
    points = await t.users.points("ann", "xp", awards=5)
    assert (points.total, points.level.key, sum(one.awarded for one in points.awards)) == (72, "bronze", 72)
    assert [one.name for one in await t.users.points_boosts("ann", "xp")] == ["Triple"]
    gained = await t.users.points_event_summary("ann", "xp", **days)
    assert [one.change for one in gained] == [0, 72]
    place = await t.users.leaderboard("ann", "all", num_events=3)
    assert (place.rank, place.value) == (1, 125)
    year = await t.users.wrapped("ann", year=2026)
    assert (year.activity.days_active, year.activity.entire_year.metrics["words"].change_this_period) == (1, 125)
    assert year.activity.entire_year.metrics["words"].percentile_this_period == 50
    await t.users.update_preferences("ann", notifications={"streak_reminder": ["push"]})
    preferences = await t.users.get_preferences("ann")
    assert preferences.notifications.streak_reminder == ["push"]
    done = await t.achievements.complete("hero", user=UpsertedUser(id="bob"))
    assert done.achievement.name == "Hero"


async def of_lists(t: Any) -> None:
    """What is shown of the whole space."""
    all_ = {one.name: one for one in await t.achievements.all_()}
    assert all_["Novelist"].rarity == 50
    assert [one.key for one in await t.leaderboards.all_()] == ["all"]
    board = await t.leaderboards.get("all", limit=1, offset=1)
    assert [(row.rank, row.user_id, row.value) for row in board.rankings] == [(2, "bob", 30)]
    assert [one.name for one in await t.points.boosts("xp")] == ["Triple"]
    assert [one.key for one in await t.points.levels("xp")] == ["bronze"]
    levels = await t.points.level_summary("xp")
    assert [(one.level.key, one.users) for one in levels] == [("bronze", 2)]
    assert sum(one.users for one in await t.points.summary("xp")) == 2
    assert (await t.points.system("xp")).name == "Experience"


async def of_streaks(t: Any, clock: Any, flush: Flush) -> None:
    """Streaks, in bulk and by support."""
    listed = await t.streaks.list(user_ids=["ann", "bob"])
    assert [(one.user_id, one.streak_length) for one in listed] == [("ann", 1), ("bob", 1)]
    given = await t.admin.streaks.freezes.create(freezes=[{"userId": "ann"}])
    assert given.issues == []
    assert (await t.users.streak("ann")).freezes == 2
    pauses = await t.admin.streaks.pauses.create(
        pauses=[{"userId": "ann", "start": "2026-12-24", "end": "2026-12-26"}]
    )
    [pause] = pauses.created
    assert ids((await t.users.streak("ann")).pauses) == [pause.id]
    await flush()
    assert ids((await t.admin.streaks.pauses.delete(ids=pause.id)).deleted) == [pause.id]
    assert (await t.users.streak("ann")).pauses == []
    clock.now_ms += 10 * DAY_MS
    assert (await t.users.streak("bob")).length == 0
    back = await t.admin.streaks.restore(users=[{"id": "bob"}])
    assert back.restored_users == ["bob"]
    assert (await t.users.streak("bob")).length == 1
    over = await t.admin.streaks.reset(users=[{"id": "bob"}])
    assert over.reset_users == ["bob"]
    assert (await t.users.streak("bob")).length == 0
