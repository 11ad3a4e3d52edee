"""Forms of the console: what they say of losses and errors, what changed meanwhile, and what a sign-in keeps."""

from __future__ import annotations

import html
import re
from typing import Any

import httpx

from podium.services import Services
from tests.conftest import SettableClock
from tests.integration.console.test_actions import look, path_of, said
from tests.integration.test_boards import DAY_MS, flush, make
from tests.integration.test_console import act, console, console_url, form, game, signed_in, write

__all__ = ["console", "console_url"]  # fixtures


def button_of(page: httpx.Response) -> str:
    """The first button of a page's form, with its class."""
    found = re.search(r"<button[^>]*>[^<]*</button>", page.text.split("<main", 1)[1])
    assert found is not None
    return found[0]


async def xp(http: httpx.AsyncClient) -> str:
    """The game, with a user who has five points; the points system's id."""
    system: dict[str, Any] = await game(http)
    await write(http)
    return str(system["id"])


async def test_what_is_lost_looks_like_it(http: httpx.AsyncClient, console: httpx.AsyncClient) -> None:
    system = await xp(http)
    given = await look(console, "points", system=system, amount="1", reason="x")
    assert button_of(given) == '<button class="">Give 1 point</button>'
    assert 'class="notice good"' in given.text
    taken = await look(console, "points", system=system, amount="-3", reason="x")
    assert button_of(taken) == '<button class="danger">Take 3 points</button>'
    assert 'class="notice loss"' in taken.text
    # Not more than there is.
    assert "Take 5 points" in button_of(await look(console, "points", system=system, amount="-99", reason="x"))
    ended = await console.get(path_of("reset"))
    assert 'class="notice loss"' in ended.text


async def test_an_error_names_the_label_and_marks_the_field(
    http: httpx.AsyncClient, console: httpx.AsyncClient
) -> None:
    system = await xp(http)
    for action, fields, label, name in (
        ("pause", {"start": "2020-01-01", "end": "2020-01-02"}, "First day must not lie before today", "start"),
        ("pause", {"start": "2026-12-02", "end": "2026-12-01"}, "Last day must not lie before First day", "end"),
        ("points", {"system": system, "amount": "much", "reason": "x"}, "Amount must be a whole number", "amount"),
        ("points", {"system": system, "amount": "1"}, "Reason is missing", "reason"),
        (
            "boost",
            {"system": system, "name": "b", "multiplier": "1", "start": "2026-12-02"},
            "Multiplier must be above 0",
            "multiplier",
        ),
    ):
        refused = await look(console, action, **fields)
        assert (refused.status_code, label in said(refused)) == (422, True), said(refused)
        [marked] = re.findall(r'<(?:input|select|fieldset)[^>]*aria-invalid="true"[^>]*>', refused.text)
        assert f'name="{name}"' in marked
        assert re.search('aria-describedby="problem', marked)
        assert "autofocus" in marked


async def test_points_say_where_they_lead_and_join_no_run(
    http: httpx.AsyncClient, console_url: str, admin_key: str, clock: SettableClock
) -> None:
    system = await xp(http)
    await write(http, "bob", 20)
    board = {"rankBy": "points", "pointsSystemId": system, "status": "active", "start": "2026-01-01"}
    await make(http, "leaderboards", {"name": "Ever", "key": "ever", **board})
    await make(http, "leaderboards", {"name": "Week", "key": "week", "runUnit": "day", "runInterval": 7, **board})
    for user, value in (("ann", 1), ("bob", 2)):
        await write(http, user, value)
    async with signed_in(console_url, admin_key) as console:
        up = said(await look(console, "points", system=system, amount="100", reason="x"))
    assert "Ever : rank 2 becomes 1." in up
    assert re.search(r"Week , run of 2026-\d\d-\d\d: rank 2 becomes 1\.", up), up
    clock.now_ms += 14 * DAY_MS  # nobody has been in this week's run
    fields = {"system": system, "amount": "-2", "reason": "x"}
    async with signed_in(console_url, admin_key) as console:
        assert "Week" not in said(await look(console, "points", **fields))
        assert (await act(console, "points", **fields)).status_code == 303
        assert (await http.get("/v1/leaderboards/week")).json()["rankings"] == []
        # Points that are given come into the run only where that is asked for.
        fields["amount"] = "3"
        assert "Week" not in said(await look(console, "points", **fields))
        assert "Week , run of" in (told := said(await look(console, "points", **fields, runs="all")))
        assert "not ranked yet, becomes rank 1." in told
        assert (await act(console, "points", **fields, runs="all")).status_code == 303
    assert [row["userId"] for row in (await http.get("/v1/leaderboards/week")).json()["rankings"]] == ["ann"]


async def test_what_changed_since_the_look_is_shown_again(
    http: httpx.AsyncClient, console: httpx.AsyncClient
) -> None:
    system = await xp(http)
    fields = {"system": system, "amount": "50", "reason": "x"}
    seen = await look(console, "points", **fields)
    mark = re.search(r'name="seen" value="(\w+)"', seen.text)
    assert mark is not None
    await write(http, "ann", 7)  # the other tab, or the app
    again = await act(console, "points", **fields, seen=mark[1])
    assert (again.status_code, "It has changed meanwhile" in said(again)) == (409, True)
    assert "12 points become 62." in said(again)
    assert (await http.get("/v1/users/ann/points/xp")).json()["total"] == 12
    mark = re.search(r'name="seen" value="(\w+)"', again.text)
    assert mark is not None
    assert (await act(console, "points", **fields, seen=mark[1])).status_code == 303
    assert (await http.get("/v1/users/ann/points/xp")).json()["total"] == 62


async def test_what_was_typed_survives_the_end_of_the_session(
    http: httpx.AsyncClient, console_url: str, admin_key: str
) -> None:
    system = await xp(http)
    async with signed_in(console_url, admin_key) as session:
        typed = await form(
            session, path_of("points"), system=system, amount="50", reason="So sorry", confirm="ann"
        )
        await session.post("/console/sign-out", data={"csrf": typed["csrf"]})
        refused = await session.post(path_of("points"), data={**typed, "step": "look"})
        assert (refused.status_code, "nothing was done" in said(refused)) == (403, True)
        [link] = re.findall(r'href="(/console/sign-in[^"]*)"', refused.text)
        sign_in = await session.get(html.unescape(link))
        [wanted] = re.findall(r'name="next" value="([^"]*)"', sign_in.text)
        origin = {"Origin": console_url}
        fields = {"secret": admin_key, "next": html.unescape(wanted)}
        done = await session.post("/console/sign-in", data=fields, headers=origin)
        assert done.headers["location"].startswith(path_of("points"))
        page = await session.get(done.headers["location"])
        assert 'name="amount" type="number" value="50"' in page.text
        assert 'value="So sorry"' in page.text
        assert not {"csrf", "form", "seen", "confirm"} & set(httpx.URL(done.headers["location"]).params)


async def test_undo_is_offered_until_it_is_over(
    http: httpx.AsyncClient, console_url: str, admin_key: str, clock: SettableClock
) -> None:
    await game(http)
    await write(http)
    clock.now_ms += 2 * DAY_MS
    async with signed_in(console_url, admin_key) as console:
        done = await act(console, "restore")
        location = done.headers["location"]
        told = said(await console.get(location))
        assert re.search(r"The streak is back: 1\. You can undo this until \d\d:\d\d:\d\d UTC", told), told
        clock.now_ms += 61_000
        told = said(await console.get(location))
    assert "The streak is back: 1." in told
    assert "undo this until" not in told


async def test_what_support_did_is_told_in_words(
    http: httpx.AsyncClient, console: httpx.AsyncClient, services: Services
) -> None:
    system = await xp(http)
    await act(console, "points", system=system, amount="50", reason="So sorry")
    await flush(services)
    page = await console.get("/console/users/ann")
    section = page.text.split('id="audit"', 1)[1]
    told = html.unescape(" ".join(re.sub(r"<[^>]+>", " ", section).split()))
    assert "test : give points points" in told
    assert "Reason So sorry" in told.replace("–", "").replace("  ", " ")
    assert "{" not in told
    timeline = page.text.split('id="timeline"', 1)[1].split("</section>")[0]
    assert not re.search(r"key [0-9a-f]{8}-", timeline)
