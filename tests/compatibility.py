"""docs/compatibility.md, as the tests of the SDKs make it: ``PODIUM_WRITE_DOCS=1`` writes what they saw."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "compatibility.md"
HEAD = """# Compatibility with the published SDKs

Made by the tests. Each row is a method that was called through the SDK against a real server over both stores,
with what it did checked, and that was refused a wrong input: *refused* is the status that was seen, which is
documented for it (*issue*: the item is named among the `issues` of a good answer; *401*: only the key can be
wrong). A bad key is refused by all. [The Python SDK](../tests/integration/test_sdk_methods.py), sync and async;
[the Node SDK](../tests/integration/test_node_sdk.py).
"""


def check(title: str, rows: Iterable[tuple[str, ...]]) -> None:
    """Hold the page's table ``title`` to the rows that were seen (method, then cells), or write it."""
    found = sorted(rows)
    columns = ("method", "endpoint", "refused") if len(found[0]) == 3 else ("method", "refused")
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    lines += ["| " + " | ".join((f"`{method}`", *cells)) + " |" for method, *cells in found]
    table = f"## {title}: {len(found)} of {len(found)}\n\n" + "\n".join(lines) + "\n"
    page = PAGE.read_text() if PAGE.exists() else HEAD
    if os.environ.get("PODIUM_WRITE_DOCS"):
        _, *parts = page.split("\n## ")
        others = [part.rstrip("\n") for part in parts if not part.startswith(f"{title}:")]
        body = sorted([*others, table.removeprefix("## ").rstrip("\n")])
        PAGE.write_text("\n\n## ".join([HEAD.rstrip("\n"), *body]) + "\n")
    else:
        assert table.rstrip("\n") in page, "PODIUM_WRITE_DOCS=1 uv run pytest tests/integration -k sdk"
