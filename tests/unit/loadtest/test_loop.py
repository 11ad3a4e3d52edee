"""The list of requests by which ``loadtest.loop`` tries the event loop, against the routing table."""

from __future__ import annotations

from loadtest.loop_cases import CASES, SOCKET_METHODS, STREAM, names
from podium.app import create_app
from podium.live import protocol
from podium.live.socket import RPCS
from podium.settings import Settings


def test_every_route_has_a_case() -> None:
    """Who adds a route says with which request, as large as it may be, the event loop is tried."""
    app = create_app(Settings(redis_url="redis://-", database_url="postgres://-"))
    routes = set(names(app.routes))
    assert len(routes) > 140
    assert routes == {*CASES, STREAM}
    assert all(CASES.values())


def test_every_method_of_the_socket_has_a_case() -> None:
    methods = {name for name in protocol.Envelope.__struct_fields__ if name not in ("id", *UNSUPPORTED)}
    asked = {name.partition(" ")[0] for name in SOCKET_METHODS}
    assert asked == methods
    assert {name.partition(" ")[2] for name in SOCKET_METHODS if name.startswith("rpc ")} == set(RPCS)


UNSUPPORTED = ("presence", "presence_stats", "history", "publish", "sub_refresh")
