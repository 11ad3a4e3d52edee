import json
from typing import Any

import msgspec
import pytest

from podium.game import errors
from podium.live import protocol
from podium.live.protocol import (
    Close,
    CloseCode,
    CommandError,
    ConnectRequest,
    ConnectResult,
    ErrorCode,
    RpcRequest,
    Session,
    SubscribeRequest,
)


def connected() -> Session:
    session = Session()
    session.connected = True
    return session


def test_a_frame_holds_several_commands_and_pongs() -> None:
    frame = '{"id":1,"rpc":{"method":"event"}}\n{}\n\n{"id":3,"subscribe":{"channel":"c"},"flag":1}\n'
    first, pong, last = connected().commands(frame)
    assert first is not None
    assert last is not None
    assert (first.id, first.method, pong) == (1, "rpc", None)
    assert protocol.body(last, SubscribeRequest).channel == "c"


def test_commands_come_as_bytes_too() -> None:
    commands = list(connected().commands(b'{"id":1,"ping":{}}\n{}'))
    assert [command and command.method for command in commands] == ["ping", None]


@pytest.mark.parametrize(
    "frame",
    [
        "not json",
        '{"id":1,"rpc":{"method":"\\ud800"}}',
        "[]",
        "1",
        "{",
        '{"id":0,"rpc":{}}',
        '{"rpc":{}}',
        '{"id":-1,"rpc":{}}',
        '{"id":"1","rpc":{}}',
        '{"id":1.5,"rpc":{}}',
        '{"id":1,"connect":{}}',
        '{"id":2,"rpc":{}}\n{"id":2,"rpc":{}}',
        '{"id":2,"rpc":{}}\n{"id":1,"rpc":{}}',
        '{"id":1,"rpc":' + "[" * 100_000 + "}",
    ],
)
def test_a_broken_frame_ends_the_connection(frame: str) -> None:
    with pytest.raises(Close) as closed:
        list(connected().commands(frame))
    assert closed.value.code is CloseCode.BAD_REQUEST


def test_connect_must_come_first_but_may_be_tried_again() -> None:
    with pytest.raises(Close):
        list(Session().commands('{"id":1,"subscribe":{"channel":"c"}}'))
    session = Session()
    commands = session.commands('{"id":1,"connect":{}}\n{"id":2,"connect":{"token":"t"}}')
    assert [command and command.method for command in commands] == ["connect", "connect"]


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("presence", ErrorCode.NOT_AVAILABLE),
        ("presence_stats", ErrorCode.NOT_AVAILABLE),
        ("history", ErrorCode.NOT_AVAILABLE),
        ("publish", ErrorCode.NOT_AVAILABLE),
        ("sub_refresh", ErrorCode.NOT_AVAILABLE),
        ("send", ErrorCode.METHOD_NOT_FOUND),
    ],
)
def test_methods_left_out(method: str, code: ErrorCode) -> None:
    (command,) = connected().commands(json.dumps({"id": 1, method: {}}))
    assert command is not None
    with pytest.raises(CommandError) as refused:
        protocol.refuse_unsupported(command)
    assert refused.value.code is code


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ('{"id":1,"subscribe":{}}', SubscribeRequest),
        ('{"id":1,"subscribe":{"channel":5}}', SubscribeRequest),
        ('{"id":1,"subscribe":null}', SubscribeRequest),
        ('{"id":1,"subscribe":[]}', SubscribeRequest),
        ('{"id":1,"rpc":{"method":[]}}', RpcRequest),
        ('{"id":1,"refresh":{"token":1}}', ConnectRequest),
    ],
)
def test_a_body_of_another_shape_is_error_107(text: str, type_: Any) -> None:
    (command,) = connected().commands(text)
    assert command is not None
    with pytest.raises(CommandError) as refused:
        protocol.body(command, type_)
    assert refused.value.code is ErrorCode.BAD_REQUEST


def test_a_body_nested_too_deeply_is_error_107() -> None:
    raw = msgspec.Raw(b'{"channel":"c","deep":' + b"[" * 100_000)
    with pytest.raises(CommandError, match="nested too deeply") as refused:
        protocol.decode(raw, SubscribeRequest)
    assert refused.value.code is ErrorCode.BAD_REQUEST


def test_channels_are_counted() -> None:
    session = Session(channels_max=3)
    for i in range(3):
        session.subscribe(f"c{i}")
    with pytest.raises(CommandError) as again:
        session.subscribe("c0")
    with pytest.raises(CommandError) as over:
        session.subscribe("more")
    assert (again.value.code, over.value.code) == (ErrorCode.ALREADY_SUBSCRIBED, ErrorCode.LIMIT_EXCEEDED)
    session.unsubscribe("c0")
    session.unsubscribe("never")
    session.subscribe("more")
    boundless = Session(channels_max=0)
    for i in range(1_000):
        boundless.subscribe(f"c{i}")


@pytest.mark.parametrize(
    ("error", "code", "temporary"),
    [
        (errors.BadRequest("value is missing"), 107, False),
        (errors.Unprocessable("value is missing"), 107, False),
        (errors.NotFound("value is missing"), 107, False),
        (errors.Forbidden("value is missing"), 103, False),
        (errors.Unauthorized("value is missing"), 101, False),
        (errors.TooManyRequests("value is missing"), 111, True),
        (errors.Unavailable("value is missing"), 100, True),
    ],
)
def test_our_errors_keep_their_message(error: errors.PodiumError, code: int, temporary: bool) -> None:
    reply = json.loads(protocol.error_reply(7, protocol.command_error(error)))
    assert reply == {"id": 7, "error": {"code": code, "message": "value is missing", "temporary": temporary}}


def test_replies_and_pushes() -> None:
    result = ConnectResult(client="c", version="podium", ping=25, pong=True)
    assert json.loads(protocol.reply(1, "connect", result)) == {
        "id": 1,
        "connect": {"client": "c", "version": "podium", "ping": 25, "pong": True},
    }
    assert json.loads(protocol.reply(2, "unsubscribe")) == {"id": 2, "unsubscribe": {}}
    assert json.loads(protocol.subscribe_reply(3, '{"seq":0}')) == {
        "id": 3,
        "subscribe": {"recoverable": False, "data": {"seq": 0}},
    }
    assert json.loads(protocol.rpc_reply(4, "[1]")) == {"id": 4, "rpc": {"data": [1]}}
    assert json.loads(protocol.publication_head('a"b') + '{"seq":1}' + protocol.PUBLICATION_TAIL) == {
        "push": {"channel": 'a"b', "pub": {"data": {"seq": 1}}}
    }
    assert json.loads(protocol.unsubscribe_push("c", protocol.Unsubscribed.INSUFFICIENT, "why")) == {
        "push": {"channel": "c", "unsubscribe": {"code": 2500, "reason": "why"}}
    }
