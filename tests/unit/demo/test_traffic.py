from __future__ import annotations

import httpx
import pytest

from podium.demo import traffic
from podium.demo.catalog import YOU


@pytest.mark.parametrize(("statuses", "sent"), [([201], 1), ([503, 201], 2), ([422], 1), ([401], 1)])
async def test_an_event_is_sent_again_while_the_server_is_away_and_left_out_if_it_is_refused(
    monkeypatch: pytest.MonkeyPatch, statuses: list[int], sent: int
) -> None:
    monkeypatch.setattr(traffic, "AWAY_S", 0.0)
    left, keys = iter(statuses), []

    def respond(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["idempotency-key"])
        return httpx.Response(next(left))

    async with httpx.AsyncClient(transport=httpx.MockTransport(respond), base_url="http://test") as client:
        await traffic._write(client, YOU, 5)
    assert (len(keys), len(set(keys))) == (sent, 1)
