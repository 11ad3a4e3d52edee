"""The demo page in headless Chromium: rows that jump, a form that posts, and a server that goes away."""

from __future__ import annotations

import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from podium.cli.dev import DevFile
from tests.acceptance.browser import PATIENCE_MS, open_page
from tests.acceptance.processes import ANSWER_S, Dev, dev, end, free_port, place, ready, wait_until

pytestmark = [pytest.mark.xdist_group("own"), pytest.mark.asyncio(loop_scope="session")]


class Demo:
    """A ``podium dev`` with its demo, that can be stopped and started again on its port."""

    def __init__(self, stack: ExitStack) -> None:
        self.data = stack.enter_context(place())
        self.port = free_port()
        self._stack = stack
        self.dev: Dev
        self.file: DevFile
        self.start()

    def start(self) -> None:
        self.dev = self._stack.enter_context(dev(self.data, self.port))
        self.file = self.dev.wait()

    def stop(self) -> None:
        assert end(self.dev.process, signal.SIGINT) == 0

    def post(self, user: dict[str, Any], value: float) -> dict[str, Any]:
        """As ``curl`` would."""
        answer = httpx.post(
            f"{self.file.url}/v1/metrics/words-written/event",
            headers={"X-API-KEY": self.file.admin_key},
            json={"user": user, "value": value},
            timeout=ANSWER_S,
        )
        assert answer.status_code == 201, answer.text
        body: dict[str, Any] = answer.json()
        return body


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    """One for all tests of the page; everybody has appeared on its boards."""
    with ExitStack() as stack:
        running = Demo(stack)
        headers = {"X-API-KEY": running.file.admin_key}
        url = f"{running.file.url}/v1/leaderboards/all-time?limit=100"

        def everybody() -> bool:
            page = httpx.get(url, headers=headers, timeout=ANSWER_S).json()
            return len(page["rankings"]) >= 21

        wait_until(everybody, "nobody plays")
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, demo: Demo) -> AsyncIterator[Page]:
    """The demo page, open and live; it may log no error of its own."""
    async with open_page(browser, f"{demo.file.url}/demo/") as page:
        await live(page)
        yield page


def board(page: Page, key: str = "all-time") -> Locator:
    return page.locator(f'podium-leaderboard[board="{key}"]')


async def live(page: Page) -> None:
    for key in ("all-time", "daily"):
        await expect(board(page, key)).to_have_attribute("data-state", "live", timeout=PATIENCE_MS)


def row(page: Page, user: str) -> Locator:
    return board(page).locator(f'li[data-user-id="{user}"]')


async def test_rows_jump(demo: Demo, page: Page) -> None:
    for key in ("all-time", "daily"):
        await expect(board(page, key).locator("[part=list] li")).to_have_count(10)
    last = board(page).locator("[part=list] li").nth(9)
    user = str(await last.get_attribute("data-user-id"))
    demo.post({"id": user}, 50_000)
    await expect(row(page, user)).to_have_attribute("data-rank", "1", timeout=PATIENCE_MS)
    await expect(board(page).locator("[part=list] li").first).to_have_attribute("data-user-id", user)
    await expect(board(page).locator("[part=list] li")).to_have_count(10)
    # One who was not in the window takes the first place; the ranks on the page stay 1 to 10.
    demo.post({"id": "newcomer", "name": "New Comer"}, 100_000)
    await expect(row(page, "newcomer")).to_have_attribute("data-rank", "1", timeout=PATIENCE_MS)
    await expect(row(page, user)).to_have_attribute("data-rank", "2")
    await expect(row(page, "newcomer")).to_contain_text("New Comer")
    ranks = (
        await board(page)
        .locator("[part=list] li")
        .evaluate_all("rows => rows.map(row => Number(row.dataset.rank))")
    )
    assert ranks == list(range(1, 11))


async def test_form_posts_and_shows_the_rank(page: Page) -> None:
    words, result = page.get_by_label("Words", exact=True), page.locator("#result")
    await words.fill("100000")
    await page.get_by_role("button", name="Post event").click()
    await expect(result).to_contain_text("100,000 words in total", timeout=PATIENCE_MS)
    # The same by keyboard alone.
    await words.focus()
    await page.keyboard.press("Enter")
    await expect(result).to_contain_text("200,000 words in total", timeout=PATIENCE_MS)
    await expect(row(page, "you")).to_contain_text("200,000", timeout=PATIENCE_MS)
    shown = await row(page, "you").get_attribute("data-rank")
    await expect(result).to_contain_text(re.compile(rf"Words, all time: .*\b{shown}\."))


async def test_markup_in_a_name_is_text(demo: Demo, page: Page) -> None:
    name = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script><b>bold</b>'
    demo.post({"id": "mallory", "name": name}, 1_000_000)
    await expect(row(page, "mallory")).to_contain_text(name, timeout=PATIENCE_MS)
    assert await row(page, "mallory").locator("img, script, b").count() == 0
    assert await page.evaluate("window.hacked") is None
    demo.post({"id": '"><img src=x onerror="window.hacked=1">'}, 2_000_000)
    await expect(board(page).locator("[part=list] li").first).to_contain_text("onerror", timeout=PATIENCE_MS)
    assert await page.evaluate("window.hacked") is None


async def test_server_goes_and_comes_back(demo: Demo, page: Page) -> None:
    demo.stop()
    assert not ready(demo.file.url)
    await expect(board(page)).to_have_attribute("data-state", "offline", timeout=PATIENCE_MS)
    await expect(board(page).locator("[role=status]")).to_contain_text("Offline")
    assert await board(page).locator("[part=list] li").count() == 10  # what was known stays
    demo.start()
    await live(page)
    demo.post({"id": "after", "name": "After"}, 10_000_000)
    await expect(row(page, "after")).to_have_attribute("data-rank", "1", timeout=PATIENCE_MS)


async def test_no_admin_key_reaches_the_page(demo: Demo) -> None:
    async with httpx.AsyncClient(base_url=demo.file.url, timeout=ANSWER_S) as client:
        for path in ("/demo/", "/demo/demo.js", "/demo/session.json", "/widget/podium-leaderboard.js"):
            answer = await client.get(path)
            assert answer.status_code == 200
            assert demo.file.admin_key not in answer.text
            assert demo.file.realtime_secret not in answer.text
