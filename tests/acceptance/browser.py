"""Headless Chromium for tests that look at pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest
from playwright.async_api import Page, async_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
PATIENCE_MS = 30_000

Until = Literal["load", "networkidle"]
"""When a page counts as opened."""


def chromium() -> str:
    """The browser's path; skips the test where there is none, and fails it in CI."""
    found = shutil.which("chromium")
    if found is None:
        assert not os.environ.get("CI"), "install the package chromium: in CI the pages must be tested"
        pytest.skip("install the package chromium to test the pages")
    return found


@asynccontextmanager
async def open_page(url: str, until: Until = "load", **context: Any) -> AsyncIterator[Page]:
    """A page that may log no error of its own."""
    errors: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = await browser.new_page(**context)
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.goto(url, wait_until=until)
        yield page
        await browser.close()
    assert errors == []
