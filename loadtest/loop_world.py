"""The largest legal data that ``loadtest.loop`` asks about: a catalog, one user with ten years, many others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import msgspec
from tqdm import tqdm

from loadtest.seed import seed
from loadtest.stack import Stack, connect
from podium.game.achievements.model import Achievement
from podium.game.filters import AttributeFilter
from podium.game.ids import NAME_MAX
from podium.game.leaderboards.model import Leaderboard
from podium.game.metrics.model import Metric
from podium.game.periods import at
from podium.game.points.model import Boost, Level, PointsSystem, Trigger
from podium.game.state import UserState
from podium.game.streaks.model import MetricThreshold, StreakSettings
from podium.game.users.model import Attribute
from podium.spaces.item_kinds import (
    ACHIEVEMENT,
    ATTRIBUTE,
    BOOST,
    LEADERBOARD,
    LEVEL,
    METRIC,
    POINTS,
    STREAKS,
    TRIGGER,
    Kind,
    scope,
)

METRIC_COUNT = 200
ATTRIBUTES = 100
"""Of users, and as many of events."""
BOARDS = 300
ACHIEVEMENTS = 1_000
SYSTEMS = 20
TRIGGERS = 1_000
LEVELS = 1_000
BOOSTS = 1_000
"""For several users."""
OWN_BOOSTS = 100_000
"""For one user each, but for 1,000 of the veteran's."""
VETERANS_BOOSTS = 1_000
YEARS_DAYS = 3_650
EVENTS = 100_000
"""Of the veteran."""
VALUES = 3_000
"""Different values of an event attribute among them."""
AUDIT_ROWS = 300
VETERAN = "u0000000"
LONG = "ä" * NAME_MAX
DESCRIPTION = "ü" * 1_000


def id_of(kind: int, number: int) -> str:
    """The id of an item that is made here."""
    return str(UUID(int=(0x7 << 76) | (0x8 << 60) | (kind << 96) | number))


def items(first_number: int, today: date) -> Iterator[tuple[Kind[Any], Any]]:
    """The items of the catalog, beside those of the demo."""
    number = first_number

    def made(kind: int, at_: int) -> dict[str, Any]:
        nonlocal number
        number += 1
        return {"id": id_of(kind, at_), "number": number}

    start = today - timedelta(days=YEARS_DAYS)
    for at_ in range(METRIC_COUNT):
        yield METRIC, Metric(**made(1, at_), key=f"m{at_}", name=f"{LONG[:200]}{at_}", decimals=0)
    for at_ in range(ATTRIBUTES):
        yield ATTRIBUTE, Attribute(**made(2, at_), key=f"a{at_}", name=f"A{at_}")
        yield ATTRIBUTE, Attribute(**made(3, at_), key=f"e{at_}", name=f"E{at_}", type="event")
    filters = tuple(AttributeFilter(f"a{at_}", "x" * 100) for at_ in range(10))
    for at_ in range(BOARDS):
        repeating: dict[str, Any] = {"run_unit": "day", "run_interval": 1} if at_ % 3 == 0 else {}
        # As many as may be by the first metric: 50 of them are by it.
        metric = 0 if at_ < 50 else at_ % METRIC_COUNT or 1
        yield (
            LEADERBOARD,
            Leaderboard(
                **made(4, at_),
                key=f"b{at_}",
                name=f"B{at_}",
                metric_id=id_of(1, metric),
                start=start,
                status="active",
                description=DESCRIPTION,
                created_ms=1,
                activated_ms=1,
                final_until=today - timedelta(days=3) if repeating else None,
                public=True,
                **repeating,
            ),
        )
    for at_ in range(ACHIEVEMENTS):
        about: dict[str, Any] = {"trigger": "metric", "metric_id": id_of(1, 1), "metric_value": float(at_ + 1)}
        if at_ == 0:
            about = {"trigger": "api"}
        elif at_ % 10 == 9:
            about = {"trigger": "achievement", "achievement_ids": tuple(id_of(5, of) for of in range(1, 9))}
        yield (
            ACHIEVEMENT,
            Achievement(
                **made(5, at_),
                key="by-call" if at_ == 0 else id_of(5, at_),
                name=LONG,
                description=DESCRIPTION,
                badge_url="https://example.org/" + "b" * 1_900,
                status="active",
                user_attributes=filters if at_ % 2 else (),
                **about,
            ),
        )
    for at_ in range(SYSTEMS):
        yield POINTS, PointsSystem(**made(6, at_), key=f"p{at_}", name=LONG, description=DESCRIPTION)
    for at_ in range(TRIGGERS):
        yield (
            TRIGGER,
            Trigger(
                **made(7, at_),
                key=id_of(7, at_),
                system_id=id_of(6, 0),
                type="metric",
                points=1,
                status="active",
                metric_id=id_of(1, 1),
                metric_threshold=1 + at_ % 500,
                user_attributes=filters if at_ % 2 else (),
                created_ms=1,
                updated_ms=1,
                active_ms=1,
            ),
        )
    for at_ in range(LEVELS):
        yield (
            LEVEL,
            Level(
                **made(8, at_),
                key=f"l{at_}",
                system_id=id_of(6, 0),
                name=LONG,
                points=at_ * 10,
                description=DESCRIPTION,
            ),
        )
    for at_ in range(BOOSTS + OWN_BOOSTS):
        own = at_ - BOOSTS
        yield (
            BOOST,
            Boost(
                **made(9, at_),
                key=id_of(9, at_),
                system_id=id_of(6, 0 if own < VETERANS_BOOSTS else 1),
                name=LONG if own < 0 else "Weekend",
                start=start,
                multiplier=1.5,
                user_attributes=filters if own < 0 else (),
                user_id=None if own < 0 else VETERAN if own < VETERANS_BOOSTS else f"owner-{own}",
                end=today + timedelta(days=30),
            ),
        )
    yield STREAKS, StreakSettings(**made(10, 0), metrics=(MetricThreshold(id_of(1, 0), 1),))


async def fill(stack: Stack, users: int) -> None:
    """Make the catalog and the users: nobody else may run."""
    space = stack.services.directory.production
    today = at(stack.services.clock()).date()
    connection = await connect(stack)
    try:
        await connection.execute("SET statement_timeout = 0")
        first = await connection.fetchval("SELECT next_number FROM spaces WHERE id = $1", space.id)
        rows = []
        made: dict[str, list[Any]] = {}
        for kind, item in items(first, today):
            body = json.dumps(msgspec.to_builtins(item))
            rows.append((space.id, kind.name, item.id, item.number, item.key, scope(item), body))
            made.setdefault(kind.name, []).append(item)
        await connection.copy_records_to_table(
            "catalog_items",
            records=rows,
            columns=["space_id", "kind", "id", "number", "key", "scope", "body"],
        )
        await connection.execute(
            "UPDATE spaces SET catalog_version = catalog_version + 1, next_number = $2 WHERE id = $1",
            space.id,
            rows[-1][3] + 1,
        )
    finally:
        await connection.close()
    await stack.services.directory.refresh()
    await seed(stack.services, space, users, also=_veteran(made))
    await _history(stack, made)


def _veteran(made: dict[str, list[Any]]) -> Any:
    first = True

    def also(state: UserState, _: date) -> UserState:
        nonlocal first
        if not first:
            return state
        first = False
        totals = {metric.number: 1_000 for metric in made[METRIC.name]}
        achieved = {one.number: 1_000 for one in made[ACHIEVEMENT.name][1:]}
        attributes = {one.key: "x" * 100 for one in made[ATTRIBUTE.name] if one.type == "user"}
        return msgspec.structs.replace(
            state,
            totals={**state.totals, **totals},
            points={one.number: 1_000_000 for one in made[POINTS.name]},
            profile=msgspec.structs.replace(state.profile, attributes=attributes),
            achieved=achieved,
        )

    return also


HISTORY = {
    "metric_days": """
        INSERT INTO metric_days SELECT {space}, '{user}', m, current_date - d, 1
        FROM generate_series({metric}, {metric} + 49) m, generate_series(0, {days}) d ON CONFLICT DO NOTHING""",
    "point_days": """
        INSERT INTO point_days SELECT {space}, '{user}', p, current_date - d, 1
        FROM generate_series({system}, {system} + 19) p, generate_series(0, {days}) d""",
    "point_awards": """
        INSERT INTO point_awards (space_id, id, user_id, system, cause, awarded, total, at_ms, day, boosts)
        SELECT {space}, gen_random_uuid(), '{user}', {system}, {trigger} + d % 1000, 1, d,
               extract(epoch FROM now() - d * interval '1 hour') * 1000, current_date - d / 24, '{{}}'
        FROM generate_series(1, 100000) d""",
    "user_points": """
        INSERT INTO user_points SELECT space_id, {system}, id, (random() * 10000)::bigint FROM users
        WHERE space_id = {space} ON CONFLICT DO NOTHING""",
    "events": """
        INSERT INTO events (space_id, id, user_id, metric, units, at_ms, received_at, day, late, attributes)
        SELECT {space}, gen_random_uuid(), '{user}', {metric}, 1,
               extract(epoch FROM now() - d * interval '50 minutes') * 1000, now(),
               (now() - d * interval '50 minutes')::date, false,
               jsonb_build_object('e0', 'lesson ' || d % {values}, 'e1', repeat('x', 500))
        FROM generate_series(1, {events}) d""",
    "streak_periods": """
        INSERT INTO streak_periods
        SELECT {space}, '{user}', 0, (current_date - date '0001-01-01') + 1 - d, {days} - d, false
        FROM generate_series(1, {days}) d ON CONFLICT DO NOTHING""",
    "place_days": """
        INSERT INTO place_days
        SELECT {space}, '{user}', current_date - d, jsonb_object_agg(b || ':', ARRAY[1, d]),
               jsonb_object_agg(b || ':', ARRAY[2, d - 1])
        FROM generate_series({board}, {board} + 299) b, generate_series(0, 400) d GROUP BY d""",
    "board_fills": """
        INSERT INTO board_fills (space_id, leaderboard, filled_at)
        SELECT {space}, b, now() FROM generate_series({board}, {board} + 299) b ON CONFLICT DO NOTHING""",
    "final_runs": """
        INSERT INTO final_runs (space_id, leaderboard, run, start_day, end_day, final_at, participants, cleared_at)
        SELECT {space}, {board}, to_char(current_date - d, 'YYYYMMDD'), current_date - d, current_date - d, now(),
               (SELECT count(*) FROM users WHERE space_id = {space}), now()
        FROM generate_series(5, 400) d""",
    "run_standings": """
        INSERT INTO run_standings (space_id, leaderboard, run, grp, place, rank, user_id, value, reached_ms, name)
        SELECT {space}, {board}, to_char(current_date - 5, 'YYYYMMDD'), '', row_number() OVER (ORDER BY id),
               row_number() OVER (ORDER BY id), id, 5, 1, repeat('n', 255) FROM users WHERE space_id = {space}""",
    "achievement_completions": """
        INSERT INTO achievement_completions
        SELECT {space}, a, '{user}', extract(epoch FROM now()) * 1000, false
        FROM generate_series({achievement}, {achievement} + 999) a""",
    "user_facts": """
        INSERT INTO user_facts
        SELECT {space}, '{user}', extract(epoch FROM now() - d * interval '1 hour') * 1000,
               (ARRAY['level', 'boost_started', 'boost_finished'])[1 + d % 3],
               CASE d % 3 WHEN 0 THEN {level} + d % 1000 ELSE {boost} + d END, {system}
        FROM generate_series(1, 100000) d""",
    "audit_log": """
        INSERT INTO audit_log (space_id, actor, action, kind, item, before, after)
        SELECT {space}, 'somebody (key)', 'update', 'achievement', '{user}',
               jsonb_build_object('userId', '{user}', 'name', repeat('a', 250), 'parts', (
                   SELECT jsonb_agg(md5(i::text || n)) FROM generate_series(1, 2000) i)),
               jsonb_build_object('userId', '{user}', 'name', repeat('b', 250), 'parts', (
                   SELECT jsonb_agg(md5(n || i::text)) FROM generate_series(1, 2000) i))
        FROM generate_series(1, {audit}) n""",
}


async def _history(stack: Stack, made: dict[str, list[Any]]) -> None:
    space = stack.services.directory.production
    names = {
        "space": space.id,
        "user": VETERAN,
        "days": YEARS_DAYS,
        "metric": made[METRIC.name][0].number,
        "system": made[POINTS.name][0].number,
        "trigger": made[TRIGGER.name][0].number,
        "board": made[LEADERBOARD.name][0].number,
        "achievement": made[ACHIEVEMENT.name][0].number,
        "level": made[LEVEL.name][0].number,
        "boost": made[BOOST.name][0].number,
        "values": VALUES,
        "events": EVENTS,
        "audit": AUDIT_ROWS,
    }
    connection = await connect(stack)
    try:
        await connection.execute("SET statement_timeout = 0")
        for table, statement in tqdm(HISTORY.items(), desc="history", unit="table"):
            await connection.execute(statement.format(**names), timeout=3_600)
            await connection.execute(f"ANALYZE {table}")
    finally:
        await connection.close()
