"""docs/compatibility.md, as the tests of the SDKs make it: ``PODIUM_WRITE_DOCS=1`` writes what they saw."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "compatibility.md"
HEAD = """# Compatibility with the published SDKs

Made by the tests: each line is a method that was called through the SDK against a real server over both stores,
with what it did checked, and that was refused for a wrong input with an error that is documented for it:
[the Python SDK](../tests/integration/test_sdk_methods.py), sync and async, and
[the Node SDK](../tests/integration/test_node_sdk.py).
"""


def check(title: str, methods: Iterable[str]) -> None:
    """Hold the page's table ``title`` to the methods that were seen, or write it."""
    rows = sorted(methods)
    table = f"## {title}: {len(rows)} of {len(rows)}\n\n" + "\n".join(f"- `{method}`" for method in rows) + "\n"
    page = PAGE.read_text() if PAGE.exists() else HEAD
    if os.environ.get("PODIUM_WRITE_DOCS"):
        head, *parts = page.split("\n## ")
        others = [part.rstrip("\n") for part in parts if not part.startswith(f"{title}:")]
        body = sorted([*others, table.removeprefix("## ").rstrip("\n")])
        PAGE.write_text("\n\n## ".join([head.rstrip("\n"), *body]) + "\n")
    else:
        assert table.rstrip("\n") in page, "PODIUM_WRITE_DOCS=1 uv run pytest tests/integration -k sdk"
