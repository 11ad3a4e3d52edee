"""Whatever is done to users over history, in whatever order: page, ranking of groups, Postgres and a rebuilt Redis
say what a plain model says. Runs of which states have let go are among those that are looked at."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podium.services import Services
from podium.writebehind.rebuild import rebuild
from tests.integration.test_boards import flush, get
from tests.integration.test_older_runs import KEYS, TODAY, boards, flushing

__all__ = ["boards"]  # the fixture

DAYS = [str(TODAY - timedelta(days=days)) for days in (35, 20, 5, 0)]
"""Of the first two states let go; the last one is today."""
USERS, TEAMS = ("han", "ian"), ("red", "blue")
Said = dict[str, dict[str, float]]
"""By leaderboard, day and group what users have; of groups their sums."""

_user, _key = st.sampled_from(USERS), st.sampled_from(KEYS)
_step = st.one_of(
    st.tuples(st.just("import"), _user, st.sampled_from((None, *TEAMS)), st.integers(1, 9)),
    st.tuples(st.just("post"), _user, st.sampled_from((None, *TEAMS)), st.integers(1, 9)),
    st.tuples(st.just("move"), _user, st.sampled_from(TEAMS)),
    st.tuples(st.just("correct"), _user, st.integers(0, 9), st.integers(1, 9)),
    st.tuples(st.just("undo"), _user, st.integers(0, 9)),
    st.tuples(st.just("remove"), _user, _key, st.sampled_from((None, *DAYS)), st.booleans()),
    st.tuples(st.just("erase"), _user),
)
_examples = itertools.count()
EXAMPLES = 4
"""Each takes a second: a rebuild, and a hundred requests."""


@dataclass
class Event:
    id: str
    day: str
    value: float


@dataclass
class Person:
    """A user as the model has it: ``scores`` by leaderboard and day, ``kept`` by day and team what was scored for
    the groups that keep it."""

    team: str | None = None
    events: list[Event] = field(default_factory=list)
    scores: dict[tuple[str, str], float] = field(default_factory=dict)
    kept: dict[tuple[str, str], float] = field(default_factory=dict)
    barred: set[tuple[str, str | None]] = field(default_factory=set)

    def score(self, day: str, value: float) -> None:
        for key in KEYS:
            if (key, None) in self.barred or (key, day) in self.barred:
                continue
            self.scores[key, day] = self.scores.get((key, day), 0) + value
            if key == "kept" and self.team is not None:
                self.kept[day, self.team] = self.kept.get((day, self.team), 0) + value

    def correct(self, day: str, change: float) -> None:
        """Only where the user stands."""
        for key in KEYS:
            if (key, day) in self.scores:
                self.scores[key, day] += change
                if key == "kept" and self.team is not None and (day, self.team) in self.kept:
                    self.kept[day, self.team] += change

    def remove(self, key: str, day: str | None, *, bar: bool) -> None:
        for one in DAYS if day is None else [day]:
            self.scores.pop((key, one), None)
            if key == "kept":
                for team in TEAMS:
                    self.kept.pop((one, team), None)
        if bar:
            self.barred.add((key, day))


class World:
    """What is done, to the server and to the model. Each example has users and teams of its own."""

    def __init__(self, http: httpx.AsyncClient, services: Services, boards: dict[str, str], number: int) -> None:
        self.http, self.services, self.boards, self.number = http, services, boards, number
        self.people: dict[str, Person] = {}

    def named(self, name: str) -> str:
        return f"{name}{self.number}"

    def person(self, user: str, team: str | None) -> dict[str, Any]:
        attributes = {} if team is None else {"attributes": {"team": self.named(team)}}
        return {"id": self.named(user), **attributes}

    async def do(self, what: str, user: str, *more: Any) -> None:
        known = self.people.get(user)
        if what == "import":
            if known is None:
                await self.import_(user, *more)
        elif what == "post":
            await self.post(user, *more)
        elif known is not None:
            await getattr(self, what)(known, user, *more)

    async def import_(self, user: str, team: str | None, value: float) -> None:
        items = [
            {"key": "words", "user": self.person(user, team), "value": value, "timestamp": f"{day}T01:00:00Z"}
            for day in DAYS
        ]
        assert (await self.http.post("/admin/v1/metrics/events", json=items)).status_code == 202
        person = self.people[user] = Person(team)
        await flush(self.services)
        rows = await self.services.pool.fetch(
            "SELECT id, day FROM events WHERE user_id = $1 ORDER BY at_ms", self.named(user)
        )
        # Those of a user of the same id who was erased are gone.
        for row, day in zip(rows, DAYS, strict=True):
            assert str(row["day"]) == day
            person.events.append(Event(str(row["id"]), day, value))
            person.score(day, value)

    async def post(self, user: str, team: str | None, value: float) -> None:
        body = {"user": self.person(user, team), "value": value}
        answer = await self.http.post("/v1/metrics/words/event", json=body)
        assert answer.status_code == 201, answer.text
        person = self.people.setdefault(user, Person())
        person.team = team or person.team
        person.events.append(Event(answer.json()["eventId"], DAYS[-1], value))
        person.score(DAYS[-1], value)

    async def move(self, person: Person, user: str, team: str) -> None:
        body = {"attributes": {"team": self.named(team)}}
        answer = await self.http.patch(f"/v1/users/{self.named(user)}", json=body)
        assert answer.status_code == 200, answer.text
        person.team = team

    async def correct(self, person: Person, user: str, which: int, value: float) -> None:
        if person.events:
            event = person.events[which % len(person.events)]
            answer = await self.http.patch(f"/admin/v1/events/{event.id}", json={"value": value})
            assert answer.status_code == 200, answer.text
            person.correct(event.day, value - event.value)
            event.value = value

    async def undo(self, person: Person, user: str, which: int) -> None:
        if person.events:
            event = person.events.pop(which % len(person.events))
            answer = await self.http.delete(f"/admin/v1/events/{event.id}")
            assert answer.status_code == 200, answer.text
            person.correct(event.day, -event.value)

    async def remove(self, person: Person, user: str, key: str, day: str | None, bar: bool) -> None:
        query = {"ids": self.named(user), **({"run": day} if day else {}), **({"block": "true"} if bar else {})}
        answer = await self.http.delete(f"/admin/v1/leaderboards/{self.boards[key]}/users", params=query)
        assert answer.json()["removed"] == [self.named(user)]
        person.remove(key, day, bar=bar)

    async def erase(self, person: Person, user: str) -> None:
        answer = await self.http.delete("/admin/v1/users", params={"ids": self.named(user)})
        assert answer.json()["deleted"] == [{"id": self.named(user)}]
        await flush(self.services)
        del self.people[user]

    def wanted(self) -> Said:
        """What the model says."""
        said: Said = defaultdict(dict)
        for name, person in self.people.items():
            user, team = self.named(name), person.team and self.named(person.team)
            for (key, day), value in person.scores.items():
                if key != "split":
                    said[f"{key} {day}"][user] = value
                elif team:
                    said[f"split {day} {team}"][user] = value
                if key == "teams" and team:
                    groups = said[f"groups of teams {day}"]
                    groups[team] = groups.get(team, 0) + value
            for (day, of), value in person.kept.items():
                groups = said[f"groups of kept {day}"]
                groups[self.named(of)] = groups.get(self.named(of), 0) + value
        return dict(said)

    async def in_redis(self) -> Said:
        """What the API says, of this example."""
        users, teams = {self.named(user) for user in USERS}, [self.named(team) for team in TEAMS]
        said: Said = {}
        for day in DAYS:
            for key in ("plain", "teams", "kept"):
                rows = (await get(self.http, key, run=day, limit=100))["rankings"]
                said[f"{key} {day}"] = {row["userId"]: row["value"] for row in rows if row["userId"] in users}
            for key in ("teams", "kept"):
                rows = (await get(self.http, f"{key}/groups", run=day, limit=100))["rankings"]
                said[f"groups of {key} {day}"] = {
                    row["group"]: row["value"] for row in rows if row["group"] in teams
                }
            for team in teams:
                rows = (await get(self.http, "split", run=day, userAttributes=f"team:{team}"))["rankings"]
                said[f"split {day} {team}"] = {row["userId"]: row["value"] for row in rows}
        return {place: found for place, found in said.items() if found}

    async def in_postgres(self) -> Said:
        """Return the rows of the view ``standings`` for this example."""
        keys = {one.number: one.key for one in self.services.directory.production.index.catalog.leaderboards}
        rows = await self.services.pool.fetch(
            "SELECT leaderboard, run, grp, user_id, value FROM standings WHERE user_id = ANY ($1::text[])",
            [self.named(user) for user in USERS],
        )
        said: Said = defaultdict(dict)
        for leaderboard, run, group, user, value in rows:
            key, day = keys[leaderboard], str(date.fromisoformat(run))
            if not group:
                said[f"{key} {day}"][user] = value
            elif key == "split":
                said[f"split {day} {group}"][user] = value
            else:
                groups = said[f"groups of {key} {day}"]
                groups[group] = groups.get(group, 0) + value
        return dict(said)


@pytest.fixture(autouse=True)
async def worker(services: Services) -> AsyncIterator[None]:
    async with flushing(services):
        yield


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(_step, min_size=3, max_size=12))
async def test_everything_says_what_a_model_says(
    http: httpx.AsyncClient, services: Services, boards: dict[str, str], steps: list[Any]
) -> None:
    world = World(http, services, boards, next(_examples))
    for user, team in zip(USERS, TEAMS, strict=True):
        await world.do("import", user, team, 5)
    for step in steps:
        await world.do(*step)
    wanted = world.wanted()
    assert await world.in_redis() == wanted
    await flush(services)
    assert await world.in_postgres() == wanted
    await rebuild(services.pool, services.redis, services.directory.production, services.clock, force=True)
    await services.directory.refresh()
    assert await world.in_redis() == wanted
