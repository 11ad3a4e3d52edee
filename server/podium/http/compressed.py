"""Files that are the same for everybody: compressed once, and not sent again to a browser that has them."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

REVALIDATE: Mapping[str, str] = {"Cache-Control": "no-cache"}
"""Browsers keep the file and revalidate it each time, so a release shows at once."""


class Compressed:
    """A file in memory, plain and gzipped, with its ETag."""

    def __init__(self, body: bytes, media_type: str, headers: Mapping[str, str] = REVALIDATE) -> None:
        self._plain = body
        self._packed = gzip.compress(body, mtime=0)
        self._headers = {
            **headers,
            "Content-Type": media_type,
            "Vary": "Accept-Encoding",
            "ETag": f'W/"{hashlib.sha256(body).hexdigest()[:32]}"',
        }

    async def answer(self, request: Request) -> Response:
        """Answer with the file, gzipped where the client accepts that; 304 where it has the file."""
        if self._headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=self._headers)
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(self._plain, headers=self._headers)
        return Response(self._packed, headers=self._headers | {"Content-Encoding": "gzip"})
