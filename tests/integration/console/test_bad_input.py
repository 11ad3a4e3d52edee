"""What nobody types: days at the end of the calendar, characters that no store takes, forms without end."""

from __future__ import annotations

import httpx

from server.services import Services
from tests.integration.test_boards import flush
from tests.integration.test_console import game, write


async def test_a_timeline_up_to_the_last_day_of_the_calendar(
    http: httpx.AsyncClient, console: httpx.AsyncClient, services: Services
) -> None:
    await game(http)
    await write(http)
    await flush(services)
    for day, shown in (("9999-12-31", True), ("9999-12-30", True), ("0001-01-01", False)):
        page = await console.get("/console/users/ann", params={"until": day, "kinds": "event"})
        assert (page.status_code, '<ol class="timeline">' in page.text.split('id="audit"')[0]) == (200, shown), day
