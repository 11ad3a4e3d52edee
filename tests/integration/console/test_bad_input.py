"""Unusual input: days at the end of the calendar, characters that no store takes, forms without end."""

from __future__ import annotations

import httpx

from podium.services import Services
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


URLENCODED = "application/x-www-form-urlencoded"
PART = b'--x\r\nContent-Disposition: form-data; name="email"\r\n\r\na\r\n--x--\r\n'


async def test_a_form_that_no_page_of_ours_sends_is_refused(
    console_url: str, console: httpx.AsyncClient, http: httpx.AsyncClient, services: Services
) -> None:
    await game(http)
    await write(http)
    forms = (
        ("multipart/form-data; boundary=x", b"a" * 70_000, 413, "65,536 bytes"),
        (
            "multipart/form-data; boundary=x",
            PART,
            415,
            f"must be sent as {URLENCODED}, not as multipart/form-data",
        ),
        ("multipart/form-data", b"", 415, "not as multipart/form-data"),
        ("application/json", b'{"email": "a"}', 415, "not as application/json"),
        ("", b"email=a", 415, "without a type"),
        (URLENCODED, b"email=" + b"a" * 70_000, 413, "65,536 bytes"),
        (URLENCODED, b"&".join([b"a="] * 51), 400, "at most 50 fields"),
        (URLENCODED, b"&" * 60_000, 400, "at most 50 fields"),
        (URLENCODED, b"email=%ff", 400, "not UTF-8"),
        (URLENCODED, b"email=\xff", 400, "not UTF-8"),
    )
    async with httpx.AsyncClient(base_url=console_url, headers={"Origin": console_url}) as stranger:
        for client, path in ((stranger, "/console/sign-in"), (console, "/console/users/ann/actions/freeze")):
            for type_, body, status, words in forms:
                headers = {"Content-Type": type_} if type_ else {}
                answer = await client.post(path, content=body, headers=headers)
                assert (answer.status_code, "<h1>" in answer.text) == (status, True), (path, type_, body[:80])
                assert words in answer.text, (path, type_, body[:80])
