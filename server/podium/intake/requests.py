"""Events as they arrive, over HTTP or socket: typed bodies, and their way to an ``Event``."""

from __future__ import annotations

import msgspec

from podium.game.catalog import CatalogIndex
from podium.game.errors import NotFound, RequestError, Unprocessable
from podium.game.ids import new_uuid7
from podium.game.inputs import FUTURE_MS, Event, check_event
from podium.game.periods import parse_instant
from podium.game.users.restricted_fields import check_upsert
from podium.game.users.rules import NOTHING, Upsert


class EventUser(Upsert, frozen=True, rename="camel", kw_only=True, gc=False):
    """The user of an event, created if new; fields that are left out stay as they are."""

    id: str


class EventRequest(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One event. ``value`` is added to the user's total; ``timestamp`` (ISO 8601 with an offset) defaults to
    now and may lie at most 5 minutes ahead."""

    user: EventUser
    value: float
    attributes: dict[str, str] | None = None
    timestamp: str | None = None


class BatchItem(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One event of a batch; ``key`` is the metric's."""

    key: str
    user: EventUser
    value: float
    attributes: dict[str, str] | None = None
    idempotency_key: str | None = None
    timestamp: str | None = None


class SocketEvent(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """The ``event`` rpc: ``user`` is an id, or a user as in HTTP."""

    key: str
    user: EventUser | str
    value: float
    attributes: dict[str, str] | None = None
    idempotency_key: str | None = None
    timestamp: str | None = None


def _timestamp(text: str | None) -> int | None:
    return None if text is None else parse_instant("timestamp", text)


def _upsert(user: EventUser) -> Upsert:
    """The user itself if it says more than its id."""
    unset = msgspec.UNSET
    if (
        user.name is unset
        and user.tz is unset
        and user.email is unset
        and user.attributes is unset
        and user.subscribe_to_emails is unset
        and user.device_tokens is unset
        and user.sign_up_date is unset
    ):
        return NOTHING
    return user


def from_request(
    index: CatalogIndex, metric: str, request: EventRequest, key: str | None, received_ms: int
) -> Event:
    """The event of ``POST /v1/metrics/{key}/event``, checked; 422 naming the field."""
    event = Event(
        id=new_uuid7(received_ms),
        user=request.user.id,
        metric=metric,
        value=request.value,
        received_ms=received_ms,
        upsert=_upsert(request.user),
        attributes=request.attributes or None,
        key=key,
        timestamp_ms=_timestamp(request.timestamp),
    )
    check_event(index, event)
    return event


def from_item(index: CatalogIndex, item: BatchItem | SocketEvent, received_ms: int) -> Event:
    """The event of a batch item or an rpc, checked; 422 naming the field."""
    user = EventUser(id=item.user) if isinstance(item.user, str) else item.user
    event = Event(
        id=new_uuid7(received_ms),
        user=user.id,
        metric=item.key,
        value=item.value,
        received_ms=received_ms,
        upsert=_upsert(user),
        attributes=item.attributes or None,
        key=item.idempotency_key,
        timestamp_ms=_timestamp(item.timestamp),
    )
    check_event(index, event)
    return event


def check_own(event: Event) -> None:
    """422 naming the field of an event that its user's own key or token may not send: another time than now, or
    what is not the user's to set (game/users/restricted_fields.py)."""
    if event.timestamp_ms is not None and abs(event.timestamp_ms - event.received_ms) > FUTURE_MS:
        raise Unprocessable("timestamp must lie within 5 minutes of now with a user's own key or token")
    check_upsert(event.upsert)


BATCH_MAX = 1_000
"""Events of one batch (docs/http-api.md#batches-of-events)."""


def from_batch(index: CatalogIndex, items: list[BatchItem], received_ms: int) -> list[Event]:
    """Return the events of a batch (docs/http-api.md#batches-of-events).

    One bad item refuses the whole batch and is named by its index: 404 for an unknown metric, else 422.
    """
    if not 1 <= len(items) <= BATCH_MAX:
        raise Unprocessable(f"a batch must hold 1 to {BATCH_MAX:,} events")
    events = []
    for i, item in enumerate(items):
        try:
            events.append(from_item(index, item, received_ms))
        except RequestError as error:
            kind = type(error) if item.key in index.metric_by_key else NotFound
            raise kind(f"[{i}]: {error}") from None
    return events
