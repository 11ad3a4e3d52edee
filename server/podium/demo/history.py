"""The demo's history: two months of events, so that the console has something to show on the first day."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

import httpx

from podium.clock import Clock, system_clock
from podium.demo.catalog import METRIC, PEOPLE, Person
from podium.game.errors import StartError
from podium.game.periods import at

DAYS = 60
LEA = Person("lea", "Léa Moreau", "London", "Europe/Paris")
"""A user with a lost streak to restore: 42 days in a row, and then more days without events than freezes."""
LEAS_DAYS, LOST_AGO = 42, 8
_BATCH = 1_000


async def make_history(url: str, key: str, clock: Clock = system_clock) -> None:
    """Post the history, unless it was posted before.

    Raises:
        StartError: The server refuses the events.
    """
    async with httpx.AsyncClient(base_url=url, headers={"X-API-KEY": key}, timeout=60) as client:
        if (await client.get(f"/v1/users/{LEA.id}")).status_code != 404:
            return
        events = sorted(_events(clock()), key=lambda event: str(event["timestamp"]))
        for first in range(0, len(events), _BATCH):
            answer = await client.post("/admin/v1/metrics/events", json=events[first : first + _BATCH])
            if answer.status_code != 202:
                raise StartError(f"the demo's history cannot be posted: {answer.text[:200]}")


def first_day(clock: Clock = system_clock) -> date:
    """Return the Monday on or before the first day of the history, the start of the demo's leaderboards."""
    day = at(clock()).date() - timedelta(days=DAYS)
    return day - timedelta(days=day.weekday())


def _profile(person: Person) -> dict[str, Any]:
    """Return the user object of an event."""
    user: dict[str, Any] = {"id": person.id, "name": person.name, "email": f"{person.id}@example.com"}
    user["attributes"] = {"city": person.city, "plan": "pro" if len(person.name) % 3 else "free"}
    if person.tz is not None:
        user |= {"tz": person.tz, "deviceTokens": [f"demo-phone-of-{person.id}"]}
    return user


def _events(now_ms: int) -> list[dict[str, Any]]:
    dice = random.Random(1)  # noqa: S311 - for show, and the same each time
    yesterday = at(now_ms).replace(hour=9, minute=0, second=0, microsecond=0) - timedelta(days=1)
    events = []
    for person in (*PEOPLE, LEA):
        steady = dice.uniform(0.6, 0.98)
        for ago in range(DAYS):
            writes = LOST_AGO - 1 <= ago < LOST_AGO - 1 + LEAS_DAYS if person is LEA else dice.random() < steady
            if writes:
                when = yesterday - timedelta(days=ago, minutes=dice.randint(0, 500))
                words = round(dice.expovariate(1 / 300)) + 100
                user = _profile(person)
                event = {"key": METRIC, "user": user, "value": words, "timestamp": when.isoformat()}
                events.append({**event, "idempotencyKey": f"history {ago}"})
    return events
