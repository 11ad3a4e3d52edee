"""The published ``trophy`` SDK, pointed at a running Podium."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from trophy import BatchMetricEvent, BatchMetricEventUser, TrophyApi, UpsertedUser
from trophy.core.api_error import ApiError
from trophy.errors import NotFoundError, UnauthorizedError, UnprocessableEntityError

from tests.acceptance.stack import Stack

pytestmark = pytest.mark.xdist_group("stack")


async def test_a_day_with_the_sdk(stack: Stack) -> None:
    board = await stack.board()
    with httpx.Client(timeout=30) as client:
        trophy = TrophyApi(api_key=stack.admin_key, environment=stack.trophy_environment, httpx_client=client)

        trophy.users.create(id="ann", name="Ann", tz="Europe/Paris", email="ann@example.com")
        first = trophy.metrics.event(
            board.metric, user=UpsertedUser(id="ann"), value=10.5, idempotency_key="first"
        )
        assert (first.total, first.leaderboards[board.key].rank) == (10.5, 1)
        assert first.leaderboards[board.key].previous_rank is None
        ben = trophy.metrics.event(board.metric, user=UpsertedUser(id="ben", name="Ben"), value=20)
        assert ben.leaderboards[board.key].rank == 1
        again = trophy.metrics.event(
            board.metric, user=UpsertedUser(id="ann"), value=10.5, idempotency_key="first"
        )
        assert (again.event_id, again.idempotent_replayed, again.total) == (first.event_id, True, 10.5)
        batch = trophy.admin.metrics.batch_events(
            request=[
                BatchMetricEvent(key=board.metric, user=BatchMetricEventUser(id="ann"), value=15),
                BatchMetricEvent(
                    key=board.metric, user=BatchMetricEventUser(id="cid"), value=1, idempotency_key="c"
                ),
            ]
        )
        assert batch.accepted == 2

        page = trophy.leaderboards.get(board.key)
        assert [(row.rank, row.user_id, row.user_name, row.value) for row in page.rankings] == [
            (1, "ann", "Ann", 25),
            (2, "ben", "Ben", 20),
            (3, "cid", None, 1),
        ]
        assert [row.user_id for row in trophy.leaderboards.get(board.key, offset=1, limit=1).rankings] == ["ben"]
        assert board.key in [shown.key for shown in trophy.leaderboards.all_()]
        mine = trophy.users.leaderboard("ann", board.daily)
        assert (mine.rank, mine.value) == (1, 25)

        user = trophy.users.get("ann")
        assert (user.name, user.tz, user.email) == ("Ann", "Europe/Paris", "ann@example.com")
        assert trophy.users.update("ann", name="Anna").name == "Anna"
        assert trophy.leaderboards.get(board.key).rankings[0].user_name == "Anna"
        assert trophy.users.single_metric("ann", board.metric).current == 25.5
        assert [metric.current for metric in trophy.users.all_metrics("ben") if metric.key == board.metric] == [20]

        # In Paris it may be tomorrow already.
        today = datetime.now(UTC).date()
        await stack.flushed(board.metric_number, 4)
        summary = trophy.users.metric_event_summary(
            "ann",
            board.metric,
            aggregation="daily",
            start_date=(today - timedelta(days=1)).isoformat(),
            end_date=(today + timedelta(days=1)).isoformat(),
        )
        assert (len(summary), sum(day.change for day in summary), summary[-1].total) == (3, 25.5, 25.5)


async def test_errors_reach_the_sdk(stack: Stack) -> None:
    board = await stack.board()
    with httpx.Client(timeout=30) as client:
        trophy = TrophyApi(api_key=stack.admin_key, environment=stack.trophy_environment, httpx_client=client)
        with pytest.raises(UnprocessableEntityError, match="Unknown metric key"):
            trophy.metrics.event("nothing", user=UpsertedUser(id="ann"), value=1)
        with pytest.raises(NotFoundError):
            trophy.leaderboards.get("nowhere")
        with pytest.raises(NotFoundError):
            trophy.users.single_metric("nobody", board.metric)
        with pytest.raises(ApiError) as nobody:
            trophy.users.get("nobody-at-all")
        assert nobody.value.status_code == 404
        stranger = TrophyApi(api_key="12345678.no", environment=stack.trophy_environment, httpx_client=client)
        with pytest.raises(UnauthorizedError):
            stranger.leaderboards.all_()


async def test_async_client(stack: Stack) -> None:
    board = await stack.board()
    # Somebody without a zone: in Ann's, Paris, the run of tomorrow may have begun.
    async with stack.trophy() as trophy:
        event = await trophy.metrics.event(board.metric, user=UpsertedUser(id="dan"), value=3)
        assert event.leaderboards[board.daily].rank == 1
        page = await trophy.leaderboards.get(board.daily)
        assert [(row.user_id, row.value) for row in page.rankings] == [("dan", 3)]
