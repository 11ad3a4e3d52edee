"""The widget as one file: its modules joined, without imports and comment lines, once at start.

There is no build step: web/widget holds modules that a browser could load one by one. Joined and compressed they
come with one request, and whoever serves the widget from elsewhere copies one file.
"""

from __future__ import annotations

import re
from pathlib import Path

from podium.http.compressed import Compressed

PARTS = (
    "shared/live.js",
    "widget/words.js",
    "widget/style.js",
    "widget/rows.js",
    "widget/podium-leaderboard.js",
)
"""Each after those that it imports. They share one scope: a name at the top of two of them is an error that the
browser's tests find."""

_IMPORT = re.compile(r'^import [^;]*? from "\./[^"]+";$|^import [^;]*? from "\.\./[^"]+";$', re.MULTILINE)


_COMMENT = re.compile(r"^[ \t]*(//[^\n]*|/\*\*.*?\*/[ \t]*)?\n", re.MULTILINE | re.DOTALL)
"""A line that is nothing but a comment, a block that begins with ``/**``, or an empty line. The licence stays: its
line begins with ``/*!``, as the file is copied to other servers."""


def join(web: Path) -> bytes:
    """Return the widget's script, UTF-8. ``web`` is the folder that holds ``PARTS``.

    Only whole lines go: what is inside a line, template literals above all, stays to the letter. A minifier would
    save another kilobyte of eleven.
    """
    script = "\n".join(_IMPORT.sub("", (web / part).read_text("utf-8")) for part in PARTS)
    return _COMMENT.sub("", script + "\n").encode()


class Widget(Compressed):
    """Answers ``GET /widget/podium-leaderboard.js``."""

    def __init__(self, web: Path, headers: dict[str, str]) -> None:
        super().__init__(join(web), "text/javascript; charset=utf-8", headers)
