"""Readiness as a page: which part is missing, and what weakens the promise of 201."""

from __future__ import annotations

from typing import Any

import pytest

from podium.game.catalog import Catalog, CatalogIndex
from podium.spaces.space import Space
from podium.storage.postgres import schema
from podium.telemetry import health
from podium.telemetry.health import LogState, Part, Readiness, Rebuilds

NOW_MS = 1_795_435_200_000  # 2026-11-23T12:00:00Z
OK = Part("ok")


def space(epoch: str | None = "e") -> Space:
    return Space(1, "abc", "production", "default", "", (), CatalogIndex(Catalog(1)), epoch)


class Looks:
    """What each look finds; all is well at first."""

    def __init__(self) -> None:
        self.redis = OK
        self.redis_warnings: list[str] = []
        self.postgres: tuple[Part, Part, str] = (OK, OK, "")
        self.rejected: dict[int, int] | None = {}
        self.rebuilds: list[Rebuilds] | None = []
        self.workers: dict[str, float] | None = {"w": 1.0}
        self.clocks: list[str] = []
        self.lag_s = 0.0

    async def ready(self, *spaces: Space, has_time: bool = True) -> Readiness:
        return await health.readiness(None, None, list(spaces), NOW_MS, has_time=has_time)  # type: ignore[arg-type]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    looks = Looks()

    async def redis(_: Any, warnings: list[str]) -> Part:
        warnings += looks.redis_warnings
        return looks.redis

    def answering(name: str) -> Any:
        async def answer(*_: Any) -> Any:
            return getattr(looks, name)

        return answer

    async def log_states(*_: Any) -> dict[str, LogState]:
        return {"abc": LogState(1, 1, looks.lag_s)}

    async def nothing(*_: Any) -> dict[str, Any]:
        return {}

    monkeypatch.setattr(health, "_redis", redis)
    monkeypatch.setattr(health, "_postgres", answering("postgres"))
    monkeypatch.setattr(health, "rejected_items", answering("rejected"))
    monkeypatch.setattr(health, "rebuilds", answering("rebuilds"))
    monkeypatch.setattr(health, "wrong_clocks", answering("clocks"))
    monkeypatch.setattr(health.heartbeats, "ages_s", answering("workers"))
    monkeypatch.setattr(health.set_aside, "read_all", nothing)
    monkeypatch.setattr(health, "log_states", log_states)
    return looks


async def test_a_whole_server_is_ready_and_warns_of_nothing(looks: Looks) -> None:
    found = await looks.ready(space())
    assert (found.ready, found.warnings) == (True, ())
    assert set(found.parts) == {"redis", "postgres", "schema", "spaces", "clock"}


@pytest.mark.parametrize(
    ("spaces", "detail"),
    [([], "run `podium migrate`"), ([space(None)], "being rebuilt (is a worker running?): abc")],
)
async def test_without_a_space_that_takes_events_it_is_not_ready(
    looks: Looks, spaces: list[Space], detail: str
) -> None:
    found = await looks.ready(*spaces)
    assert not found.ready
    assert detail in found.parts["spaces"].detail


async def test_an_absent_postgres_warns_and_accepts(looks: Looks) -> None:
    looks.postgres = (Part("missing", "Postgres is away (x)"), OK, "")
    looks.rejected = looks.rebuilds = None
    found = await looks.ready(space())
    assert found.ready
    assert found.warnings[0].startswith("Postgres is away (x): events are accepted, except for users")


async def test_a_schema_that_is_behind_accepts_nothing(looks: Looks) -> None:
    looks.postgres = (OK, Part("missing", schema.behind("0001")), "")
    assert not (await looks.ready(space())).ready


async def test_an_absent_redis_accepts_nothing_and_is_asked_no_more(looks: Looks) -> None:
    looks.redis, looks.workers = Part("missing", "Redis is away"), {}
    found = await looks.ready(space())
    assert (found.ready, found.warnings) == (False, ())


async def test_a_process_without_time_accepts_nothing(looks: Looks) -> None:
    found = await looks.ready(space(), has_time=False)
    assert not found.ready
    assert "clock" in found.parts["clock"].detail


@pytest.mark.parametrize(("workers", "warned"), [({}, True), (None, False), ({"w": 29.0}, False)])
async def test_without_a_worker_there_is_a_warning_unless_nobody_knows(
    looks: Looks, workers: dict[str, float] | None, warned: bool
) -> None:
    looks.workers = workers
    found = await looks.ready(space())
    assert any(one.startswith("no worker is at work") for one in found.warnings) is warned


@pytest.mark.parametrize(("lag_s", "warned"), [(29.9, False), (30.0, True)])
async def test_a_flusher_that_is_behind_is_named(looks: Looks, lag_s: float, warned: bool) -> None:
    looks.lag_s = lag_s
    found = await looks.ready(space())
    assert found.ready
    assert (
        any("space abc that is not in Postgres was accepted 30 s ago" in one for one in found.warnings) is warned
    )


async def test_what_postgres_refused_is_counted_where_it_belongs(looks: Looks) -> None:
    looks.rejected = {1: 3, 99: 5}
    assert (await looks.ready(space())).warnings == (
        "3 accepted items of space abc can't be written to Postgres: see `podium rejected list`",
    )


@pytest.mark.parametrize(
    ("reason", "recent", "warned"),
    [("behind", True, True), ("behind", False, False), ("new", True, False)],
)
async def test_a_redis_that_went_back_is_told_of_for_a_day(
    looks: Looks, reason: str, recent: bool, warned: bool
) -> None:
    looks.rebuilds = [Rebuilds(1, reason, 1, NOW_MS, recent, 7)]
    warnings = (await looks.ready(space())).warnings
    assert bool(warnings) is warned
    if warned:
        assert "space abc was rebuilt from Postgres, over at 2026-11-23T12:00:00" in warnings[0]
        assert "of them 7 log entries" in warnings[0]
