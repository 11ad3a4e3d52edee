"""What is said about ranks agrees everywhere, for every tie rule × order × grouping: the answer to an event, page,
rows around a user, friends, a user's places, groups, a rebuilt Redis, final standings, and a plain oracle.

One metric moves 36 leaderboards at once; the oracle sorts lists.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from itertools import product
from typing import Any

import httpx
import pytest

from podium.jobs.finals import Finals
from podium.services import Services
from podium.writebehind.rebuild import rebuild
from tests.backfills import backfill
from tests.conftest import SettableClock
from tests.integration.test_boards import DAY_MS, flush, get, make, score
from tests.seeds import seeds

TIES, ORDERS = ("ordinal", "competition", "dense"), ("desc", "asc")
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "breakdown": {"breakdown": True},
    "sum": {"aggregate": "sum"},
    "average": {"aggregate": "average", "minMembers": 2},
    "max": {"aggregate": "max"},
    "top": {"aggregate": "top", "aggregateTop": 2},
}
USERS = [f"u{number}" for number in range(7)]
CITIES = (None, "Zürich", "Zug")
"""In this order percent-encoded, in the other as names."""
EVENTS = 45
Entry = tuple[str, float, int]
"""Who, value, when it was reached (0 for groups)."""


def ranked(entries: list[Entry], tie: str, order: str) -> list[tuple[int, str, float]]:
    """Rank, who and value, best first."""
    sign = -1 if order == "desc" else 1
    ordered = sorted(entries, key=lambda entry: (sign * entry[1], entry[2], entry[0]))
    values = [value for _, value, _ in ordered]
    ranks: dict[str, Callable[[int], int]] = {
        "ordinal": lambda place: place + 1,
        "competition": lambda place: values.index(values[place]) + 1,
        "dense": lambda place: sorted(set(values), key=values.index).index(values[place]) + 1,
    }
    return [(ranks[tie](place), who, value) for place, (who, value, _) in enumerate(ordered)]


class Oracle:
    """All scores, as a list would have them."""

    def __init__(self) -> None:
        self.scores: dict[str, tuple[float, int]] = {}
        self.cities: dict[str, str | None] = {}

    def add(self, user: str, value: float, city: str | None, at_ms: int) -> None:
        old, reached = self.scores.get(user, (0.0, at_ms))
        self.scores[user] = (old + value, at_ms if value or user not in self.scores else reached)
        self.cities[user] = city

    def users(self, kind: str, city: str | None) -> list[Entry]:
        """Who stands on a board: that of all, or that of a city."""
        return [
            (user, *score)
            for user, score in self.scores.items()
            if (kind != "breakdown" and city is None) or (city is not None and self.cities[user] == city)
        ]

    def groups(self, kind: str, order: str) -> list[Entry]:
        options = KINDS[kind]
        members = defaultdict(list)
        for user, (value, _) in self.scores.items():
            if (city := self.cities[user]) is not None:
                members[city].append(value)
        found = []
        for city, values in members.items():
            values.sort(reverse=order == "desc")
            best = values[: options.get("aggregateTop", 10)]
            value = {
                "sum": sum(values),
                "average": sum(values) / len(values),
                "max": values[0],
                "top": sum(best) / len(best),
            }[options["aggregate"]]
            if len(values) >= options.get("minMembers", 1):
                found.append((city, value, 0))
        return found


@pytest.fixture
async def keys(http: httpx.AsyncClient, clock: SettableClock) -> list[tuple[str, str, str, str]]:
    """The leaderboards: key, kind, tie rule, order. They end today, and are old enough to become final then."""
    clock.now_ms -= 2 * DAY_MS
    [metric] = await make(http, "metrics", {"name": "Words", "key": "words"})
    [city] = await make(http, "attributes", {"name": "City", "key": "city", "type": "user"})
    common = {"rankBy": "metric", "metricId": metric["id"], "status": "active", "start": "2026-11-01"}
    made = []
    for kind, tie, order in product(KINDS, TIES, ORDERS):
        key = f"{kind}-{tie}-{order}"
        options = dict(KINDS[kind])
        grouping = {"breakdownAttributes": [city["id"]]} if options.pop("breakdown", False) else {}
        if options:
            grouping = {"groupBy": city["id"], **options}
        rules = {"tieRule": tie, "order": order, "end": "2026-11-23", **grouping}
        await make(http, "leaderboards", {"name": key, "key": key, **common, **rules})
        made.append((key, kind, tie, order))
    clock.now_ms += 2 * DAY_MS
    return made


def rows(rankings: list[dict[str, Any]], value: str = "value") -> list[tuple[int, str, float]]:
    return [(row["rank"], row.get("userId", row.get("group")), pytest.approx(row[value])) for row in rankings]


async def check_answer(oracle: Oracle, keys: Any, told: dict[str, Any], user: str) -> None:
    """The answer to an event is the place after it; it names the boards that it changed."""
    for key, kind, tie, order in [entry for entry in keys if told]:
        city = oracle.cities[user]
        if kind == "breakdown" and city is None:
            assert told.get(key, {"rank": None})["rank"] is None
            continue
        table = ranked(oracle.users(kind, city if kind == "breakdown" else None), tie, order)
        assert [told[key]["rank"]] == [rank for rank, who, _ in table if who == user], key
        if "aggregate" in KINDS[kind] and city is not None:
            groups = [
                (rank, pytest.approx(value))
                for rank, who, value in ranked(oracle.groups(kind, order), tie, order)
                if who == city
            ]
            group = told[key]["group"]
            assert [(group["rank"], group["value"])] == (groups or [(None, None)]), key


async def check_reads(oracle: Oracle, keys: Any, http: httpx.AsyncClient) -> None:
    """Pages, rows around users, friends, own places and groups say the same."""
    for key, kind, tie, order in keys:
        for city in CITIES:
            if (city is None) is (kind == "breakdown") or (city is not None and kind == "plain"):
                continue
            if city is not None and kind != "breakdown":
                continue
            filters = {} if city is None else {"userAttributes": f"city:{city}"}
            table = ranked(oracle.users(kind, city), tie, order)
            page = (await get(http, key, limit=100, **filters))["rankings"]
            assert rows(page, "exactValue") == table, key
            friends = (await get(http, f"{key}/users", ids=",".join(USERS), **filters))["rankings"]
            assert [(row["overallRank"], row["userId"], row["value"]) for row in friends] == table, key
        for user in USERS[:2]:
            if user in oracle.scores and (kind != "breakdown" or oracle.cities[user] is not None):
                own = oracle.cities[user] if kind == "breakdown" else None
                table = ranked(oracle.users(kind, own), tie, order)
                place = [who for _, who, _ in table].index(user)
                around = (await get(http, f"{key}/around/{user}", k=1))["rankings"]
                assert rows(around) == table[max(0, place - 1) : place + 2], key
                mine = (await http.get(f"/v1/users/{user}/leaderboards/{key}")).json()
                assert (mine["rank"], mine["exactValue"]) == (table[place][0], table[place][2]), key
        if "aggregate" in KINDS[kind]:
            groups = (await get(http, f"{key}/groups", limit=100))["rankings"]
            assert rows(groups) == ranked(oracle.groups(kind, order), tie, order), key


@seeds(2)
async def test_everything_agrees(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, keys: Any, seed: int
) -> None:
    chance, oracle = random.Random(seed), Oracle()
    cities: dict[str, str | None] = {}
    for number in range(EVENTS):
        user = chance.choice(USERS)
        if user not in cities or chance.random() < 0.3:
            cities[user] = chance.choice(CITIES)
        value = chance.choice((-1, 0, 1, 1, 2, 3))
        told = await score(http, clock, user, value, city=cities[user])
        oracle.add(user, value, cities[user], clock.now_ms)
        assert told or not value
        await check_answer(oracle, keys, told, user)
        if number % 15 == 7:
            await check_reads(oracle, keys, http)
    await check_reads(oracle, keys, http)

    await flush(services)
    await rebuild(services.pool, services.redis, services.directory.production, clock, force=True)
    await services.directory.refresh()
    await check_reads(oracle, keys, http)

    # Over: Postgres alone ranks now, by itself.
    await backfill(services)
    clock.now_ms += 2 * DAY_MS
    finals = Finals(services.pool, services.redis, services.directory, services.directory.production, clock)
    await finals.round()
    await flush(services)
    await finals.round()
    assert await services.pool.fetchval("SELECT count(*) FROM final_runs") == len(keys)
    await check_reads(oracle, keys, http)
