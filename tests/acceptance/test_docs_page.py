"""The API reference in headless Chromium: by keyboard, on a phone, in the dark, without scripts, and sending."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.acceptance import axe
from tests.acceptance.browser import open_page
from tests.acceptance.js_sdk import needed
from tests.acceptance.stack import Stack

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.asyncio(loop_scope="session")]

EVENT = "post-v1-metrics-by-key-event"


async def with_form(page: Page) -> None:
    """Open what posts an event, and its form."""
    await page.locator(f"#{EVENT} > summary").click()
    await page.locator(f"#{EVENT}").get_by_role("button", name="Try it").click()


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("look", ["light", "dark"])
async def test_the_page_passes_axe_and_fits(browser: Browser, stack: Stack, look: Any, width: int) -> None:
    needed("axe-core")
    async with open_page(
        browser,
        f"{stack.url}/docs",
        color_scheme=look,
        viewport={"width": width, "height": 740},
        bypass_csp=True,
    ) as page:
        await with_form(page)
        await page.locator("#type-EventUser > summary").click()
        assert await page.evaluate("document.documentElement.scrollWidth") == width
        assert await axe.problems(page) == {}


async def test_search_by_keyboard(browser: Browser, stack: Stack) -> None:
    async with open_page(browser, f"{stack.url}/docs") as page:
        await page.keyboard.press("/")
        await page.keyboard.type("streak pauses")
        await expect(page.locator("#found")).to_contain_text(" of ")
        await expect(page.locator("#post-admin-v1-streaks-pauses")).to_be_visible()
        await expect(page.locator(f"#{EVENT}")).to_be_hidden()
        await page.keyboard.type(" xyzzy")
        await expect(page.locator("#none")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.locator(f"#{EVENT}")).to_be_visible()


async def test_a_link_opens_what_it_names(browser: Browser, stack: Stack) -> None:
    async with open_page(browser, f"{stack.url}/docs#{EVENT}") as page:
        operation = page.locator(f"#{EVENT}")
        await expect(operation).to_have_attribute("open", "")
        await expect(operation.locator("pre.command")).to_contain_text(f"'{stack.url}/v1/metrics/words/event'")
        await operation.get_by_role("link", name="EventRequest").click()
        await expect(page.locator("#type-EventRequest")).to_have_attribute("open", "")


async def test_a_request_is_sent_with_the_key_of_the_page(browser: Browser, stack: Stack) -> None:
    async with open_page(browser, f"{stack.url}/docs") as page:
        await page.locator("#get-admin-v1-metrics > summary").click()
        operation = page.locator("#get-admin-v1-metrics")
        await operation.get_by_role("button", name="Try it").click()
        await operation.get_by_label("limit (query)").fill("1")
        await operation.get_by_role("button", name="Send").click()
        await expect(operation.locator("form [role=status]")).to_contain_text("401")
        await operation.locator("input.key").fill(stack.admin_key)
        await operation.get_by_role("button", name="Send").click()
        await expect(operation.locator("form [role=status]")).to_contain_text("200")
        await with_form(page)
        await expect(page.locator(f"#{EVENT} input.key")).to_have_value(stack.admin_key)
        assert await page.evaluate("localStorage.length + sessionStorage.length") == 0


async def test_without_scripts_everything_can_be_read(browser: Browser, stack: Stack) -> None:
    async with open_page(browser, f"{stack.url}/docs", scripts=False) as page:
        await page.locator(f"#{EVENT} > summary").click()
        await expect(page.locator(f"#{EVENT} pre.command")).to_contain_text("curl -X POST")
        await expect(page.locator("#search")).to_be_hidden()
