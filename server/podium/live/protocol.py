"""The Centrifuge JSON protocol as Podium speaks it: frames, error and close codes, and the order of commands.
Pure.

A frame is text: JSON objects separated by newlines. https://centrifugal.dev/docs/transports/client_protocol
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple, TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from podium.game import errors

VERSION = "podium"
PING_INTERVAL_S = 25
"""Below the idle limits of common proxies (60 s). Clients learn it from the reply to ``connect``."""

PING = "{}"


class ErrorCode(IntEnum):
    """Reasons for which a command fails; the connection stays open."""

    INTERNAL = 100
    UNAUTHORIZED = 101
    UNKNOWN_CHANNEL = 102
    PERMISSION_DENIED = 103
    METHOD_NOT_FOUND = 104
    ALREADY_SUBSCRIBED = 105
    LIMIT_EXCEEDED = 106
    BAD_REQUEST = 107
    NOT_AVAILABLE = 108
    TOKEN_EXPIRED = 109
    TOO_MANY_REQUESTS = 111


_TEXTS = {
    ErrorCode.INTERNAL: "internal server error",
    ErrorCode.UNAUTHORIZED: "unauthorized",
    ErrorCode.UNKNOWN_CHANNEL: "unknown channel",
    ErrorCode.PERMISSION_DENIED: "permission denied",
    ErrorCode.METHOD_NOT_FOUND: "method not found",
    ErrorCode.ALREADY_SUBSCRIBED: "already subscribed",
    ErrorCode.LIMIT_EXCEEDED: "limit exceeded",
    ErrorCode.BAD_REQUEST: "bad request",
    ErrorCode.NOT_AVAILABLE: "not available",
    ErrorCode.TOKEN_EXPIRED: "token expired",
    ErrorCode.TOO_MANY_REQUESTS: "too many requests",
}
_TEMPORARY = {ErrorCode.INTERNAL, ErrorCode.TOO_MANY_REQUESTS}
"""Errors after which the same command may succeed later."""


class CloseCode(IntEnum):
    """Reasons for which a connection ends. Clients reconnect, except after 3500–3999."""

    NORMAL = 3000
    SHUTDOWN = 3001
    EXPIRED = 3005
    SLOW = 3008
    NO_PONG = 3012
    TOO_MANY_REQUESTS = 3013
    INVALID_TOKEN = 3500
    BAD_REQUEST = 3501
    STALE = 3502
    FORCED = 3503
    CONNECTION_LIMIT = 3504
    CHANNEL_LIMIT = 3505


class Unsubscribed(IntEnum):
    """Reasons for which a subscription ends. Clients subscribe again after codes from 2500 on."""

    INSUFFICIENT = 2500


class CommandError(Exception):
    """Raised to answer a command with an error."""

    def __init__(self, code: ErrorCode, message: str | None = None) -> None:
        super().__init__(message or _TEXTS[code])
        self.code = code


class Close(Exception):  # not "…Error": a connection also ends when nothing is wrong
    """Raised to end the connection with this code; ``reason`` is for people."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def command_error(error: errors.PodiumError) -> CommandError:
    """Translate one of Podium's errors to the protocol's."""
    match error:
        case errors.Unauthorized():
            return CommandError(ErrorCode.UNAUTHORIZED, error.message)
        case errors.Forbidden():
            return CommandError(ErrorCode.PERMISSION_DENIED, error.message)
        case errors.TooManyRequests():
            return CommandError(ErrorCode.TOO_MANY_REQUESTS, error.message)
        case errors.RequestError():
            return CommandError(ErrorCode.BAD_REQUEST, error.message)
        case _:
            return CommandError(ErrorCode.INTERNAL, error.message)


class ConnectRequest(msgspec.Struct, frozen=True):
    """The body of ``connect`` and ``refresh``."""

    token: str = ""


class SubscribeRequest(msgspec.Struct, frozen=True):
    """The body of ``subscribe``; the meaning of ``data`` depends on the channel."""

    channel: str
    data: Raw = Raw()


class ChannelRequest(msgspec.Struct, frozen=True):
    """The body of ``unsubscribe``."""

    channel: str


class RpcRequest(msgspec.Struct, frozen=True):
    """The body of ``rpc``; the meaning of ``data`` depends on the method."""

    method: str = ""
    data: Raw = Raw()


class ConnectResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """The result of ``connect`` and ``refresh``.

    ``ttl`` is the rest of the token's life in seconds; a connection without ``expires`` has no end. ``ping`` is in
    seconds.
    """

    client: str
    version: str
    ping: int = 0
    pong: bool = False
    expires: bool = False
    ttl: int = 0


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A command whose body is not decoded yet; one of the methods is set."""

    id: int = 0
    connect: Raw | UnsetType = UNSET
    refresh: Raw | UnsetType = UNSET
    subscribe: Raw | UnsetType = UNSET
    unsubscribe: Raw | UnsetType = UNSET
    rpc: Raw | UnsetType = UNSET
    ping: Raw | UnsetType = UNSET
    presence: Raw | UnsetType = UNSET
    presence_stats: Raw | UnsetType = UNSET
    history: Raw | UnsetType = UNSET
    publish: Raw | UnsetType = UNSET
    sub_refresh: Raw | UnsetType = UNSET


_METHODS = tuple(f for f in Envelope.__struct_fields__ if f != "id")
_NOT_AVAILABLE = frozenset({"presence", "presence_stats", "history", "publish", "sub_refresh"})


class Command(NamedTuple):
    """A command that came in order; ``method`` is empty where Podium has none of that name."""

    id: int
    method: str
    body: Raw


_decode_envelope = msgspec.json.Decoder(Envelope).decode
_encode = msgspec.json.Encoder().encode
_EMPTY = (b"", b"null")
T = TypeVar("T", bound=msgspec.Struct)


def body(command: Command, type_: type[T]) -> T:
    """Decode the body of a command. Raises ``CommandError`` 107 if it is not of that shape."""
    return decode(command.body, type_)


def decode(raw: Raw, type_: type[T]) -> T:
    """Decode a value, ``{}`` where the client sent none.

    Raises ``CommandError`` 107 if it is not of that shape.
    """
    try:
        return msgspec.json.decode(raw if bytes(raw) not in _EMPTY else b"{}", type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CommandError(ErrorCode.BAD_REQUEST, str(error)) from None
    except RecursionError:
        raise CommandError(ErrorCode.BAD_REQUEST, "nested too deeply") from None


BLANK_MAX = 100
"""Blank lines that a frame may have: each costs time and means nothing."""


class Session:
    """The state of a connection in the protocol: the order of its commands, and its channels."""

    def __init__(self, channels_max: int = 0, name_bytes_max: int = 0) -> None:
        self.connected = False
        self.last_id = 0
        self.channels: set[str] = set()
        self.channels_max = channels_max
        """Most channels at a time; 0 for any number."""
        self.name_bytes_max = name_bytes_max
        """Most bytes of a channel's name; 0 for any number."""

    def check_name(self, channel: str) -> None:
        """Raise ``CommandError`` 107 for the name of a channel that is too long: several tables would keep it."""
        most = self.name_bytes_max
        if most and (len(channel) > most or len(channel.encode()) > most):
            raise CommandError(ErrorCode.BAD_REQUEST, f"channel must have at most {most:,} bytes")

    def subscribe(self, channel: str) -> None:
        """Add a subscription.

        Raises:
            CommandError: 105 where there is one already, 106 where there are too many, 107 for a long name.
        """
        self.check_name(channel)
        if channel in self.channels:
            raise CommandError(ErrorCode.ALREADY_SUBSCRIBED)
        if 0 < self.channels_max <= len(self.channels):
            raise CommandError(ErrorCode.LIMIT_EXCEEDED, f"at most {self.channels_max} channels per connection")
        self.channels.add(channel)

    def unsubscribe(self, channel: str) -> None:
        """Remove a subscription, if there is one."""
        self.channels.discard(channel)

    def commands(self, frame: str | bytes) -> Iterator[Command | None]:
        """Yield the commands of a frame in order, None for a pong.

        Raises:
            Close: 3501 where the frame breaks the protocol.
        """
        blank = 0
        for line in _lines(frame):
            if line and not line.isspace():
                yield self._command(line)
            elif (blank := blank + 1) > BLANK_MAX:
                raise Close(CloseCode.BAD_REQUEST, "too many blank lines")

    def _command(self, line: str | bytes) -> Command | None:
        try:
            envelope = _decode_envelope(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Close(CloseCode.BAD_REQUEST, "not a command") from None
        if not envelope.id and line.strip() in (PING, PING.encode()):
            return None
        if envelope.id <= self.last_id:
            raise Close(CloseCode.BAD_REQUEST, "command ids must rise from 1")
        self.last_id = envelope.id
        method, raw = next(
            ((m, raw) for m in _METHODS if (raw := getattr(envelope, m)) is not UNSET), ("", Raw(b"{}"))
        )
        if (method == "connect") is self.connected:
            raise Close(CloseCode.BAD_REQUEST, "connect must come first, and once")
        return Command(envelope.id, method, raw)


def _lines(frame: str | bytes) -> Iterator[str | bytes]:
    """Yield the lines one by one: as a list, two million pongs would take 100 MB."""
    start, end = 0, 0
    while end >= 0:
        end = frame.find(b"\n", start) if isinstance(frame, bytes) else frame.find("\n", start)
        yield frame[start : end if end >= 0 else None]
        start = end + 1


def refuse_unsupported(command: Command) -> None:
    """Raise ``CommandError``: 108 for a method that Podium leaves out, 104 for one that doesn't exist."""
    if command.method in _NOT_AVAILABLE:
        raise CommandError(ErrorCode.NOT_AVAILABLE)
    raise CommandError(ErrorCode.METHOD_NOT_FOUND)


def reply(id_: int, method: str, result: msgspec.Struct | None = None) -> str:
    """Return the reply of a command that succeeded, with ``{}`` where it has no result."""
    return f'{{"id":{id_},"{method}":{_encode(result).decode() if result is not None else "{}"}}}'


def subscribe_reply(id_: int, snapshot: str) -> str:
    """Return the reply of ``subscribe``; the snapshot is JSON already."""
    return f'{{"id":{id_},"subscribe":{{"recoverable":false,"data":{snapshot}}}}}'


def rpc_reply(id_: int, data: str) -> str:
    """Return the reply of ``rpc``; the data are JSON already."""
    return f'{{"id":{id_},"rpc":{{"data":{data}}}}}'


def error_reply(id_: int, error: CommandError) -> str:
    """Return the reply of a command that failed."""
    shown = {"code": error.code, "message": str(error), "temporary": error.code in _TEMPORARY}
    return _encode({"id": id_, "error": shown}).decode()


def publication_head(channel: str) -> str:
    """Return how every publication in a channel begins; its data follow, then ``PUBLICATION_TAIL``."""
    return f'{{"push":{{"channel":{_encode(channel).decode()},"pub":{{"data":'


PUBLICATION_TAIL = "}}}"


def unsubscribe_push(channel: str, code: Unsubscribed, reason: str) -> str:
    """Return the push that ends a subscription."""
    push = {"channel": channel, "unsubscribe": {"code": code, "reason": reason}}
    return _encode({"push": push}).decode()
