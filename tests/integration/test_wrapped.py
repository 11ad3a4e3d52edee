"""The year in review, against the list of events."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx

from podium.api.wrapped.queries import ATTRIBUTES_MAX
from tests.integration.test_boards import make


async def post(http: httpx.AsyncClient, items: list[dict[str, Any]]) -> None:
    for first in range(0, len(items), 1_000):
        answer = await http.post("/admin/v1/metrics/events", json=items[first : first + 1_000])
        assert answer.status_code == 202, answer.text


async def test_sums_of_day_week_month_and_year(http: httpx.AsyncClient) -> None:
    await make(http, "attributes", {"name": "Genre", "key": "genre", "type": "event"})
    await make(http, "metrics", {"name": "Words", "key": "words"}, {"name": "Pages", "key": "pages"})
    events = [  # the clock of the tests stands in November 2026
        (date(2025, 12, 30), "words", 100, "crime"),  # before the year: in totals only
        (date(2026, 2, 3), "words", 5, "crime"),  # a Tuesday
        (date(2026, 2, 3), "words", 7, "scifi"),
        (date(2026, 2, 3), "pages", 2, None),
        (date(2026, 2, 6), "words", -3, "crime"),
        (date(2026, 2, 20), "words", 11, None),
        (date(2026, 7, 1), "words", 50, "scifi"),
    ]
    await post(
        http,
        [
            {
                "key": metric,
                "user": {"id": "ann"},
                "value": value,
                "timestamp": f"{day}T12:00:00Z",
                "attributes": {"genre": genre} if genre else {},
            }
            for day, metric, value, genre in events
        ],
    )
    activity = (await http.get("/v1/users/ann/wrapped", params={"year": 2026})).json()["activity"]
    assert (activity["daysActive"], activity["weeksActive"], activity["monthsActive"]) == (4, 3, 2)
    spans = {
        "mostActiveDay": (date(2026, 2, 3), date(2026, 2, 3)),
        "mostActiveWeek": (date(2026, 2, 2), date(2026, 2, 8)),
        "mostActiveMonth": (date(2026, 2, 1), date(2026, 2, 28)),
        "entireYear": (date(2026, 1, 1), date(2026, 12, 31)),
    }
    for name, (first, last) in spans.items():
        for metric in ("words", "pages"):
            of = [one for one in events if one[1] == metric and one[0] <= last]
            shown = activity[name]["metrics"][metric]
            assert shown["currentTotal"] == sum(value for _, _, value, _ in of)
            assert shown["changeThisPeriod"] == sum(value for day, _, value, _ in of if day >= first)
            for genre in ("crime", "scifi"):
                change = sum(value for day, _, value, one in of if day >= first and one == genre)
                total = sum(value for _, _, value, one in of if one == genre)
                value = shown["byAttribute"].get("genre", {}).get(genre)
                if change:
                    assert (value["currentTotal"], value["changeThisPeriod"]) == (total, change)
                else:
                    assert value is None


async def test_a_user_with_thousands_of_attribute_values(http: httpx.AsyncClient) -> None:
    """Not one row for each comes out of Postgres: those with the greatest changes do."""
    await make(http, "attributes", {"name": "Lesson", "key": "lesson", "type": "event"})
    await make(http, "metrics", {"name": "Words", "key": "words", "decimals": 0})
    began = datetime(2026, 1, 1, tzinfo=UTC)
    many = ATTRIBUTES_MAX + 500
    await post(
        http,
        [
            {
                "key": "words",
                "user": {"id": "ann"},
                "value": 1 + i,
                "attributes": {"lesson": f"l{i}"},
                "timestamp": (began + timedelta(minutes=20 * i)).isoformat(),
            }
            for i in range(many)
        ],
    )
    year = (await http.get("/v1/users/ann/wrapped")).json()["activity"]["entireYear"]
    words = year["metrics"]["words"]
    assert words["changeThisPeriod"] == many * (many + 1) / 2
    lessons = words["byAttribute"]["lesson"]
    assert set(lessons) == {f"l{i}" for i in range(many - ATTRIBUTES_MAX, many)}
    assert lessons[f"l{many - 1}"]["changeThisPeriod"] == many
