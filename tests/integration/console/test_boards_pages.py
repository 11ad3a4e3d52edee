"""The console's pages of leaderboards: runs and groups to choose from, movers, final standings, analytics."""

# ruff: noqa: F401, F811 # fixtures of other files, by name

from __future__ import annotations

import csv
import io
import re
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from podium.jobs.finals import Finals
from podium.services import Services
from tests.backfills import backfill
from tests.conftest import SettableClock
from tests.integration.test_boards import (
    DAY_MS,
    NOON_MS,
    attributes,
    board,
    flush,
    make,
    metric,
    score,
)
from tests.integration.test_console import console, console_url

TODAY = date(2026, 11, 23)
BOARDS = "/console/leaderboards"


@pytest.fixture(autouse=True)
def noon(clock: SettableClock) -> None:
    clock.now_ms = NOON_MS


async def see(console: httpx.AsyncClient, path: str, status: int = 200, **query: Any) -> str:
    answer = await console.get(f"{BOARDS}{path}", params=query or None, follow_redirects=True)
    assert answer.status_code == status, answer.text
    return answer.text[answer.text.index("<main") :]


async def days_later(console: httpx.AsyncClient, clock: SettableClock, admin_key: str, days: int) -> None:
    """Let days pass; the session is over then."""
    clock.advance(days * DAY_MS)
    form = {"email": "", "secret": admin_key}
    answer = await console.post(
        "/console/sign-in", data=form, headers={"Origin": str(console.base_url).rstrip("/")}
    )
    assert answer.status_code == 303, answer.text


async def end(http: httpx.AsyncClient, services: Services, row: dict[str, Any]) -> None:
    await backfill(services)
    answer = await http.post(f"/admin/v1/leaderboards/{row['id']}/runs/end")
    assert answer.status_code == 200, answer.text
    await flush(services)
    space = services.directory.production
    finals = Finals(services.pool, services.redis, services.directory, space, services.clock)
    assert await finals.round() == 1


def text(html: str) -> str:
    """Return the text of a page without its markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def rows(html: str, caption: str) -> list[list[str]]:
    """The cells of the rows of the table in the region of that name."""
    table = html.partition(f'aria-label="{caption}"')[2].partition("</table>")[0]
    body = table.partition("<tbody>")[2]
    return [
        [text(cell).strip() for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.S)]
        for row in re.findall(r"<tr>(.*?)</tr>", body, re.S)
    ]


async def test_csv_has_every_digit_and_only_texts_are_guarded(
    http: httpx.AsyncClient,
    console: httpx.AsyncClient,
    services: Services,
    clock: SettableClock,
) -> None:
    [row] = await make(http, "metrics", {"name": "Words", "key": "words", "decimals": 3})
    common = {"rankBy": "metric", "metricId": row["id"], "status": "active", "start": "2026-01-01"}
    [made] = await make(http, "leaderboards", {"name": "A", "key": "a", **common})
    values = (("a", 12_345_678.901), ("b", 20_000), ("c", -42.5), ("=d", 0.001), ("e", 7), ("＝f", 5))
    for user, value in values:
        clock.now_ms += 1
        body = {"user": {"id": user, "name": {"e": "Jörg"}.get(user, f"-{user}")}, "value": value}
        assert (await http.post("/v1/metrics/words/event", json=body)).status_code == 201
    await end(http, services, made)
    await http.patch("/v1/users/e", json={"name": "Later"})
    await flush(services)
    answer = await console.get(f"{BOARDS}/a/runs/all.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="a-all.csv"'
    assert answer.content.startswith(b"\xef\xbb\xbfrank,")  # Excel knows UTF-8 by it
    assert list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))[1:] == [
        ["1", "", "a", "'-a", "12345678.901"],
        ["2", "", "b", "'-b", "20000"],
        ["3", "", "e", "Jörg", "7"],
        ["4", "", "'＝f", "'-＝f", "5"],
        ["5", "", "'=d", "'-=d", "0.001"],
        ["6", "", "c", "'-c", "-42.5"],
    ]


@pytest.mark.parametrize("run", ["nonsense", "20261123", "all", "a%0D%0Ab", "%00", "2026-11-23", "x" * 3_000])
async def test_a_run_that_is_not_final_is_not_found(
    console: httpx.AsyncClient,
    board: Any,
    run: str,
) -> None:
    await board("a")
    for path in (f"{BOARDS}/a/runs/{run}.csv", f"{BOARDS}/a/runs/{run}"):
        answer = await console.get(path)
        assert answer.status_code == 404
        assert "has no final standings of a run" in answer.text
        assert answer.headers["content-type"].startswith("text/html")


async def test_final_standings_page_by_page(
    http: httpx.AsyncClient,
    console: httpx.AsyncClient,
    services: Services,
    board: Any,
    clock: SettableClock,
) -> None:
    made = await board("day", runUnit="day", runInterval=1)
    events = [
        {"key": "words", "value": 1_000 - i, "user": {"id": f"u/{i:03}", "name": f"User {i}"}} for i in range(130)
    ]
    answer = await http.post("/admin/v1/metrics/events", json=events)
    assert answer.status_code == 202, answer.text
    await end(http, services, made)
    path = "/day/runs/20261123"
    first = await see(console, path)
    assert "130 participants" in text(first)
    assert rows(first, "Final standings")[0] == ["1", "User 0", "1,000"]
    assert len(rows(first, "Final standings")) == 100
    assert 'href="/console/users/u%2F000"' in first
    assert f'href="{BOARDS}{path}.csv"' in first
    [following] = re.findall(r'rel="next" href="\?([^"]*)"', first)
    second = await see(console, f"{path}?{following.replace('&amp;', '&')}")
    assert [row[1] for row in rows(second, "Final standings")] == [f"User {i}" for i in range(100, 130)]
    assert 'rel="next"' not in second
    assert 'rel="prev"' in second
    assert "There are no more rows" in await see(console, path, offset=200)
    assert "must be 0 to" in await see(console, path, 422, offset=-1)
    # The board's page and the list of runs lead there.
    shown = await see(console, "/day")
    assert f'href="{BOARDS}{path}"' in shown
    choice = '<option value="2026-11-23" selected>2026-11-23 (final, 130 participants)'
    assert choice in await see(console, "/day/analytics")
    assert "Final standings, 2026-11-23" in await see(console, "/day", run="2026-11-23")
    assert rows(await see(console, "/day/runs"), "Final runs") == [["2026-11-23", "130", "CSV of 2026-11-23"]]
    assert "There are none before that one" in await see(console, "/day/runs", before="20261123")
    await see(console, "/day/runs", 404, before="x")


async def test_a_run_that_is_over_but_not_final_can_be_chosen(
    http: httpx.AsyncClient,
    console: httpx.AsyncClient,
    board: Any,
    clock: SettableClock,
    admin_key: str,
) -> None:
    await board("day", runUnit="day", runInterval=1, start=TODAY.isoformat())
    await score(http, clock, "ann", 5)
    await days_later(console, clock, admin_key, 1)
    await score(http, clock, "bob", 3)
    now = await see(console, "/day")
    assert re.findall(r"<option[^>]*>(.*?)</option>", now) == ["2026-11-24 (live)", "2026-11-23 (provisional)"]
    assert rows(now, "Standings") == [["1", "Bob", "3"]]
    before = await see(console, "/day", run="2026-11-23")
    assert rows(before, "Standings") == [["1", "Ann", "5"]]
    assert 'run="2026-11-23"' in before  # the live board shows the same run
    assert "Top movers" not in before
    assert "run must be a day of the leaderboard" in await see(console, "/day", 422, run="2025-01-01")
    await see(console, "/day", 422, run="soon")


async def test_movers_are_compared_with_the_place_before_today(
    http: httpx.AsyncClient,
    console: httpx.AsyncClient,
    services: Services,
    board: Any,
    clock: SettableClock,
    admin_key: str,
) -> None:
    await board("week", runUnit="day", runInterval=7, start=TODAY.isoformat())
    for user, value in (("a", 40), ("b", 30), ("c", 20), ("d", 10)):
        await score(http, clock, user, value)
    await score(http, clock, "d", 15)  # on the first day nobody had a place before
    await flush(services)
    assert "No comparison yet: the run began today." in await see(console, "/week")
    await days_later(console, clock, admin_key, 1)
    assert "Nobody among the first 1,000 has risen today" in await see(console, "/week")
    await score(http, clock, "d", 1)  # still the third
    await score(http, clock, "d", 100)
    await score(http, clock, "c", 15)
    await score(http, clock, "e", 17)  # new: no place to compare with
    await flush(services)
    shown = await see(console, "/week")
    [listed] = re.findall(r'<ol class="plain">(.*?)</ol>', shown, re.S)
    assert [text(one).strip() for one in re.findall(r"<li>(.*?)</li>", listed)] == [
        "D ▲ 2 places up 3 → 1",
        "C ▲ 1 place up 4 → 3",
    ]
    assert "2026-11-24, among the first 1,000 of this run." in text(shown)


async def test_many_boards_can_be_searched(
    http: httpx.AsyncClient,
    console: httpx.AsyncClient,
    board: Any,
    clock: SettableClock,
) -> None:
    await board("weekly", name="Best <b>week</b>", runUnit="day", runInterval=7)
    await board("sleeping", status="inactive")
    await score(http, clock, "ann", 5)
    few = await see(console, "")
    assert 'type="search"' not in few
    assert rows(few, "Leaderboards") == [
        ["Best &lt;b&gt;week&lt;/b&gt; weekly", "active backfill 0 %", "Words metric", "1", few_runs(few)],
        ["sleeping sleeping", "inactive", "Words metric", "–", "one run"],
    ]
    [made] = await make(http, "points", {"name": "Coins", "key": "coins"})
    common = {"rankBy": "points", "pointsSystemId": made["id"], "start": "2026-01-01"}
    await make(http, "leaderboards", *({"name": f"No {i}", "key": f"no-{i}", **common} for i in range(60)))
    many = await see(console, "")
    assert 'type="search"' in many
    assert "1 to 50 of 62" in many
    assert len(rows(await see(console, "", offset=50), "Leaderboards")) == 12
    assert [row[0] for row in rows(await see(console, "", search="<B>WEEK"), "Leaderboards")] == [
        "Best &lt;b&gt;week&lt;/b&gt; weekly"
    ]
    assert "1 to 50 of 60 that match" in await see(console, "", search="coins")
    assert "No leaderboard matches" in await see(console, "", search="nothing\0")
    await see(console, "", 422, offset=-1)


async def test_the_list_is_there_without_redis(
    console: httpx.AsyncClient,
    services: Services,
    board: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await board("a")
    async with services.directory._refreshing:  # else the next look would find the epoch again
        monkeypatch.setattr(services.directory.production, "epoch", None)
        shown = await see(console, "")
    assert "Redis is being rebuilt: numbers of participants are not available now." in shown.replace("&#39;", "'")
    assert rows(shown, "Leaderboards")[0][3] == "–"


def few_runs(html: str) -> str:
    return rows(html, "Leaderboards")[0][4]


async def test_a_board_that_is_broken_down_shows_a_group_at_a_time(
    http: httpx.AsyncClient,
    console: httpx.AsyncClient,
    services: Services,
    board: Any,
    attributes: dict[str, str],
    clock: SettableClock,
) -> None:
    made = await board("towns", breakdownAttributes=[attributes["city"], attributes["team"]])
    empty = await see(console, "/towns")
    assert "A user is ranked in the group of their values of city and team" in text(empty)
    await score(http, clock, "ann", 5, city="New York, NY", team="red & blue")
    await score(http, clock, "bob", 7, city="Bern", team="red & blue")
    await score(http, clock, "cid", 9, city="Bern")  # without a team: nowhere
    await flush(services)
    first = await see(console, "/towns")
    options = re.findall(r'<option value="([^"]*)"[^>]*>(.*?)</option>', first)[1:]
    assert [label for _, label in options] == [
        "city: Bern, team: red &amp; blue",
        "city: New York, NY, team: red &amp; blue",
    ]
    assert rows(first, "Standings") == [["1", "Bob", "7"]]
    name = options[1][0].replace("&amp;", "&")
    second = await see(console, "/towns", group=name)
    assert rows(second, "Standings") == [["1", "Ann", "5"]]
    assert 'group="city=New%20York%2C%20NY&amp;team=red%20%26%20blue"' in second
    assert "Nobody has scored yet" in await see(console, "/towns", group="Rome&red")
    for unknown in ("Rome", "&", "a&b&c"):
        assert "no such group" in await see(console, "/towns", 404, group=unknown)
    await see(console, "/towns", group="%00&x")
    assert rows(await see(console, ""), "Leaderboards")[0][3] == "2"
    await end(http, services, made)
    final = await see(console, "/towns/runs/all", group=name)
    assert rows(final, "Final standings") == [["1", "Ann", "city: New York, NY, team: red &amp; blue", "5"]]
    table = (await console.get(f"{BOARDS}/towns/runs/all.csv")).content.decode("utf-8-sig")
    assert ["1", "New York, NY, red & blue", "ann", "Ann", "5"] in list(csv.reader(io.StringIO(table)))


async def test_a_board_of_groups_leads_to_their_members(
    http: httpx.AsyncClient,
    console: httpx.AsyncClient,
    services: Services,
    board: Any,
    attributes: dict[str, str],
    clock: SettableClock,
) -> None:
    made = await board("towns", groupBy=attributes["city"], aggregate="average", minMembers=2)
    await score(http, clock, "ann", 5, city="a/b")
    assert "No group is ranked yet: a group needs 2 members" in text(await see(console, "/towns"))
    await score(http, clock, "bob", 8, city="a/b")
    await score(http, clock, "cid", 9)
    await flush(services)
    shown = await see(console, "/towns")
    assert rows(shown, "Groups") == [["1", "a/b", "6.5", "2"]]
    assert [row[1] for row in rows(shown, "Standings")] == ["Cid", "Bob", "Ann"]
    [members] = re.findall(r'href="\?([^"]*)"><bdi>a/b', shown)
    of_group = await see(console, f"/towns?{members.replace('&amp;', '&')}")
    assert [row[1] for row in rows(of_group, "Standings")] == ["Bob", "Ann"]
    await end(http, services, made)
    final = await see(console, "/towns/runs/all")
    assert [row[1:3] for row in rows(final, "Final standings")] == [["Cid", "–"], ["Bob", "a/b"], ["Ann", "a/b"]]
    assert rows(final, "Groups") == [["1", "a/b", "6.5", "2"]]
    [members] = re.findall(r'href="\?([^"]*)"><bdi>a/b', final)
    of_group = await see(console, f"/towns/runs/all?{members}")
    assert [row[1] for row in rows(of_group, "Final standings")] == ["Bob", "Ann"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"status": "inactive"}, "This leaderboard is inactive and counts nothing. It starts with"),
        ({"start": "2027-01-01"}, "It begins on 2027-01-01"),
        ({"end": "2026-11-01"}, "Nobody scored in this run."),
        ({}, "The first event adds somebody: POST /v1/metrics/words/event"),
    ],
)
async def test_an_empty_board_says_what_to_do(
    console: httpx.AsyncClient,
    board: Any,
    fields: dict[str, str],
    said: str,
) -> None:
    await board("a", **fields)
    assert said in text(await see(console, "/a"))
    assert "Nobody has scored in this run yet" in await see(console, "/a/analytics")


async def test_analytics_of_a_run_and_a_range(
    http: httpx.AsyncClient,
    console: httpx.AsyncClient,
    services: Services,
    board: Any,
    clock: SettableClock,
    admin_key: str,
) -> None:
    await board("all", start="2026-09-01")
    await board("day", runUnit="day", runInterval=1, start=TODAY.isoformat())
    await score(http, clock, "ann", 1)
    await days_later(console, clock, admin_key, 40)
    await score(http, clock, "bob", 2)
    await days_later(console, clock, admin_key, 1)
    await score(http, clock, "bob", 0.5)
    await score(http, clock, "cid", 5.25)
    await flush(services)
    today = TODAY + timedelta(days=41)
    month = await see(console, "/all/analytics")
    assert "from 2026-12-05 to 2027-01-03" in month
    assert "Participants of the run 3" in text(month)
    joined = rows(month, "Participants: the numbers")
    assert (len(joined), joined[0], joined[-2:]) == (
        30,
        ["2026-12-05", "1"],
        [["2027-01-02", "2"], [str(today), "3"]],
    )
    assert rows(month, "Active users: the numbers")[-2:] == [["2027-01-02", "1"], [str(today), "2"]]
    assert rows(month, "Rank changes: the numbers")[-2:] == [["2027-01-02", "1"], [str(today), "1"]]
    spread = rows(month, "Score distribution: the numbers")
    assert (spread[0], spread[-1]) == (["1 to 1.425", "1"], ["4.825 to 5.25", "1"])
    quarter = await see(console, "/all/analytics", days=90)
    assert rows(quarter, "Active users: the numbers")[-42] == ["2026-11-23", "1"]
    first = await see(console, "/day/analytics", run="2026-11-23", days=365)
    assert rows(first, "Active users: the numbers") == [["2026-11-23", "1"]]
    assert rows(first, "Score distribution: the numbers") == [["1", "1"]]
    assert '<option value="2026-11-23" selected>' in first
    for days in ("31", "-1", "1000"):
        assert "days must be" in await see(console, "/all/analytics", 422, days=days)
    await see(console, "/all/analytics", 400, days="x")
    await see(console, "/all/analytics", 422, run="2020-01-01")
