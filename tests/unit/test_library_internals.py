"""Methods of libraries that our classes replace exist: one that a release renames would never be called."""

from __future__ import annotations

import inspect
from types import FunctionType

import pytest
import redis.asyncio as aioredis
from prometheus_client import Histogram
from websockets.server import ServerProtocol

from podium.app import _PublicScripts
from podium.cli import serve
from podium.http.cors import _Api, _Cors
from podium.http.routes import EscapedRoute
from podium.http.transport import JoinedProtocol
from podium.http.websocket import DirectWebSocket
from podium.storage.redis.client import RedisClient, _Connection, _Parser
from podium.telemetry.metrics import observe_all

URL = "redis://127.0.0.1:1/0"
CONNECTION: type = RedisClient(URL).raw.connection_pool.connection_class

OURS: dict[type, set[str]] = {
    JoinedProtocol: {"write_answer"},
    DirectWebSocket: {"admit", "write"},
    serve._Processes: set(),
    CONNECTION: set(),
    _Parser: set(),
    _Cors: set(),
    _Api: set(),
    EscapedRoute: set(),
    _PublicScripts: set(),
}
"""Classes that stand on one of a library, and the public methods that they add."""


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_methods_that_we_replace_are_the_librarys(kind: type) -> None:
    own = [one for one in kind.__mro__ if one.__module__.startswith(_Connection.__module__.partition(".")[0])]
    library = kind.__mro__[len(own)]
    replaced = {
        name: method
        for one in own
        for name, method in vars(one).items()
        if isinstance(method, FunctionType) and not name.startswith("_") and name not in OURS[kind]
    }
    assert replaced or kind is _Parser
    for name, method in replaced.items():
        theirs = getattr(library, name, None)
        assert theirs is not None, f"{library.__qualname__} has no {name} any more"
        assert inspect.iscoroutinefunction(theirs) == inspect.iscoroutinefunction(method), name
        if method.__code__.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS) == 0:
            taken = [*inspect.signature(theirs).parameters.values()]
            given = inspect.signature(method).parameters
            assert len(given) == len(taken), f"{library.__qualname__}.{name} takes {[one.name for one in taken]}"


def test_redis_has_what_our_connection_and_parser_change() -> None:
    pool = aioredis.BlockingConnectionPool.from_url(URL)
    connection = pool.connection_class()
    assert hasattr(connection, "socket_timeout")  # taken away while a command is sent
    assert "socket_timeout" in inspect.getsource(type(connection).send_packed_command)
    parser: type = _Parser.__mro__[1]
    assert {"OOM", "READONLY", "NOPERM"} <= set(vars(_Parser)["EXCEPTION_CLASSES"])
    assert "EXCEPTION_CLASSES" in inspect.getsource(parser.parse_error)  # type: ignore[attr-defined]


def test_a_histogram_counts_many_values_like_one_after_the_other() -> None:
    one, many = (Histogram("h", "", buckets=(1, 2, 4), registry=None) for _ in range(2))
    values = [0.5, 1.0, 1.5, 2.0, 3.0, 9.0]
    for value in values:
        one.observe(value)
    observe_all(many, values)
    observe_all(many, [])
    found, expected = ([(s.name, s.labels, s.value) for m in h.collect() for s in m.samples] for h in (many, one))
    assert [sample for sample in found if "created" not in sample[0]] == [
        sample for sample in expected if "created" not in sample[0]
    ]


def test_websockets_has_the_limit_that_admit_raises() -> None:
    assert ServerProtocol(max_size=7).max_message_size == 7
    assert "self.max_message_size" in inspect.getsource(ServerProtocol.__mro__[1])
    assert hasattr(ServerProtocol(), "handshake_exc")


def test_uvicorn_has_what_our_protocol_keeps_for_it() -> None:
    base = JoinedProtocol.__mro__[1]
    assert "self.timeout_keep_alive_task is not None" in inspect.getsource(base._unset_keepalive_if_required)  # type: ignore[attr-defined]
    begins = inspect.getsource(base.on_message_begin)  # type: ignore[attr-defined]
    assert all(f"self.{name} = " in begins for name in ("url", "headers", "expect_100_continue", "scope"))
    assert '"headers": self.headers' in begins
    completes = inspect.getsource(base.on_response_complete)  # type: ignore[attr-defined]
    assert "server_state.total_requests += 1" in completes
