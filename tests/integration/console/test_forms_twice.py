"""Forms that are sent again: those that only show something, and those that ended in the middle."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from podium.game.errors import Unavailable
from podium.services import Services
from tests.conftest import SettableClock
from tests.integration.console.test_actions import path_of
from tests.integration.test_boards import DAY_MS
from tests.integration.test_console import form, game, signed_in, write


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


@pytest.mark.parametrize("action", ["undo", "erase"])
async def test_an_action_that_ended_in_the_middle_may_have_been_carried_out(
    http: httpx.AsyncClient,
    console_url: str,
    admin_key: str,
    services: Services,
    clock: SettableClock,
    monkeypatch: pytest.MonkeyPatch,
    action: str,
) -> None:
    await game(http)
    await write(http)
    clock.now_ms += 3 * DAY_MS  # the streak of one is lost
    commit = type(services).commit

    async def lost(self: Services, *args: Any) -> Any:
        await commit(self, *args)
        raise Unavailable("Redis is away")

    async with signed_in(console_url, admin_key) as console:
        restore = path_of("restore")
        assert (await console.post(restore, data=await form(console, restore))).status_code == 303
        sent = await form(console, path_of(action), confirm="ann")
        with monkeypatch.context() as patched:
            patched.setattr(type(services), "commit", lost)
            unsure = await console.post(path_of(action), data=sent)
        assert (unsure.status_code, "may have been carried out" in unsure.text) == (503, True), unsure.text
        await write(http)  # else an erased user is not there to be asked for
        again = await console.post(path_of(action), data=sent)
        assert (again.status_code, "may have been carried out" in again.text) == (409, True), again.text
