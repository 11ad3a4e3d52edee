"""The rpcs ``event`` and ``events`` of the WebSocket: JSON in, the JSON of the HTTP answer out."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from podium.clock import Clock
from podium.game.errors import Forbidden, Unprocessable
from podium.http.bodies import decode
from podium.intake.answers import encode_answer
from podium.intake.requests import BatchItem, SocketEvent, check_own, from_batch, from_item
from podium.intake.service import Intake
from podium.spaces.catalog_check import REFUSALS, CatalogCheck
from podium.spaces.space import Space

_event = msgspec.json.Decoder(SocketEvent)
_events = msgspec.json.Decoder(list[BatchItem])


class EventRpc:
    """Commits the events that arrive over sockets.

    ``only_user`` is the one user that a connection may write for (that of its token or key); None: any user.
    The methods raise ``RequestError`` for what the client got wrong, ``Unavailable`` while a store is away.
    """

    def __init__(self, intake: Callable[[Space], Intake], catalogs: CatalogCheck, clock: Clock) -> None:
        self._intake = intake
        self._catalogs = catalogs
        self._clock = clock

    async def post_event(self, space: Space, data: bytes, only_user: str | None) -> bytes:
        """The rpc ``event``: JSON in, JSON of the HTTP answer out."""
        request, version = decode(_event, data), space.index.version
        try:
            event = from_item(space.index, request, self._clock())
        except REFUSALS:
            if not await self._catalogs.has_newer(space, version):
                raise
            event = from_item(space.index, request, self._clock())
        if only_user is not None and event.user != only_user:
            raise Forbidden("user: this token may write only for its own user")
        if only_user is not None:
            check_own(event)
        return encode_answer(await self._intake(space).event(event))

    async def post_events(self, space: Space, data: bytes, only_user: str | None) -> bytes:
        """The rpc ``events``: JSON in, ``{accepted, replayed?, refused?}`` out."""
        items, version = decode(_events, data), space.index.version
        try:
            events = from_batch(space.index, items, self._clock())
        except REFUSALS:
            if not await self._catalogs.has_newer(space, version):
                raise
            events = from_batch(space.index, items, self._clock())
        if only_user is not None and any(event.user != only_user for event in events):
            raise Forbidden("user: this token may write only for its own user")
        for place, event in enumerate(events if only_user is not None else ()):
            try:
                check_own(event)
            except Unprocessable as error:
                raise Unprocessable(f"[{place}]: {error}") from None
        return encode_answer(await self._intake(space).events(events))
