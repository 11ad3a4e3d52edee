"""What HTTP handlers need of a running server; ``request.app.state.services`` has it."""

from __future__ import annotations

from typing import Protocol, cast

from starlette.requests import Request

from server.backends.postgres.pool import Pool
from server.backends.redis.client import RedisClient
from server.clock import Clock
from server.engine.inputs import Input
from server.engine.records import LogRecord
from server.engine.state import UserState
from server.http.memo import Memo
from server.spaces.directory import Directory
from server.spaces.reads import Reads
from server.spaces.space import Space


class WebSettings(Protocol):
    """The settings (server/settings.py) that handlers ask for."""

    @property
    def body_limit(self) -> int: ...
    @property
    def batch_limit(self) -> int: ...
    @property
    def console_one_click(self) -> bool: ...
    @property
    def console_plain_http(self) -> bool: ...


class Services(Protocol):
    """The part of services.py that rooms below it use."""

    @property
    def directory(self) -> Directory: ...
    @property
    def pool(self) -> Pool: ...
    @property
    def redis(self) -> RedisClient: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def settings(self) -> WebSettings: ...

    @property
    def memo(self) -> Memo: ...
    @property
    def reads(self) -> Reads: ...

    async def thaw(self, space: Space, users: list[str]) -> None:
        """Put the states of cold users back into Redis."""

    async def replay(self, space: Space, users: list[str]) -> tuple[list[str], dict[str, str]]:
        """Count users' stored events anew in the order of their time; for whom that is done, and by user why it
        isn't, or what stays as it is."""

    async def commit(self, space: Space, input_: Input) -> UserState:
        """Commit a command; the user's state after it (design decision 17)."""

    async def told(self, space: Space, input_: Input) -> tuple[UserState, LogRecord]:
        """Commit a command; the user's state after it, and what it concluded."""


def services(request: Request) -> Services:
    """The services of the server that got this request."""
    return cast(Services, request.app.state.services)
