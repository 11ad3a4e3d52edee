"""Headless Chromium for tests that look at pages.

One for each test process, as a start takes seconds; every page has a profile of its own. It lives in the loop of
the session, and so do the tests and fixtures that use it: ``pytest.mark.asyncio(loop_scope="session")``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)  # else five seconds


def chromium() -> str:
    """The browser's path; skips the test where there is none, and fails it in CI."""
    found = shutil.which("chromium")
    if found is None:
        assert not os.environ.get("CI"), "install the package chromium: in CI the pages must be tested"
        pytest.skip("install the package chromium to test the pages")
    return found


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """A browser; skips the test, or in CI fails it, where none is installed."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        await browser.close()


@asynccontextmanager
async def open_page(browser: Browser, url: str, *, scripts: bool = True, **context: Any) -> AsyncIterator[Page]:
    """A page that may log no error of its own. Without ``scripts`` it loads none by itself."""
    errors: list[str] = []
    async with await browser.new_context(**context) as profile:
        page = await profile.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: errors.append(f"{error.name}: {error.message} {error.stack}"))
        if not scripts:
            await page.route("**/*.js", lambda route: route.abort())
        await page.goto(url)
        await page.unroute_all()
        yield page
    assert not errors, errors
