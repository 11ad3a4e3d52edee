"""The list of endpoints in docs/http-api.md, made from the endpoints themselves.

``uv run python -m tests.endpoints`` writes it anew; tests/unit/test_docs.py fails where it is out of date.
"""

from __future__ import annotations

import re
from pathlib import Path

from podium.app import ENDPOINTS
from podium.http.openapi import document

PAGE = Path(__file__).parents[1] / "docs" / "http-api.md"
BEGIN, END = "<!-- endpoints: made by tests/endpoints.py -->\n", "<!-- endpoints end -->\n"
ANY = {"401", "403", "413", "422", "429", "503"}
"""Statuses that nearly every endpoint may answer with; the page says so once."""


def table(prefix: str) -> str:
    """Return the rows of the endpoints whose path begins with ``prefix``, by path."""
    needs = {(one.method, re.sub(r":\w+}", "}", one.path)): one.needs for one in ENDPOINTS}
    rows = ["| request | purpose | key | answers |", "|---|---|---|---|"]
    for path, operations in sorted(document(ENDPOINTS)["paths"].items()):
        if not path.startswith(prefix):
            continue
        for method, operation in operations.items():
            own = ", ".join(sorted(operation["responses"].keys() - ANY))
            key = needs[method.upper(), path]
            rows.append(
                f"| `{method.upper()} {path}` | {operation['summary']} | {f'`{key}`' if key else ''} | {own} |"
            )
    return "\n".join([*rows, ""])


def page() -> str:
    """Return docs/http-api.md with the endpoints of now."""
    lists = f"### Application API\n\n{table('/v1/')}\n### Admin API\n\n{table('/admin/v1/')}"
    between = re.compile(f"(?<={re.escape(BEGIN)}).*?(?={re.escape(END)})", re.DOTALL)
    return between.sub(lambda _: lists, PAGE.read_text())


if __name__ == "__main__":
    PAGE.write_text(page())
