"""Generate docs/settings.md from settings.py: ``uv run python -m podium.cli.settings_page > docs/settings.md``."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from podium.settings import PREFIX, Settings

_HEAD = """\
# Settings

Generated from [server/podium/settings.py](../server/podium/settings.py):
`uv run python -m podium.cli.settings_page > docs/settings.md`.

All `podium` commands that use the stores read these environment variables at their start. A wrong or missing
variable, and an unknown one that begins with `PODIUM_`, is refused with a sentence that names it.
`podium dev` sets the addresses, host, port, workers and demo itself, and passes all others on.
`podium import` and `podium catalog` are clients: they read `PODIUM_API_KEY` and no setting.

| variable | value | default | meaning |
|---|---|---|---|
"""


def page() -> str:
    """Return the page as Markdown."""
    schema = msgspec.json.schema(Settings)["$defs"]["Settings"]
    required = schema["required"]
    rows = [_row(name, field, name in required) for name, field in schema["properties"].items()]
    return _HEAD + "\n".join(rows) + "\n"


def _row(name: str, field: dict[str, Any], required: bool) -> str:
    default = "required" if required else _default(field["default"])
    return f"| `{PREFIX}{name.upper()}` | {_values(field)} | {default} | {field.get('description', '')} |"


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
    return f"`{value}`" if value else "empty"


def _values(field: dict[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{choice}`" for choice in field["enum"])
    kind = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true`, `false`"}
    limits = [
        f"{word} {field[bound]:,g}" if isinstance(field[bound], float) else f"{word} {field[bound]:,}"
        for bound, word in (("exclusiveMinimum", "above"), ("minimum", "from"), ("maximum", "to"))
        if bound in field
    ]
    return " ".join([kind[field["type"]], *limits])


if __name__ == "__main__":
    sys.stdout.write(page())
