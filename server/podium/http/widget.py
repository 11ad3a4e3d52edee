"""The widget as one file: its modules joined, without imports and comment lines, once at start.

There is no build step: web/widget holds modules that a browser could load one by one. Joined and compressed they
come with one request, and whoever serves the widget from elsewhere copies one file.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

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


class Widget:
    """Answers ``GET /widget/podium-leaderboard.js``, compressed for all who take that."""

    def __init__(self, web: Path, headers: dict[str, str]) -> None:
        self._plain = join(web)
        self._packed = gzip.compress(self._plain, mtime=0)
        self._headers = headers | {
            "Content-Type": "text/javascript; charset=utf-8",
            "Vary": "Accept-Encoding",
            "ETag": f'W/"{hashlib.sha256(self._plain).hexdigest()[:32]}"',
        }

    async def answer(self, request: Request) -> Response:
        """The script; 304 where the browser has it."""
        headers = dict(self._headers)
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(self._plain, headers=headers)
        return Response(self._packed, headers=headers | {"Content-Encoding": "gzip"})
