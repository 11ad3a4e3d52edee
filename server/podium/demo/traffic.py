"""Simulate users who post events, so that the demo page moves."""

from __future__ import annotations

import asyncio
import random

import httpx

from podium.clock import system_clock
from podium.demo.catalog import METRIC, PEOPLE, YOU, Person
from podium.game.ids import new_uuid7

PAUSE_S = (0.15, 1.2)
"""Least and most seconds between two events: lively, and slow enough to follow."""
AWAY_S = 1.0
"""Seconds before another attempt if the server can't be reached, and after an event that it refused."""


async def play(url: str, key: str) -> None:
    """Post events until cancelled. While the server is away, try again; leave out an event that it refuses, as the
    demo's metric or the key may have been changed by whoever tries things out."""
    dice = random.Random()  # noqa: S311 - for show
    async with httpx.AsyncClient(base_url=f"{url}/v1", headers={"X-API-KEY": key}, timeout=5) as client:
        # One event of everybody first, so that the board is full when the page opens. The visitor starts at 0.
        for person in (*PEOPLE, YOU):
            await _write(client, person, 0 if person is YOU else dice.randint(100, 900))
        while True:
            person = dice.choices(PEOPLE, weights=range(len(PEOPLE) + 20, 20, -1))[0]
            await _write(client, person, round(dice.expovariate(1 / 120)) + 5)
            await asyncio.sleep(dice.uniform(*PAUSE_S))


async def _write(client: httpx.AsyncClient, person: Person, words: int) -> None:
    body = {"user": {"id": person.id, "name": person.name}, "value": words}
    key = {"Idempotency-Key": new_uuid7(system_clock())}
    while True:
        try:
            answer = await client.post(f"/metrics/{METRIC}/event", json=body, headers=key)
        except httpx.TransportError:
            await asyncio.sleep(AWAY_S)
            continue
        if answer.is_success:
            return
        await asyncio.sleep(AWAY_S)
        if answer.is_client_error:
            return
