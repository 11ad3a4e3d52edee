"""One round of chaos: whatever is killed, stopped, cut and filled, the promises hold. A minute or less."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chaos.faults import KINDS
from tests.chaos.rounds import Chaos, Totals, schedule

pytestmark = pytest.mark.xdist_group("chaos")

FAULTS = 15


@pytest.fixture
async def chaos(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Chaos]:
    chaos = Chaos(request.config.option.chaos_seed, workers=2, posters=6, kept=tmp_path)
    yield chaos
    await chaos.close()


async def test_redis_keeps_its_file(chaos: Chaos) -> None:
    totals = Totals()
    await chaos.round(FAULTS, totals)
    assert (totals.findings, totals.harness) == ([], [])
    assert totals.faults.total() == FAULTS
    assert totals.acknowledged > 0


def test_schedule_follows_from_the_seed() -> None:
    """Only the kinds that are asked for, and each of them comes."""
    assert schedule("7-1", 50, keeps=True) == schedule("7-1", 50, keeps=True)
    assert schedule("7-1", 50, keeps=True) != schedule("7-2", 50, keeps=True)
    kept = {step.kind for step in schedule("1", 2_000, keeps=True)}
    assert kept == {name for name, kind in KINDS.items() if kind.keeps}
    assert {step.kind for step in schedule("1", 2_000, keeps=False)} == set(KINDS)
