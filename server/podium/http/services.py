"""The interface of a running server for HTTP handlers; ``request.app.state.services`` implements it."""

from __future__ import annotations

from typing import Protocol, cast

from starlette.requests import Request

from podium.clock import Clock
from podium.game.inputs import Input
from podium.game.records import LogRecord
from podium.game.state import UserState
from podium.http.stale_cache import StaleWhileRevalidateCache
from podium.spaces.catalog_check import CatalogCheck
from podium.spaces.directory import Directory
from podium.spaces.reads import Reads
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool
from podium.storage.redis.client import RedisClient


class WebSettings(Protocol):
    """The settings (server/podium/settings.py) that handlers use."""

    @property
    def body_limit(self) -> int: ...
    @property
    def batch_limit(self) -> int: ...
    @property
    def console_one_click(self) -> bool: ...
    @property
    def console_plain_http(self) -> bool: ...


class Services(Protocol):
    """The part of ``podium.services.Services`` that packages below it may use."""

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
    def cache(self) -> StaleWhileRevalidateCache: ...
    @property
    def reads(self) -> Reads: ...
    @property
    def catalogs(self) -> CatalogCheck: ...

    async def thaw(self, space: Space, users: list[str]) -> None:
        """Put the states of cold users back into Redis."""

    async def replay(self, space: Space, users: list[str]) -> tuple[list[str], dict[str, str]]:
        """Replay users' stored events in the order of their time.

        Return the users for whom it is done, and notes by user: why it is not done, or what stays as it is.
        """

    async def commit(self, space: Space, input_: Input) -> UserState:
        """Commit a command; return the user's state after it (docs/decisions/0017-commands.md)."""

    async def commit_with_record(self, space: Space, input_: Input) -> tuple[UserState, LogRecord]:
        """Commit a command; return the user's state after it, and the record of its effects."""


def services(request: Request) -> Services:
    """Return the services of the server that received this request."""
    return cast(Services, request.app.state.services)
