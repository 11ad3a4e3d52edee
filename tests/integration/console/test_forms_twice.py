"""Forms that are sent again."""

from __future__ import annotations

import httpx

from tests.integration.console.test_actions import path_of
from tests.integration.test_console import form, game, write


async def test_a_look_may_be_taken_again(http: httpx.AsyncClient, console: httpx.AsyncClient) -> None:
    xp = await game(http)
    await write(http)
    path = path_of("points")
    sent = await form(console, path, system=xp["id"], amount="7", reason="Sorry")
    for step in ("look", "edit", "look"):  # a double click, Reload, Back: nothing was carried out
        again = await console.post(path, data={**sent, "step": step})
        assert (again.status_code, "5 points become 12" in again.text) == (200, step == "look"), again.text
    assert (await console.post(path, data=sent)).status_code == 303
    again = await console.post(path, data=sent)
    assert (again.status_code, "has been carried out" in again.text) == (409, True)
    assert (await http.get("/v1/users/ann/points/xp")).json()["total"] == 12


async def test_what_has_nothing_more_to_show_is_not_done_by_a_look(
    http: httpx.AsyncClient, console: httpx.AsyncClient
) -> None:
    await game(http)
    await write(http)
    path = path_of("freeze")
    sent = await form(console, path, step="look")
    for _ in range(2):
        seen = await console.post(path, data=sent)
        assert (seen.status_code, "0 freezes become 1" in seen.text) == (200, True)
    assert (await http.get("/v1/users/ann/streak")).json()["freezes"] == 0
