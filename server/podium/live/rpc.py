"""The rpcs ``event`` and ``events`` of the WebSocket: they take JSON and return the JSON of the HTTP answer."""

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
    """Commits events that arrive over WebSockets.

    ``only_user`` is the only user that the connection may write for (that of its token or key), None for any.

    Raises:
        RequestError: by both methods, for an invalid request.
        Unavailable: by both methods, while a store is away.
    """

    def __init__(self, intake: Callable[[Space], Intake], catalogs: CatalogCheck, clock: Clock) -> None:
        self._intake = intake
        self._catalogs = catalogs
        self._clock = clock

    async def post_event(self, space: Space, data: bytes, only_user: str | None) -> bytes:
        """Commit one event; return its answer as JSON."""
        request, version = decode(_event, data), space.index.version
        try:
            event = from_item(space.index, request, self._clock())
        except REFUSALS:
            # This process may not know of the newest catalog yet, and a metric that was just added must work.
            if not await self._catalogs.has_newer(space, version):
                raise
            event = from_item(space.index, request, self._clock())
        if only_user is not None and event.user != only_user:
            raise Forbidden("user: this token may write only for its own user")
        if only_user is not None:
            check_own(event)
        return encode_answer(await self._intake(space).event(event))

    async def post_events(self, space: Space, data: bytes, only_user: str | None) -> bytes:
        """Commit a batch of events; return ``{accepted, replayed?, refused?}`` as JSON."""
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
