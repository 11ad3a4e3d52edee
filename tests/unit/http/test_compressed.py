"""Files that are compressed once."""

from __future__ import annotations

import gzip

from starlette.requests import Request
from starlette.responses import Response

from podium.http.compressed import Compressed

BODY = b"words " * 1_000


async def answer(**headers: str) -> Response:
    scope = {
        "type": "http",
        "headers": [(name.replace("_", "-").encode(), v.encode()) for name, v in headers.items()],
    }
    return await Compressed(BODY, "text/plain").answer(Request(scope))


async def test_with_gzip_for_all_who_take_it() -> None:
    plain, packed = await answer(), await answer(accept_encoding="br, gzip")
    assert plain.body == gzip.decompress(packed.body) == BODY
    assert len(packed.body) < 100
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    for response in (plain, packed):
        assert response.headers["vary"] == "Accept-Encoding"
        assert response.headers["content-type"] == "text/plain"
        assert response.headers["cache-control"] == "no-cache"


async def test_nothing_for_whoever_has_it() -> None:
    tag = (await answer()).headers["etag"]
    again = await answer(if_none_match=f'"other", {tag}', accept_encoding="gzip")
    assert (again.status_code, again.body, again.headers["etag"]) == (304, b"", tag)
    assert (await answer(if_none_match='"other"')).status_code == 200
