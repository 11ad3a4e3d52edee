"""The console in headless Chromium: a support person's story, and every page by axe's rules (WCAG AA)."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.acceptance import axe
from tests.acceptance.browser import PATIENCE_MS, open_page
from tests.acceptance.js_sdk import needed
from tests.acceptance.stack import Board, Stack
from tests.waiting import until

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.asyncio(loop_scope="session")]

DAYS = 42
LOST_AGO = 3
LOOKS = (("light", axe.AA), ("dark", axe.COLOURS))
COLOURFUL = {"overview", "users", "user", "action", "leaderboard"}
"""Pages that between them have every colour."""


@asynccontextmanager
async def console(browser: Browser, stack: Stack, path: str = "/console/", **context: Any) -> AsyncIterator[Page]:
    """A page of the console, signed in by its form."""
    async with open_page(browser, f"{stack.url}{path}", **context) as page:
        await page.get_by_label("Password or admin key").fill(stack.admin_key)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("navigation")).to_be_visible()
        yield page


@asynccontextmanager
async def lost_streak(stack: Stack) -> AsyncIterator[tuple[Board, str]]:
    """A user who acted on 42 days in a row, and then not for three."""
    began = datetime.now(UTC) - timedelta(days=60)
    board = await stack.board(public=True, start=began.date().isoformat())
    user = f"lea-{secrets.token_hex(3)}"
    now = datetime.now(UTC).replace(hour=0, minute=30)
    async with stack.http() as http:
        before = (await http.get("/admin/v1/streaks/settings")).json()
        settings = {"frequency": "daily", "metrics": [{"key": board.metric, "threshold": 1}]}
        assert (await http.patch("/admin/v1/streaks/settings", json=settings)).status_code == 200
        await stack.known()
        item = {"key": board.metric, "value": 10}
        who = {"id": user, "name": "Léa <b>Martin</b>", "attributes": {}, "email": f"{user}@example.com"}
        events = [
            {**item, "user": who, "timestamp": (now - timedelta(days=ago)).isoformat()}
            for ago in range(DAYS + LOST_AGO - 1, LOST_AGO - 1, -1)
        ]

        async def counted() -> bool:
            answer = await http.get("/v1/users/" + user + "/streak", params={"historyPeriods": 60})
            return answer.status_code == 200 and max(p["length"] for p in answer.json()["streakHistory"]) == DAYS

        assert (await http.post("/admin/v1/metrics/events", json=events)).status_code == 202
        await until(counted)
        yield board, user
        await http.patch("/admin/v1/streaks/settings", json={"metrics": before["metrics"]})


async def test_a_user_writes_that_a_streak_is_lost(browser: Browser, stack: Stack) -> None:
    async with lost_streak(stack) as (board, user), console(browser, stack, "/console/users") as page:
        await expect(page).to_have_url(f"{stack.url}/console/users")
        search = page.get_by_role("searchbox")
        await search.fill(f"{user}@example")
        await search.press("Enter")
        await page.get_by_role("link", name="Léa <b>Martin</b>").click()
        streak = page.locator("#streak")
        await expect(streak.locator("[data-streak]")).to_have_text("0")
        await expect(streak.locator("rect.day.met")).to_have_count(DAYS + 1)  # and the legend's
        await expect(page.locator("#places")).to_contain_text("All time")
        await streak.get_by_role("link", name="Restore streak").click()
        await expect(page.locator("#preview")).to_have_text(f"The streak of 0 becomes one of {DAYS}.")
        await page.get_by_role("button", name="Restore streak").press("Enter")
        await expect(page.locator(".notice.good")).to_contain_text(f"The streak is back: {DAYS}")
        await expect(page.locator("[data-streak]")).to_have_text(str(DAYS))
        await expect(page.locator("#audit")).to_contain_text("restore")

        # An event, posted by the app, moves the page at once: no reload.
        async with stack.http() as http:
            body = {"user": {"id": user}, "value": 100_000}
            answer = await http.post(f"/v1/metrics/{board.metric}/event", json=body)
            assert answer.json()["currentStreak"]["length"] == DAYS + 1
        await expect(page.locator("[data-streak]")).to_have_text(str(DAYS + 1), timeout=PATIENCE_MS)
        await expect(page.locator(f"[data-rank='{board.key}']")).to_have_text("1")

        # And the live board shows the user.
        await page.goto(f"{stack.url}/console/leaderboards/{board.key}")
        widget = page.locator("podium-leaderboard")
        await expect(widget).to_contain_text("Léa <b>Martin</b>", timeout=PATIENCE_MS)
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await page.goto(f"{stack.url}/console/users/{user}")
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_an_event_between_the_page_and_its_connection(browser: Browser, stack: Stack) -> None:
    board = await stack.board()
    event = {"user": {"id": f"kim-{secrets.token_hex(3)}"}, "value": 5}
    path = f"/v1/metrics/{board.metric}/event"
    async with stack.http() as http, console(browser, stack) as page:
        assert (await http.post(path, json=event)).status_code == 201
        posted = asyncio.Event()

        async def late(route: Route) -> None:
            await posted.wait()
            await route.continue_()

        await page.route("**/token.json?*", late)
        await page.goto(f"{stack.url}/console/users/{event['user']['id']}")
        await expect(page.locator("#metrics")).to_contain_text(": 5", timeout=PATIENCE_MS)
        assert (await http.post(path, json=event)).status_code == 201
        posted.set()
        await expect(page.locator("#metrics")).to_contain_text(": 10", timeout=PATIENCE_MS)


async def test_the_overview_moves(browser: Browser, stack: Stack) -> None:
    board = await stack.board()
    async with console(browser, stack) as page, stack.http() as http:
        figure = page.locator("[data-figure=events]")
        await expect(page.locator("[data-figure=rate]")).not_to_have_text("…", timeout=PATIENCE_MS)
        before = await figure.text_content()
        await http.post(f"/v1/metrics/{board.metric}/event", json={"user": {"id": "ann"}, "value": 1})
        await expect(figure).not_to_have_text(before or "", timeout=PATIENCE_MS)
        await expect(page.locator("[data-health]")).to_contain_text("ok redis")


async def test_a_page_says_when_it_is_out_of_date(browser: Browser, stack: Stack) -> None:
    """On every page, as on the overview: no answer, and then a session that was ended in another tab."""
    board = await stack.board()
    async with stack.http() as http:
        await http.post(f"/v1/metrics/{board.metric}/event", json={"user": {"id": "ann"}, "value": 1})
    look = "document.dispatchEvent(new Event('visibilitychange'))"  # as one who comes back to the tab
    for path in ("/console/users/ann", "/console/users/ann/actions/reset", "/console/audit"):
        async with console(browser, stack) as page:
            await page.goto(stack.url + path)
            trouble = page.locator("#trouble")
            await page.route("**/session.json", lambda route: route.abort())
            await page.evaluate(look)
            await expect(trouble).to_contain_text("No answer since")
            await page.unroute_all()
            await page.evaluate(look)
            await expect(trouble).to_be_hidden()
            other = await page.context.new_page()
            await other.goto(stack.url + "/console/audit")
            await other.get_by_role("button", name="Sign out").click()
            await expect(other.get_by_label("Password or admin key")).to_be_visible()
            await page.evaluate(look)
            await expect(trouble).to_contain_text("You are signed out")
            again = await trouble.get_by_role("link", name="Sign in").get_attribute("href")
            assert again == f"/console/sign-in?next={quote(path, safe='')}"


async def test_a_form_survives_a_server_that_does_not_answer(browser: Browser, stack: Stack) -> None:
    async with lost_streak(stack) as (_, user), console(browser, stack) as page:
        await page.goto(f"{stack.url}/console/users/{user}/actions/restore")
        await page.get_by_label("Reason").fill("Our outage on Tuesday")

        async def fail(route: Route) -> None:
            await (route.abort() if route.request.method == "POST" else route.continue_())

        await page.route("**/actions/restore", fail)
        restore = page.get_by_role("button", name="Restore streak")
        await restore.click()
        await expect(page.get_by_role("alert").filter(has_text="did not answer")).to_be_visible()
        assert await page.get_by_label("Reason").input_value() == "Our outage on Tuesday"
        await page.unroute_all()
        await restore.click()
        await expect(page.get_by_text("The streak is back: 42.")).to_be_visible()
        await expect(page.get_by_text("You can undo this until")).to_be_visible()
        # An error stands in the same page, and the keyboard is where it is about.
        await page.goto(f"{stack.url}/console/users/{user}/actions/pause")
        await page.get_by_label("First day").fill("2020-01-01")
        await page.get_by_label("Last day").fill("2020-01-02")
        await page.get_by_role("button", name="See what it does").click()
        await expect(
            page.get_by_role("alert").filter(has_text="First day must not lie before today")
        ).to_be_visible()
        await expect(page.get_by_label("First day")).to_be_focused()


async def test_every_page_passes_axe_and_fits(browser: Browser, stack: Stack) -> None:
    """Light by all rules; dark by those about colours, all else being the same; on a phone nothing sticks out."""
    needed("axe-core")
    async with (
        lost_streak(stack) as (board, user),
        console(browser, stack, bypass_csp=True, locale="en-US") as page,
    ):
        pages = {
            "overview": "/console/",
            "users": f"/console/users?search={user}",
            "nobody": "/console/users?search=nobody-is-called-so",
            "user": f"/console/users/{user}",
            "action": f"/console/users/{user}/actions/restore",
            "debug": f"/console/users/{user}/debug?board={board.key}",
            "leaderboards": "/console/leaderboards",
            "leaderboard": f"/console/leaderboards/{board.key}",
            "analytics": f"/console/leaderboards/{board.key}/analytics",
            "audit": "/console/audit",
            "problem": "/console/users/nobody-is-called-so",
        }
        for name, path in pages.items():
            await page.goto(stack.url + path)
            await page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
            for look, rules in LOOKS if name in COLOURFUL else LOOKS[:1]:
                await page.emulate_media(color_scheme=look)  # type: ignore[arg-type]
                problems = await axe.problems(page, rules)
                assert problems == {}, (look, name, json.dumps(problems, indent=1))
                await picture(page, f"{name}-{look}")
            await page.set_viewport_size({"width": 360, "height": 740})
            wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, (name, wide)
            await picture(page, f"{name}-phone")
            await page.set_viewport_size({"width": 1280, "height": 800})
            await page.emulate_media(color_scheme="light")


async def picture(page: Page, name: str) -> None:
    """For people who want to look: ``PODIUM_SCREENSHOTS`` names a folder."""
    if folder := os.environ.get("PODIUM_SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / f"console-{name}.png", full_page=True)
