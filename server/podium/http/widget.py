"""The widget as one file: its modules joined at start, without imports and comment lines.

There is no build step: web/widget holds modules that a browser could load one by one. Joined and compressed they
need one request, and to serve the widget from another server it is enough to copy one file.
"""

from __future__ import annotations

import re
from pathlib import Path

from podium.http.compressed import Compressed

PARTS = (
    "shared/live.js",
    "widget/texts.js",
    "widget/style.js",
    "widget/rows.js",
    "widget/podium-leaderboard.js",
)
"""The modules, each after those that it imports. They share one scope; the browser tests fail if two of them
define the same name."""

_IMPORT = re.compile(r'^import [^;]*? from "\./[^"]+";$|^import [^;]*? from "\.\./[^"]+";$', re.MULTILINE)

_COMMENT = re.compile(r"^[ \t]*(//[^\n]*|/\*\*.*?\*/[ \t]*)?\n", re.MULTILINE | re.DOTALL)
"""A line with only a comment, a block that begins with ``/**``, or an empty line. The licence begins with ``/*!``
and stays, as the file is copied to other servers."""


def join(web: Path) -> bytes:
    """Return the widget's script, UTF-8. ``web`` is the folder that holds ``PARTS``.

    Only whole lines are removed, so template literals stay as they are. A minifier would save another kilobyte of
    eleven.
    """
    script = "\n".join(_IMPORT.sub("", (web / part).read_text("utf-8")) for part in PARTS)
    return _COMMENT.sub("", script + "\n").encode()


class Widget(Compressed):
    """The file ``/widget/podium-leaderboard.js``."""

    def __init__(self, web: Path, headers: dict[str, str]) -> None:
        super().__init__(join(web), "text/javascript; charset=utf-8", headers)
