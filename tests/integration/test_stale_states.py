"""A refusal is concluded from what Redis holds, not from what a process held: two processes on the same stores."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date
from typing import Any

import httpx
import pytest

from podium.game.errors import Conflict, NotFound, Unprocessable
from podium.game.ids import new_uuid7
from podium.game.inputs import (
    ChangeStreak,
    Correction,
    CountHistory,
    Erase,
    Event,
    GivePoints,
    Input,
    Reward,
    Tick,
)
from podium.game.leaderboards.model import Standing
from podium.intake.batcher import Batcher, Outcome
from podium.services import Services, open_services
from tests.conftest import SettableClock
from tests.integration.test_boards import flush, get, make, places
from tests.waiting import until

_TODAY = date(2026, 11, 23)
FREEZES = 3
"""The most that a user may have."""


@pytest.fixture
async def other(services: Services, clock: SettableClock) -> AsyncIterator[Services]:
    """Another process on the same stores."""
    async with open_services(services.settings, clock) as other:
        yield other


@pytest.fixture
async def metric(http: httpx.AsyncClient, services: Services, other: Services) -> str:
    """The id of a metric that counts for the streak and for a perpetual leaderboard; both processes know them."""
    [metric] = await make(http, "metrics", {"name": "Words", "key": "words"})
    await make(http, "points", {"name": "XP", "key": "xp"})
    common = {"rankBy": "metric", "metricId": metric["id"], "start": "2026-11-01", "status": "active"}
    await make(http, "leaderboards", {**common, "name": "All", "key": "all"})
    wanted = {"metrics": [{"key": "words", "threshold": 1}], "freezes": {"startCount": 0, "maxCount": FREEZES}}
    streak = await http.patch("/admin/v1/streaks/settings", json=wanted)
    assert streak.status_code == 200, streak.text
    await other.directory.refresh()
    return str(metric["id"])


def batcher(services: Services) -> Batcher:
    return services.intake(services.directory.production).batcher


def event(clock: SettableClock, user: str = "ann", value: float = 1) -> Event:
    return Event(new_uuid7(clock.now_ms), user, "words", value, clock.now_ms)


async def token(services: Services, user: str = "ann") -> str:
    """The token of a user's state as Redis has it."""
    found = await services.redis.raw.hget(services.directory.production.keys.user(user), "t")
    return str(found.decode())


def correction(clock: SettableClock, read_at: str) -> Correction:
    at = new_uuid7(clock.now_ms)
    return Correction(at, "ann", 1, 1_000, clock.now_ms, _TODAY, False, at, clock.now_ms, {}, read_at)


def fill(clock: SettableClock, read_at: str) -> CountHistory:
    return CountHistory("ann", {3: {"3:": Standing(9_000, clock.now_ms)}}, clock.now_ms, read_at)


def sweep(clock: SettableClock, read_at: str) -> Tick:
    return Tick("ann", clock.now_ms, True, {9: 1}, read_at)


@pytest.mark.parametrize("command", [correction, fill, sweep])
async def test_what_names_the_newest_token_is_taken_by_a_process_that_holds_an_older_one(
    services: Services,
    other: Services,
    metric: str,
    clock: SettableClock,
    command: Callable[[SettableClock, str], Input],
) -> None:
    await batcher(services).submit(event(clock))
    old = await token(services)
    await batcher(other).submit(event(clock))
    with pytest.raises(Conflict):
        await batcher(services).submit(command(clock, old))  # the refusal left the process with the newest one
    await batcher(other).submit(event(clock))
    assert isinstance(await batcher(services).submit(command(clock, await token(services))), Outcome)


@pytest.mark.parametrize(
    "command",
    [
        lambda now_ms: ChangeStreak("ann", "freeze", now_ms),
        lambda now_ms: GivePoints(new_uuid7(now_ms), "ann", 2, 5, now_ms),
        lambda now_ms: Reward("ann", 3, "", now_ms, {2: 5}),
        lambda now_ms: Tick("ann", now_ms),
        lambda now_ms: Erase("ann", now_ms),
    ],
    ids=("freeze", "points", "reward", "tick", "erase"),
)
async def test_a_user_who_was_unknown_a_moment_ago_is_looked_up_again(
    services: Services, other: Services, metric: str, clock: SettableClock, command: Callable[[int], Input]
) -> None:
    with pytest.raises(NotFound):
        await batcher(services).submit(Tick("ann", clock.now_ms))  # and now holds that there is no such user
    await batcher(other).submit(event(clock))
    assert isinstance(await batcher(services).submit(command(clock.now_ms)), Outcome)


def before_commit(services: Services, act: Callable[[], Awaitable[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have something happen once, between the moment at which a process has read states and its commit call."""
    call, pending = services.redis.call, [act]

    async def intercepted(function: str, meta: str, *args: Any) -> Any:
        if function == "commit" and pending:
            await pending.pop()()
        return await call(function, meta, *args)

    monkeypatch.setattr(services.redis, "call", intercepted)


async def test_a_refusal_behind_an_input_that_was_not_written_is_concluded_anew(
    services: Services, other: Services, metric: str, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await batcher(other).submit(event(clock))
    before_commit(services, lambda: batcher(other).submit(Erase("ann", clock.now_ms)), monkeypatch)
    freezes = [ChangeStreak("ann", "freeze", clock.now_ms) for _ in range(FREEZES + 2)]
    results = await batcher(services).submit_many(freezes)
    assert [type(result) for result in results] == [NotFound] * len(freezes)


async def test_a_refusal_behind_an_input_that_was_written_stands(
    services: Services, other: Services, metric: str, clock: SettableClock
) -> None:
    await batcher(other).submit(event(clock))
    freezes = [ChangeStreak("ann", "freeze", clock.now_ms) for _ in range(FREEZES + 2)]
    results = await batcher(services).submit_many(freezes)
    assert [type(result) for result in results] == [Outcome] * FREEZES + [Unprocessable] * 2


async def test_a_refusal_under_an_old_catalog_is_concluded_anew(
    http: httpx.AsyncClient, services: Services, other: Services, metric: str, clock: SettableClock
) -> None:
    old = other.directory.production.index
    await make(http, "metrics", {"name": "Pages", "key": "pages"})
    await until(lambda: other.directory.production.index is not old)
    space = other.directory.production
    new, space.index = space.index, old  # as if nobody had told it yet
    posted = Event(new_uuid7(clock.now_ms), "ann", "pages", 1, clock.now_ms)
    assert isinstance(await batcher(other).submit(posted), Outcome)
    assert space.index.version == new.version


async def test_an_undone_event_of_a_user_whom_another_process_wrote(
    http: httpx.AsyncClient, services: Services, other: Services, metric: str, clock: SettableClock
) -> None:
    posted = await http.post("/v1/metrics/words/event", json={"user": {"id": "ann"}, "value": 5})
    clock.now_ms += 1
    await batcher(other).submit(event(clock))
    await flush(services)
    assert (await http.delete(f"/admin/v1/events/{posted.json()['eventId']}")).status_code == 200
    assert places((await get(http, "all"))["rankings"]) == [(1, "ann", 1)]
