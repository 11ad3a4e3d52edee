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


async def test_an_e_mail_that_postgres_can_not_hold_is_a_wrong_one(
    console_url: str,
) -> None:
    async with httpx.AsyncClient(base_url=console_url, headers={"Origin": console_url}) as stranger:
        for email in ("a\0@example.com", "\0"):
            answer = await stranger.post("/console/sign-in", data={"email": email, "secret": "x\0"})
            assert (answer.status_code, "no e-mail with its password" in answer.text) == (403, True), email


_PART = b'--x\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'


async def test_no_form_is_larger_than_a_page_of_ours_can_send(
    console_url: str, console: httpx.AsyncClient, http: httpx.AsyncClient, services: Services
) -> None:
    await game(http)
    await write(http)
    long = b"a" * 70_000
    forms = (
        ("multipart/form-data; boundary=x", _PART % (b"email", b"", long) + b"--x--\r\n", 413),
        ("multipart/form-data; boundary=x", _PART % (b"email", b'; filename="f"', long) + b"--x--\r\n", 413),
        ("multipart/form-data; boundary=x", _PART % (b"email", b'; filename="f"', b"a") + b"--x--\r\n", 400),
        ("application/x-www-form-urlencoded", b"email=" + long, 413),
        ("application/x-www-form-urlencoded", b"a=&" * 100, 400),
        ("multipart/form-data", b"", 400),
    )
    async with httpx.AsyncClient(base_url=console_url, headers={"Origin": console_url}) as stranger:
        for client, path in ((stranger, "/console/sign-in"), (console, "/console/users/ann/actions/freeze")):
            for type_, body, status in forms:
                answer = await client.post(path, content=body, headers={"Content-Type": type_})
                assert (answer.status_code, "<h1>" in answer.text) == (status, True), (path, type_, body[:80])
