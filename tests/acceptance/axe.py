"""Pages by axe's rules (WCAG up to 2.2, level AA)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from playwright.async_api import Page

from tests.acceptance.js_sdk import FOLDER

AA = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
"""Tags of all of axe's rules up to level AA."""
COLOURS = ("color-contrast",)


async def problems(page: Page, rules: Iterable[str] = AA) -> dict[str, list[str]]:
    """Return the elements that break a rule, by rule. The context of the page must have ``bypass_csp``."""
    if not await page.evaluate("'axe' in window"):
        await page.add_script_tag(path=FOLDER / "node_modules" / "axe-core" / "axe.min.js")
    found = await page.evaluate("rules => axe.run(document, {runOnly: rules})", list(rules))

    def told(node: dict[str, Any]) -> str:
        return f"{node['html'][:120]} {node['failureSummary']}"

    return {one["id"]: [told(node) for node in one["nodes"]] for one in found["violations"]}
