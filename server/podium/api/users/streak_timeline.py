"""The history of a user's streak, as rows of the timeline.

Only some changes are stored when they happen. The others are derived from the stored periods: each day by which a
streak grew, and the effect of late history (an import, a correction) on the days since.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

from podium.game.catalog import CatalogIndex
from podium.game.periods import day_begins, zone
from podium.game.progress import StreakOutcome, streak_past
from podium.game.state import UserState
from podium.storage.postgres.pool import PoolConnection

PERIODS_MAX = 4_000
"""Most periods that are read: more than ten years of days."""


class StreakRow(NamedTuple):
    """A change of a streak at an instant, and the streak's length, or 1 for a freeze."""

    at_ms: int
    what: str
    amount: int


async def read_streak(
    connection: PoolConnection,
    space_id: int,
    index: CatalogIndex,
    user: str,
    state: UserState,
    now_ms: int,
    until_ms: int,
    most: int,
) -> list[StreakRow]:
    """Return the newest ``most`` rows up to an instant that are not stored as facts (``user_facts``), newest
    first."""
    tz, wanted = zone(state.profile.tz), index.streak_rules(state.wishes, state.profile.tz)
    periods = await connection.fetch(
        "SELECT period, length, frozen, restored FROM streak_periods"
        " WHERE space_id = $1 AND user_id = $2 AND track = $3 ORDER BY period DESC LIMIT $4",
        space_id,
        user,
        wanted.track,
        PERIODS_MAX,
    )
    met = {period: (length, frozen, restored) for period, length, frozen, restored in reversed(periods)}
    until_ms = min(until_ms, now_ms)
    outcomes = [
        one for one in streak_past(index, state, now_ms, met, PERIODS_MAX) if day_begins(one.start, tz) <= until_ms
    ][-most - 1 :]
    if not outcomes:
        return []
    known = await connection.fetch(
        "SELECT at_ms, kind FROM user_facts"
        " WHERE space_id = $1 AND user_id = $2 AND at_ms >= $3 AND kind IN ('streak_lost', 'freeze_used')",
        space_id,
        user,
        day_begins(outcomes[0].start, tz),
    )
    # The instant at which a day was met is not stored. Usually it is that of the day's first event.
    acted = await connection.fetch(
        "SELECT day, min(at_ms) AS at_ms FROM events WHERE space_id = $1 AND user_id = $2"
        " AND day BETWEEN $3 AND $4 AND metric = ANY ($5::integer[]) AND corrects IS NULL GROUP BY day",
        space_id,
        user,
        outcomes[0].start,
        outcomes[-1].end,
        [*wanted.thresholds],
    )
    first_ms: dict[date, int] = dict(map(tuple, acted))
    rows = []
    for one, before in zip(outcomes, (outcomes[0], *outcomes), strict=False):
        begins_ms, ends_ms = day_begins(one.start, tz), day_begins(one.end + timedelta(days=1), tz)
        # Support may have ended the streak while the period before still held it.
        since_ms = day_begins(before.start, tz) if one.what == "streak_lost" else begins_ms
        if one.what == "streak_extended":
            at_ms = min((at for day, at in first_ms.items() if one.start <= day <= one.end), default=begins_ms)
        elif any(kind == one.what and since_ms <= at <= ends_ms for at, kind in known):
            continue
        else:
            at_ms = ends_ms
        if at_ms <= until_ms:
            rows.append(StreakRow(at_ms, one.what, _amount(one)))
    return sorted(rows, reverse=True)[:most]


def _amount(one: StreakOutcome) -> int:
    return 1 if one.what == "freeze_used" else one.length
