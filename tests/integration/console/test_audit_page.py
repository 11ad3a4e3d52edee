"""The audit log as a page: rows in words, filters, pages of it, what is left of an erased user."""

from __future__ import annotations

import re

import httpx
import pytest

from podium.api.audit.admin import ROWS_MAX
from podium.console.audit_changes import Changed, actor, changes, user_of
from podium.services import Services
from podium.spaces import audit
from podium.spaces.audit import Entry
from tests.integration.test_boards import flush
from tests.integration.test_console import EVIL, account, act, game, signed_in, write


def texts(page: str) -> list[str]:
    """The rows as a reader sees their first line."""
    rows = re.findall(r"<li>\s*<p>(.*?)</p>", page[page.index("<main") :], re.DOTALL)
    return [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", row)).strip() for row in rows]


async def test_who_did_what(
    http: httpx.AsyncClient, console_url: str, console: httpx.AsyncClient, services: Services
) -> None:
    assert "There are no changes yet" in (await console.get("/console/audit")).text
    secret = await account(services, "support", "ana@example.com")
    await game(http)
    await write(http)
    await flush(services)
    async with signed_in(console_url, secret, "ana@example.com") as ana:
        assert (await act(ana, "freeze")).status_code == 303
        page = (await ana.get("/console/audit")).text
    assert 'href="/console/audit" aria-current="page"' in page
    newest, before, *_ = texts(page)
    assert newest == "Support: freeze streak of ann (only these of ann)"
    assert before == "Support: sign in console account"
    assert "<script>alert" not in page
    assert re.search(r"<th[^>]*><bdi>Freezes</bdi></th><td><bdi>0</bdi></td><td><bdi>1</bdi></td>", page), page
    for query, rows in (
        ("actor=Support", 2),
        ("actor=Support&action=freeze", 1),
        ("kind=streak", 1),
        ("item=ann", 1),
        ("actor=upport", 0),
        ("actor=%25", 0),
        ("kind=leaderboard&action=create", 1),
    ):
        assert len(texts((await console.get(f"/console/audit?{query}")).text)) == rows, query
    assert "There is no such change." in (await console.get("/console/audit?item=nobody")).text
    for wrong, status in (("cursor=x", 422), ("item=" + "x" * 300, 422), ("kind=%00", 422), ("cursor=-1", 422)):
        answer = await console.get(f"/console/audit?{wrong}")
        assert (answer.status_code, 'role="alert"' in answer.text) == (status, True), wrong
    assert EVIL not in page


async def test_an_erased_user_is_found_by_who_knows_the_id(
    http: httpx.AsyncClient, console: httpx.AsyncClient, services: Services
) -> None:
    await game(http)
    await write(http)
    await flush(services)
    assert (await act(console, "freeze")).status_code == 303
    assert (await act(console, "erase", confirm="ann")).status_code == 303
    rows = texts((await console.get("/console/audit?item=ann")).text)
    assert rows == [f"test: {what} of a user who was erased" for what in ("erase user", "freeze streak")]


async def test_older_rows_are_on_pages_of_their_own(console: httpx.AsyncClient, services: Services) -> None:
    space = services.directory.production.id
    async with services.pool.acquire() as connection:
        for kind in ("metric", "level"):
            entries = [Entry("update", kind, f"{kind}-{n}") for n in range(60)]
            await audit.write(connection, space, "somebody", entries)
    seen, path = [], "/console/audit?kind=metric&actor=some"
    while path:
        page = (await console.get(path)).text
        seen += re.findall(r"item=(metric-\d+)\"", page)
        more = re.search(r'href="([^"]+)">Older ones', page)
        path = "/console/audit" + more[1].replace("&amp;", "&") if more else ""
    assert seen == [f"metric-{n}" for n in range(59, -1, -1)]


async def test_the_api_filters_its_log(http: httpx.AsyncClient, services: Services) -> None:
    await game(http)

    async def rows(**query: str) -> int:
        answer = await http.get("/admin/v1/audit-log", params=query)
        assert answer.status_code == 200, answer.text
        return len(answer.json()["rows"])

    in_all = await rows(limit=str(ROWS_MAX))
    assert await rows(kind="metric", action="create") == 1
    assert await rows(kind="metric", action="delete") == 0
    assert await rows(actor="test (") == in_all
    assert await rows(actor="_est") == 0
    for name in ("kind", "action", "actor", "item"):
        assert (await http.get("/admin/v1/audit-log", params={name: "x" * 256})).status_code == 422


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (None, None, []),
        ({"id": "1", "name": "A", "off": False}, {"id": "1", "name": "B", "off": True},
         [("Name", "A", "B"), ("Off", "no", "yes")]),
        ({"a": 1, "gone": 2}, {"a": 1}, [("Gone", "2", "")]),
        (None, {"startCount": 1_000, "deep": {"rankBy": "points"}, "list": ["x", 2], "nothing": None, "none": []},
         [("Start count", "", "1,000"), ("Deep: rank by", "", "points"), ("List", "", "x, 2")]),
        ({"rows": [{"a": 1}]}, {"rows": []}, [("Rows", '[{"a":1}]', "")]),
        (["http://a"], ["http://b"], [("Value", "http://a", "http://b")]),
        ({"createdMs": 1_795_435_200_000}, None, [("Created", "2026-11-23 12:00:00 UTC", "")]),
    ],
)  # fmt: skip
def test_changes_in_words(before: object, after: object, shown: list[tuple[str, str, str]]) -> None:
    assert changes(before, after) == [Changed(*row) for row in shown]


def test_actors_and_users() -> None:
    assert actor("Ana (console, account 1)") == ("Ana", "console, account 1")
    assert actor("A (b) (key 1)") == ("A (b)", "key 1")
    assert actor("podium, at the command line") == ("podium, at the command line", "")
    row = {"kind": "achievement", "item": "ann", "before": None, "after": {"userId": "ann"}}
    assert user_of(row) == "ann"
    assert user_of({**row, "after": {"key": "ann"}}) == ""
    assert user_of({**row, "kind": "streak", "item": audit.erased_name("ann"), "after": None}) == ""


async def test_who_took_a_users_data_is_in_the_log(
    http: httpx.AsyncClient, console: httpx.AsyncClient, services: Services
) -> None:
    await game(http)
    await write(http)
    await flush(services)
    assert (await console.get("/console/users/nobody/export.json")).status_code == 404
    taken = (await console.get("/console/users/ann/export.json")).json()
    assert taken["tables"]["auditLog"] == []
    [row] = (await http.get("/admin/v1/audit-log", params={"item": "ann"})).json()["rows"]
    rows = sum(map(len, taken["tables"].values()))
    assert (row["action"], row["kind"], row["before"], row["after"]) == (
        *("export", "user", None),
        {"userId": "ann", "rows": rows},
    )
    assert row["actor"].startswith("test (console, key ")
    page = await console.get("/console/audit", params={"action": "export"})
    assert '<a href="/console/users/ann"><bdi>ann</bdi></a>' in page.text
    assert (await http.get("/admin/v1/audit-log", params={"action": "export"})).json()["rows"] == [row]

    await http.delete("/admin/v1/users", params={"ids": "ann"})
    await flush(services)
    rows = (await http.get("/admin/v1/audit-log", params={"action": "export"})).json()["rows"]
    assert [(one["item"][:7], one["after"]) for one in rows] == [("sha256:", None)]
