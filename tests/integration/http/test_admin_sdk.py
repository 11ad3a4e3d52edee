"""The published SDK on the admin API: what it reads, and the errors that it raises."""

from __future__ import annotations

import pytest
from trophy import (
    AsyncTrophyApi,
    CreateAttributeRequestItem,
    CreateLeaderboardRequestItem,
    CreateMetricRequestItem,
    UpdateAttributeRequestItem,
    UpdateLeaderboardRequestItem,
    UpdateMetricRequestItem,
)
from trophy.errors import NotFoundError, UnprocessableEntityError

from tests.integration.http.items import TODAY, UNKNOWN


async def test_sdk_metrics(trophy: AsyncTrophyApi) -> None:
    api = trophy.admin.metrics
    created = await api.create(
        request=[CreateMetricRequestItem(name="Words", key="words"), CreateMetricRequestItem(name="", key="b")]
    )
    assert [issue.index for issue in created.issues] == [1]
    [row] = created.created
    assert (row.key, row.unit_type, row.units) == ("words", "number", "")
    assert await api.get(row.id) == row
    assert await api.list(limit=100) == [row]
    updated = await api.update(request=[UpdateMetricRequestItem(id=row.id, name="Pages", units="p")])
    assert (updated.updated[0].name, updated.updated[0].units) == ("Pages", "p")
    deleted = await api.delete(ids=[row.id, UNKNOWN])
    assert [item.id for item in deleted.deleted] == [row.id]
    assert [issue.id for issue in deleted.issues] == [UNKNOWN]
    with pytest.raises(NotFoundError):
        await api.get(row.id)
    with pytest.raises(UnprocessableEntityError):
        await api.create(request=[])


async def test_sdk_attributes(trophy: AsyncTrophyApi) -> None:
    api = trophy.admin.attributes
    created = await api.create(request=[CreateAttributeRequestItem(name="City", key="city", type="user")])
    [row] = created.created
    assert (row.key, row.type) == ("city", "user")
    updated = await api.update(request=[UpdateAttributeRequestItem(id=row.id, name="Town")])
    assert updated.updated[0].name == "Town"
    assert [item.name for item in await api.list()] == ["Town"]
    assert (await api.delete(ids=row.id)).deleted[0].id == row.id


async def test_sdk_leaderboards(trophy: AsyncTrophyApi, metric: str) -> None:
    api = trophy.admin.leaderboards
    created = await api.create(
        request=[
            CreateLeaderboardRequestItem(
                name="Daily",
                key="daily",
                rank_by="metric",
                metric_id=metric,
                run_unit="day",
                run_interval=1,
                status="active",
                max_participants=1_000,
            )
        ]
    )
    assert created.issues == []
    [row] = created.created
    assert (row.status, row.start, row.run_unit, row.run_interval) == ("active", TODAY, "day", 1)
    assert (row.breakdown_attributes, row.user_attributes, row.end) == ([], [], None)
    updated = await api.update(
        request=[UpdateLeaderboardRequestItem(id=row.id, name="Every day", max_participants=None)]
    )
    assert updated.issues == []
    assert (updated.updated[0].name, updated.updated[0].max_participants) == ("Every day", None)
    assert await api.get(row.id) == updated.updated[0]
    assert await api.list() == updated.updated
    assert (await api.delete(ids=[row.id])).deleted[0].id == row.id


async def test_sdk_errors(trophy: AsyncTrophyApi) -> None:
    with pytest.raises(UnprocessableEntityError) as caught:
        await trophy.admin.metrics.list(limit=101)
    assert caught.value.body == {"error": "limit must be 1 to 100"}
