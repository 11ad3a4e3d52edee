"""Make the dump that the upgrade test begins with, in a checkout of the release to upgrade from.

In that checkout, with a new data folder (see README.md beside this file):

    python -m server dev --data DATA --port 8099 --no-demo
    python make.py DATA PG_DUMP OUT

It needs nothing but httpx, and writes OUT.sql and OUT.json: the database, and what that release answered from it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

USERS = [("ann", "London"), ("ben", "New York"), ("chiyo", "London"), ("dima", "New York"), ("數", "London")]
ZONES = {"ann": "Europe/London", "ben": "America/New_York", "chiyo": "Asia/Tokyo"}
BOARDS = ("all-time", "daily", "fastest", "cities", "weekly-xp", "streaks")
EMAIL = "support@example.com"
FLUSH_S = 30


def main(data: Path, pg_dump: str, out: Path) -> None:
    """Play a few days, ask for everything, dump."""
    dev = json.loads((data / "dev.json").read_text())
    now = datetime.now(UTC).replace(microsecond=0)
    options: dict[str, Any] = {"base_url": dev["url"], "headers": {"X-API-KEY": dev["adminKey"]}, "timeout": 30}
    with httpx.Client(**options) as client:
        make_catalog(client, now)
        first = play(client, now) | make_account(dev)
        wait_until_flushed(client, dev)
        said = {"admin_key": dev["adminKey"], "made_at": now.isoformat(), **first, **ask(client)}
    out.with_suffix(".json").write_text(json.dumps(said, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    command = [pg_dump, "--inserts", "--rows-per-insert=100", "--no-owner", "--no-privileges", dev["databaseUrl"]]
    dumped = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    out.with_suffix(".sql").write_text("".join(statements(dumped)))


def statements(dumped: str) -> Iterator[str]:
    """Leave out what another major of Postgres, or anything but psql, doesn't take; and comments."""
    for line in dumped.splitlines(keepends=True):
        if not re.match(r"(SET |\\|--|$)", line.rstrip("\n")):
            yield line


def make_catalog(client: httpx.Client, now: datetime) -> None:
    """One of each: what moves with time, what groups, what counts."""
    start = (now - timedelta(days=10)).date().isoformat()

    def make(kind: str, *items: dict[str, Any]) -> list[dict[str, Any]]:
        answer = client.post(f"/admin/v1/{kind}", json=items).raise_for_status().json()
        assert answer["issues"] == [], answer
        created: list[dict[str, Any]] = answer["created"]
        return created

    words, laps = make("metrics", {"key": "words", "name": "Words"}, {"key": "laps", "name": "Laps"})
    [city] = make("attributes", {"key": "city", "name": "City", "type": "user"})
    streak = {"metrics": [{"key": "words", "threshold": 10}], "freezes": {"startCount": 1, "maxCount": 3}}
    client.patch("/admin/v1/streaks/settings", json=streak).raise_for_status()
    make(
        "achievements",
        {"name": "Page", "trigger": "metric", "metricId": words["id"], "metricValue": 250, "status": "active"},
        {"name": "Three days", "trigger": "streak", "streakLength": 3, "status": "active"},
    )
    trigger = {"type": "metric", "metricId": words["id"], "metricThreshold": 10, "points": 3, "status": "active"}
    [points] = make(
        "points",
        {
            "key": "xp",
            "name": "Experience",
            "triggers": [trigger],
            "levels": [{"key": "bronze", "name": "Bronze", "points": 60}],
        },
    )
    common = {"status": "active", "start": start}
    by_words = {**common, "rankBy": "metric", "metricId": words["id"]}
    by_points = {**common, "rankBy": "points", "pointsSystemId": points["id"]}
    fastest = {"metricId": laps["id"], "order": "asc", "operator": "best", "tieRule": "dense"}
    make(
        "leaderboards",
        {**by_words, "key": "all-time", "name": "All time", "public": True},
        {**by_words, "key": "daily", "name": "Daily", "runUnit": "day", "runInterval": 1},
        {**by_words, **fastest, "key": "fastest", "name": "Fastest"},
        {**by_words, "key": "cities", "name": "Cities", "groupBy": city["id"], "aggregate": "average"},
        {**by_points, "key": "weekly-xp", "name": "Weekly", "runUnit": "day", "runInterval": 7},
        {**common, "rankBy": "streak", "key": "streaks", "name": "Streaks"},
    )


def make_account(dev: dict[str, Any]) -> dict[str, Any]:
    """A person who may sign in to the console."""
    stores = {"PODIUM_DATABASE_URL": dev["databaseUrl"], "PODIUM_REDIS_URL": dev["redisUrl"]}
    command = [sys.executable, "-m", "server", "users", "create"]
    options = ["--email", EMAIL, "--name", "Sue", "--role", "support"]
    everything = os.environ | stores
    done = subprocess.run([*command, *options], check=True, capture_output=True, text=True, env=everything)
    return {"account": {"email": EMAIL, "password": done.stdout.strip()}}


def play(client: httpx.Client, now: datetime) -> dict[str, Any]:
    """Five days of events; the last one, which a test sends again, with its answer."""
    sent: dict[str, Any] = {}
    for day in range(4, -1, -1):
        for number, (user, city) in enumerate(USERS):
            if (day + number) % 4 == 3:
                continue  # a day off
            who = {"id": user, "name": user.title(), "attributes": {"city": city}}
            who |= {"tz": ZONES[user]} if user in ZONES else {}
            at = (now - timedelta(days=day, minutes=30 - number)).isoformat()
            for metric, value in (("words", 20 + 15 * number + 7 * day), ("laps", 60.5 - number % 2 - day)):
                key = f"{metric}-{day}-{user}".encode().hex()
                body = {"user": who, "value": value, "timestamp": at}
                sent = {"metric": metric, "body": body, "key": key}
                answer = client.post(
                    f"/v1/metrics/{metric}/event", json=body, headers={"Idempotency-Key": key}
                ).raise_for_status()
    assert answer.status_code == 201
    return {"event": sent, "event_id": answer.json()["eventId"]}


def wait_until_flushed(client: httpx.Client, dev: dict[str, Any]) -> None:
    """Until Postgres holds what Redis does: from there on only Postgres is looked at."""
    deadline_s = time.monotonic() + FLUSH_S
    while time.monotonic() < deadline_s:
        ready = client.get("/readyz").raise_for_status().json()
        pending = [part for part in ready["parts"].values() if part["status"] != "ok"]
        found = client.get("/v1/users/ann/metrics/words/event-summary", params=_window()).json()
        if not pending and found:
            time.sleep(2)  # several flush intervals
            return
        time.sleep(0.1)
    raise TimeoutError("the worker does not flush")


def _window() -> dict[str, str]:
    today = datetime.now(UTC).date()
    return {
        "aggregation": "daily",
        "startDate": (today - timedelta(days=6)).isoformat(),
        "endDate": today.isoformat(),
    }


def ask(client: httpx.Client) -> dict[str, Any]:
    """What a game asks for."""

    def get(path: str, **query: Any) -> Any:
        return client.get(f"/v1/{path}", params=query).raise_for_status().json()

    rankings = {
        key: get(f"leaderboards/{key}", limit=100)["rankings"] for key in BOARDS if key not in ("cities", "daily")
    }
    now = datetime.now(UTC).date()
    days = [(now - timedelta(days=days)).isoformat() for days in range(5)]
    return {
        "rankings": rankings,
        "days": {day: get("leaderboards/daily", run=day, limit=100)["rankings"] for day in days},
        "groups": get("leaderboards/cities/groups", limit=100)["rankings"],
        "streaks": {user: get(f"users/{user}/streak") for user, _ in USERS},
        "points": {user: get(f"users/{user}/points/xp")["total"] for user, _ in USERS},
        "achievements": {
            user: sorted(one["name"] for one in get(f"users/{user}/achievements")) for user, _ in USERS
        },
        "metrics": {user: get(f"users/{user}/metrics/words")["current"] for user, _ in USERS},
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
