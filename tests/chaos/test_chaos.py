"""One round of chaos: whatever is killed, stopped, cut and filled, the promises hold. A minute or less."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio

from tests.chaos.checks import Found, check_events, check_stores
from tests.chaos.faults import KINDS, Scene
from tests.chaos.rounds import Chaos, Totals, schedule

pytestmark = pytest.mark.xdist_group("chaos")

FAULTS = 15
LOSING = 6
"""Faults of a second round on the same Podium; a third of them take something from Redis."""


@pytest.fixture
async def chaos(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Chaos]:
    chaos = Chaos(request.config.option.chaos_seed, workers=2, posters=6, kept=tmp_path)
    yield chaos
    await chaos.close()


async def test_promises_hold(chaos: Chaos) -> None:
    kept, lost = Totals(), Totals()
    await chaos.round(FAULTS, kept)
    assert (kept.findings, kept.harness) == ([], [])
    assert kept.faults.total() == FAULTS
    await chaos.round(LOSING, lost, keeps=False)
    assert (lost.findings, lost.harness) == ([], [])
    assert lost.faults.total() == LOSING
    assert min(kept.acknowledged, lost.acknowledged) > 0
    await _finds_what_is_wrong(chaos)


async def _finds_what_is_wrong(chaos: Chaos) -> None:
    """Take one event out of Postgres, double another and raise a total: the checks that held say so."""
    found = Found()
    connection = await asyncpg.connect(chaos.cluster.postgres.url)
    try:
        first, second = await connection.fetch("SELECT id FROM events WHERE idempotency_key IS NOT NULL LIMIT 2")
        await connection.execute("INSERT INTO events SELECT * FROM events WHERE id = $1", first["id"])
        await connection.execute("DELETE FROM events WHERE id = $1", second["id"])
        await connection.execute(
            "UPDATE users SET state = jsonb_set(state::jsonb, ARRAY['5', board, '0'], '1000000')"
            " FROM (SELECT id AS user, jsonb_object_keys(state::jsonb -> 5) AS board FROM users) AS b"
            " WHERE id = b.user AND board LIKE '%:'"
        )
        await check_events(connection, Scene(chaos.cluster, chaos.ledger), found)
        async with redis.asyncio.Redis.from_url(chaos.cluster.valkey.url) as client:
            await check_stores(connection, client, found)
    finally:
        await connection.close()
    assert (found.lost, found.doubled) == (1, 1)
    kinds = {finding.partition(":")[0] for finding in found.findings}
    assert {"boards differ between the stores", "totals differ from the sums of events"} <= kinds


def test_schedule_follows_from_the_seed() -> None:
    """Only the kinds that are asked for, and each of them comes."""
    assert schedule("7-1", 50, keeps=True) == schedule("7-1", 50, keeps=True)
    assert schedule("7-1", 50, keeps=True) != schedule("7-2", 50, keeps=True)
    kept = {step.kind for step in schedule("1", 2_000, keeps=True)}
    assert kept == {name for name, kind in KINDS.items() if kind.keeps}
    assert {step.kind for step in schedule("1", 2_000, keeps=False)} == set(KINDS)
