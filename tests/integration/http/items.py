"""Items of the catalog over the admin API: refused, and changed."""

from __future__ import annotations

from typing import Any

import httpx

UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"
TODAY, YESTERDAY, TOMORROW = "2026-11-23", "2026-11-22", "2026-11-24"


async def issue(http: httpx.AsyncClient, kind: str, fields: Any, *, id_: str | None = None) -> str:
    """Return the issue about one item that must be refused."""
    if id_ is None:
        response = await http.post(f"/admin/v1/{kind}", json=[fields])
        place = {"index": 0}
    else:
        response = await http.patch(f"/admin/v1/{kind}", json=[{"id": id_, **fields}])
        place = {"id": id_}
    assert response.status_code == 200, response.text
    body = response.json()
    assert body.get("created", []) == body.get("updated", []) == []
    [found] = body["issues"]
    assert found == {"severity": "error", "message": found["message"], **place}
    return str(found["message"])


async def patch(http: httpx.AsyncClient, kind: str, id_: str, **fields: Any) -> dict[str, Any]:
    """The row after a change that must be accepted."""
    response = await http.patch(f"/admin/v1/{kind}", json=[{"id": id_, **fields}])
    assert response.status_code == 200
    assert response.json()["issues"] == []
    [row] = response.json()["updated"]
    assert (await http.get(f"/admin/v1/{kind}/{id_}")).json() == row
    return dict(row)
