"""The page of a user: numbers, metrics, the streak and places."""

from __future__ import annotations

import html
import re
from datetime import date, timedelta
from typing import Any

import httpx
import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import Response

from podium.api.leaderboards import app
from podium.console.pages import user as user_page
from podium.game.catalog import CatalogIndex
from podium.live.channels import PersonalChannel, parse_channel
from podium.services import Services
from tests.conftest import SettableClock
from tests.integration.test_boards import DAY_MS, flush, make
from tests.integration.test_console import form, game, signed_in, write


async def see(console: httpx.AsyncClient, user: str = "ann", **query: Any) -> str:
    answer = await console.get(f"/console/users/{user}", params=query or None)
    assert answer.status_code == 200, answer.text
    return answer.text


def section(page: str, name: str) -> str:
    """The text of a section of the page."""
    found = page.partition(f'id="{name}"')[2].partition("</section>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", found).split())


async def post(http: httpx.AsyncClient, metric: str, value: float, user: str = "ann") -> None:
    answer = await http.post(f"/v1/metrics/{metric}/event", json={"user": {"id": user}, "value": value})
    assert answer.status_code == 201, answer.text


async def test_numbers_have_the_decimals_of_their_metric(
    http: httpx.AsyncClient, console: httpx.AsyncClient, services: Services
) -> None:
    [fine] = await make(http, "metrics", {"name": "Fine", "key": "fine", "decimals": 6})
    goal = {"name": "Much", "trigger": "metric", "metricId": fine["id"], "status": "active"}
    await make(http, "achievements", {**goal, "metricValue": 1_234_567.25})
    board = {"rankBy": "metric", "metricId": fine["id"], "status": "active", "start": "2026-01-01"}
    await make(http, "leaderboards", {"name": "All", "key": "all", **board})
    await post(http, "fine", 0.00025)
    await flush(services)
    page = await see(console)
    assert "Fine : 0.00025" in section(page, "metrics")
    assert '<td class="n">0.00025</td>' in page  # the table behind the chart
    assert "event Fine 0.00025" in section(page, "timeline")
    assert "All 1 0.00025" in section(page, "places")
    assert "1,234,567.25 Fine" in section(page, "achievements")

    [event] = (await http.get("/admin/v1/events", params={"userId": "ann"})).json()["events"]
    path = f"/console/users/ann/actions/event?event={event['id']}"
    sent = await form(console, path, what="correct", value="1000.000125", step="look")
    seen = await console.post(path, data=sent)
    assert "The event's 0.00025 becomes 1,000.000125." in seen.text.replace("&#39;", "'")


async def test_the_metrics_that_a_user_has_most_of_have_charts(
    http: httpx.AsyncClient, console: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_page, "CHARTS", 2)
    names = ("A little", "Nothing", "Came and went", "Much", "Below")
    await make(http, "metrics", *({"name": name, "key": name.lower().replace(" ", "-")} for name in names))
    events = (("a-little", 1), ("came-and-went", 5), ("came-and-went", -5), ("much", 9), ("below", -7))
    for metric, value in events:
        await post(http, metric, value)
    await flush(services)
    shown = (await see(console)).partition('id="metrics"')[2].partition("</section>")[0]
    assert re.findall(r"<h3><bdi>(.*?)</bdi>: (.*?)</h3>", shown) == [("Much", "9"), ("Below", "-7")]
    assert re.findall(r"<li><bdi>(.*?)</bdi>: (.*?)</li>", shown) == [("A little", "1"), ("Came and went", "0")]


async def calendar(console: httpx.AsyncClient, services: Services) -> list[str]:
    """Return the calendar's texts on its last three days, the oldest first."""
    await flush(services)
    kinds = re.findall(r'<rect class="day (\w+)[^"]*" x[^>]*><title>[^:]*: ([^<]*)<', await see(console))
    return [f"{kind}: {text}" for kind, text in kinds[-3:]]


async def test_the_day_on_which_support_ended_a_streak(
    http: httpx.AsyncClient,
    console_url: str,
    admin_key: str,
    services: Services,
    clock: SettableClock,
) -> None:
    await game(http)
    await write(http)
    clock.advance(DAY_MS)
    await write(http)
    clock.advance(DAY_MS)
    async with signed_in(console_url, admin_key) as console:
        assert await calendar(console, services) == ["met: extended to 1", "met: extended to 2", "none: not yet"]
        await http.post("/admin/v1/streaks/reset", json={"users": [{"id": "ann"}]})
        assert (await calendar(console, services))[-1] == "lost: lost at 2"
        await write(http)
        assert (await calendar(console, services))[-1] == "met: lost at 2, extended to 1"
    clock.advance(DAY_MS)
    async with signed_in(console_url, admin_key) as console:
        days = await calendar(console, services)
        assert days[1:] == ["met: lost at 2, extended to 1", "none: not yet"]


async def test_the_first_day_of_the_calendar_is_what_it_was(
    http: httpx.AsyncClient,
    console_url: str,
    admin_key: str,
    services: Services,
    clock: SettableClock,
) -> None:
    await game(http)
    await write(http)
    clock.advance(DAY_MS)
    today = date(2026, 11, 24)
    pause = {"userId": "ann", "start": today.isoformat(), "end": (today + timedelta(days=500)).isoformat()}
    await http.post("/admin/v1/streaks/pauses", json={"pauses": [pause]})
    clock.advance(400 * DAY_MS)
    async with signed_in(console_url, admin_key) as console:
        await flush(services)
        days = re.findall(r'<rect class="day (\w+)[^"]*" x[^>]*><title>', await see(console))
    assert (len(days), set(days)) == (user_page.HEAT_DAYS, {"paused"})


async def test_a_place_in_a_group_is_followed_in_that_group(
    http: httpx.AsyncClient, console: httpx.AsyncClient, services: Services
) -> None:
    await game(http)
    keys = await make(http, "attributes", *({"name": key, "key": key, "type": "user"} for key in ("city", "team")))
    [words] = (await http.get("/admin/v1/metrics")).json()
    board = {"rankBy": "metric", "metricId": words["id"], "status": "active", "start": "2026-01-01"}
    towns = {"name": "T", "key": "t", **board, "breakdownAttributes": [one["id"] for one in keys]}
    await make(http, "leaderboards", towns)
    who = {"id": "ann", "attributes": {"city": 'New "York", & NY', "team": "ro#t"}}
    await http.post("/v1/metrics/words/event", json={"user": who, "value": 5})
    await flush(services)
    page = await see(console)
    [(key, group)] = re.findall(r'data-rank="(\w+)" data-group="([^"]*)"', page)
    name = parse_channel(f"leaderboard:{key}{html.unescape(group)}#ann")
    assert isinstance(name, PersonalChannel)
    assert name.board.attributes == who["attributes"]
    assert re.findall(r'data-rank="(\w+)">', page) == ["all"]  # one that is not broken down has no group


async def test_a_leaderboard_that_comes_or_goes_meanwhile(
    http: httpx.AsyncClient, console: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    await game(http)
    await write(http)
    await flush(services)
    space = services.directory.production
    with_board, [board] = space.index, space.index.catalog.leaderboards
    without = CatalogIndex(msgspec.structs.replace(with_board.catalog, leaderboards=()))
    ask = app.get_user_leaderboards
    for before, after, named in ((without, with_board, True), (with_board, without, False)):

        async def meanwhile(request: Request, before: Any = before, after: Any = after) -> Response:
            space.index = with_board
            answer = await ask(request)
            space.index = after
            return answer

        monkeypatch.setattr(app, "get_user_leaderboards", meanwhile)
        space.index = before
        assert (f'data-rank="{board.key}"' in await see(console)) is named
    space.index = with_board
