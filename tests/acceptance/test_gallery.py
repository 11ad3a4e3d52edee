"""The widget itself in headless Chromium: all states of the gallery, and its attributes on a real server."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, Route, WebSocket, expect

from tests.acceptance import axe
from tests.acceptance.browser import PATIENCE_MS, open_page
from tests.acceptance.js_sdk import needed
from tests.acceptance.stack import Stack, post
from tests.waiting import until

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.asyncio(loop_scope="session")]

SCENES = {
    "live": ("live", "live", "Live"),
    "me": ("live", "live", "You are at rank 3 of 1,204, 335 behind the next place."),
    "around": ("live", "live", "Mia Berger (you)"),
    "newcomer": ("live", "live", "You are not on this board yet."),
    "groups": ("live", "live", "24 members"),
    "breakdown": ("live", "live", "24 participants"),
    "ties": ("live", "live", "420.5"),
    "attributes": ("live", "live", "Red"),
    "loading": ("loading", None, "Loading…"),
    "empty": ("empty", "live", "Nobody is on this board yet."),
    "offline": ("offline", "live", "Ana Souza"),
    "unreachable": ("offline", None, "Trying again…"),
    "private": ("error", None, "is not public"),
    "unknown": ("error", None, "There is no leaderboard “weekly” here."),
    "provisional": ("live", "provisional", "final in 5 hours"),
    "final": ("live", "final", "Final"),
    "nobody": ("empty", "final", "Nobody scored in this run."),
    "rtl": ("live", "live", "٩"),
    "german": ("live", "live", "9.420,5"),
}
"""By name: what ``data-state`` and ``data-run`` say, and something that is shown."""


def widget(page: Page, scene: str) -> Locator:
    return page.locator(f'figure[data-scene="{scene}"] podium-leaderboard')


@pytest_asyncio.fixture(loop_scope="session")
async def gallery(browser: Browser, stack: Stack) -> AsyncIterator[Page]:
    async with open_page(browser, f"{stack.url}/gallery", locale="en-US") as page:
        await expect(widget(page, "offline")).to_have_attribute("data-state", "offline", timeout=PATIENCE_MS)
        yield page


async def test_every_state_is_shown(gallery: Page) -> None:
    for scene, (state, run, text) in SCENES.items():
        shown = widget(gallery, scene)
        await expect(shown).to_have_attribute("data-state", state, timeout=PATIENCE_MS)
        assert await shown.get_attribute("data-run") == run, scene
        await expect(shown).to_contain_text(text)
    ranks = "rows => rows.map(row => [row.dataset.rank, row.hasAttribute('data-me')])"
    rows = await widget(gallery, "around").locator("li").evaluate_all(ranks)
    assert rows == [["1", False], ["2", False], ["3", False], ["40", False], ["41", True], ["42", False]]
    assert await widget(gallery, "attributes").locator("img:visible").count() == 3
    # Below a phone's width nothing sticks out.
    await gallery.set_viewport_size({"width": 320, "height": 800})
    assert await gallery.evaluate("document.documentElement.scrollWidth") == 320


@pytest.mark.parametrize(("look", "rules"), [("light", axe.AA), ("dark", axe.COLOURS)])
async def test_every_state_passes_axe(browser: Browser, stack: Stack, look: Any, rules: tuple[str, ...]) -> None:
    """Rows that flash are tested apart, by their colours."""
    needed("axe-core")
    async with open_page(
        browser,
        f"{stack.url}/gallery/",
        bypass_csp=True,
        color_scheme=look,
        reduced_motion="reduce",
        locale="en-US",
    ) as page:
        await expect(widget(page, "offline")).to_have_attribute("data-state", "offline", timeout=PATIENCE_MS)
        await expect(widget(page, "around")).to_have_attribute("data-state", "live", timeout=PATIENCE_MS)
        assert await axe.problems(page, rules) == {}


async def test_the_script_may_be_there_twice(page: Page, stack: Stack) -> None:
    """Two addresses are two modules; both have their exports, and the same words."""
    board = await stack.board(public=True)
    shown = await place(page, board=board.key)
    await expect(shown).to_have_attribute("data-state", "empty", timeout=PATIENCE_MS)
    same = await page.evaluate(
        """async () => {
            const one = await import("/widget/podium-leaderboard.js");
            const two = await import("/widget/podium-leaderboard.js?copy");
            const same = one.PodiumLeaderboard.texts === two.PodiumLeaderboard.texts;
            return same && two.LiveClient !== one.LiveClient;
        }"""
    )
    assert same


@pytest.mark.parametrize("lang", ["en_US", "de_DE.UTF-8", "no such language"])
async def test_languages_as_servers_write_them(page: Page, stack: Stack, lang: str) -> None:
    board = await stack.board(public=True)
    async with stack.http() as http:
        await post(http, board.metric, "ann", 1234.5)
    shown = await place(page, board=board.key, lang=lang)
    value = "1.234,5" if lang.startswith("de") else "1,234.5"
    await expect(shown.locator("[part=value]")).to_have_text(value, timeout=PATIENCE_MS)


async def test_right_to_left(gallery: Page) -> None:
    mine = widget(gallery, "rtl").locator("li[data-me]")
    left = "part => part.getBoundingClientRect().left"
    assert await mine.locator("[part=rank]").evaluate(left) > await mine.locator("[part=value]").evaluate(left)
    marker = await mine.evaluate("row => getComputedStyle(row, '::before').right")
    assert marker == "0px"


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
async def test_rows_glide_unless_the_reader_minds(browser: Browser, stack: Stack, motion: str) -> None:
    animations = "document.querySelector('[data-scene=live] podium-leaderboard').shadowRoot.getAnimations()"
    async with open_page(browser, f"{stack.url}/gallery/", reduced_motion=motion) as page:
        moved = widget(page, "live").locator("li[data-move]")
        await expect(moved.first).to_be_visible(timeout=PATIENCE_MS)
        if motion == "reduce":
            assert await page.evaluate(f"{animations}.length") == 0
        else:
            await page.wait_for_function(f"() => {animations}.some(one => one.effect.getKeyframes()[0].transform)")


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, stack: Stack) -> AsyncIterator[Page]:
    """A page of the server's own origin, to be written anew; an HTML one, as others don't upgrade elements."""
    async with open_page(browser, f"{stack.url}/gallery/", scripts=False, locale="en-US") as page:
        yield page


async def place(page: Page, **attributes: Any) -> Locator:
    """Put a widget on the page, as a page's author would."""
    everything = {"src": "/connection/websocket", **attributes}
    written = " ".join(f"{name.replace('_', '-')}='{value}'" for name, value in everything.items())
    script = '<script type="module" src="/widget/podium-leaderboard.js"></script>'
    await page.set_content(f"<!doctype html>{script}<podium-leaderboard {written}></podium-leaderboard>")
    return page.locator("podium-leaderboard")


async def test_it_follows_you_and_tells_a_screen_reader_now_and_then(stack: Stack, page: Page) -> None:
    board = await stack.board()
    await page.clock.install()
    await page.clock.pause_at(datetime.now(UTC) + timedelta(minutes=1))  # else it goes on by itself
    async with stack.http() as http:
        for number in range(1, 6):
            await post(http, board.metric, f"u{number}", 100 - number)
        await post(http, board.metric, {"id": "me", "name": "Mia"}, 10)
        token = await stack.token("me")
        shown = await place(page, board=board.key, limit=2, user="me", around=1, token=token)
        spoken = shown.locator("[aria-live=polite]")

        async def hear(text: str | re.Pattern[str], ms: int = 200) -> None:
            await page.clock.run_for(ms)
            await expect(spoken).to_have_text(text, timeout=PATIENCE_MS)

        async def stand(sentence: str) -> None:
            async def stands() -> bool:
                await page.clock.run_for(1)  # frames come by the page's own clock
                return await shown.locator("[part=place]").text_content() == sentence

            await until(stands)

        await stand("You are at rank 6 of 6, 85 behind the next place.")
        assert await spoken.text_content() == ""  # what was there before is no news
        ranks = "rows => rows.map(row => row.dataset.rank)"
        assert await shown.locator("li").evaluate_all(ranks) == ["1", "2", "5", "6"]
        await post(http, board.metric, "me", 86)
        await stand("You are at rank 5 of 6, level with the next place.")
        await hear("You are up from rank 6 to 5.")
        # Two more changes within the ten seconds: only where it ended is told, and only after them.
        await post(http, board.metric, {"id": "new", "name": "Noa"}, 97)
        await stand("You are at rank 6 of 7, level with the next place.")
        await post(http, board.metric, "me", 100)
        await stand("You are in the lead, at rank 1.")
        await hear("You are up from rank 6 to 5.", 5_000)
        await hear("You are up from rank 6 to 1.", 5_000)


async def test_tokens_by_address(stack: Stack, page: Page) -> None:
    board = await stack.board()
    answers: list[dict[str, Any]] = [
        {"status": 503, "body": "come back"},
        {"status": 200, "json": {"token": await stack.token("ann")}},
    ]

    async def answer(route: Route) -> None:
        await route.fulfill(**(answers.pop(0) if answers else {"status": 403}))

    await page.route("**/my-token", answer)
    shown = await place(page, board=board.key, token_url="/my-token", user="ann")
    await expect(shown).to_have_attribute("data-state", "empty", timeout=PATIENCE_MS)
    assert answers == []
    # A server that says no is believed: the page is not left to try for ever.
    shown = await place(page, board=board.key, token_url="/my-token")
    await expect(shown).to_have_attribute("data-state", "error", timeout=PATIENCE_MS)
    await expect(shown).to_contain_text("did not accept this page’s access")


async def test_attributes_become_channels(stack: Stack, page: Page) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    def listen(frame: str | bytes) -> None:
        commands = [json.loads(line).get("subscribe") for line in str(frame).split("\n")]
        asked.extend((command["channel"], command["data"]) for command in commands if command)

    def opened(socket: WebSocket) -> None:
        socket.on("framesent", listen)

    page.on("websocket", opened)
    token = await stack.token("ann/1")
    for attributes, expected in (
        ({"board": "b", "run": "2026-11-23", "limit": 700}, [("leaderboard:b@2026-11-23", {"limit": 500})]),
        (
            {"board": "b", "group": "city=New York&team=a/b", "interval": 250},
            [("leaderboard:b?city=New%20York&team=a%2Fb", {"limit": 10, "interval": 250})],
        ),
        ({"board": "b", "groups": "", "group": "London", "user": "x"}, [("groups:b", {"limit": 10})]),
        ({"board": "b", "user": "ann/1"}, [("leaderboard:b", {"limit": 10})]),  # no token: nobody to follow
        (
            {"board": "b", "user": "ann/1", "token": token, "around": 99},
            [("leaderboard:b", {"limit": 10}), ("leaderboard:b#ann%2F1", {"around": 50})],
        ),
    ):
        asked.clear()
        await place(page, **attributes)
        await until(lambda expected=expected: len(asked) >= len(expected))  # type: ignore[misc]
        assert asked == expected
