"""The doors for events over HTTP. The single event is the hot path: it speaks ASGI itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from podium.game.errors import Forbidden
from podium.http.answers import answer
from podium.http.auth import header_text, principal
from podium.http.bodies import decode, read, receive_body
from podium.http.endpoints import Endpoint, Query
from podium.http.errors import answer_error
from podium.intake.answers import EventResponse, encode_answer
from podium.intake.requests import BatchItem, EventRequest, check_own, from_batch, from_request
from podium.intake.service import BatchResponse
from podium.spaces.catalog_check import REFUSALS

if TYPE_CHECKING:
    from podium.services import Services

_event = msgspec.json.Decoder(EventRequest)
_batch = msgspec.json.Decoder(list[BatchItem])

_JSON = (b"content-type", b"application/json")


class PostEvent:
    """``POST /v1/metrics/{key}/event``: 201, or 202 for a key that was used before."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; ``scope["app"]`` is the Starlette application."""
        services: Services = scope["app"].state.services
        try:
            status, body = await self._post(services, scope, receive)
        except Exception as error:  # noqa: BLE001 - each becomes an answer; ours are logged there
            await answer_error(error, "POST", scope["path"])(scope, receive, send)
            return
        headers = [_JSON, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _post(self, services: Services, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        api_key: str | None = None
        idempotency_key: str | None = None
        tenant: str | None = None
        for name, value in scope["headers"]:
            if name == b"x-api-key":
                api_key = value.decode("latin-1")
            elif name == b"idempotency-key":
                idempotency_key = header_text("Idempotency-Key", value)
            elif name == b"tenant-id":
                tenant = header_text("Tenant-ID", value)
        who = services.directory.enter(api_key, tenant)
        if not who.may("events:write"):
            raise Forbidden("this key may not write events")
        request = decode(_event, await receive_body(receive, services.settings.body_limit))
        space = who.space
        if who.user is not None:
            who.check_user(request.user.id)
        metric, version = scope["path_params"]["key"], space.index.version
        try:
            event = from_request(space.index, metric, request, idempotency_key, services.clock())
        except REFUSALS:
            if not await services.catalogs.has_newer(space, version):
                raise
            event = from_request(space.index, metric, request, idempotency_key, services.clock())
        if who.user is not None:
            check_own(event)
        response = await services.intake(space).event(event)
        return 202 if response.idempotent_replayed is True else 201, encode_answer(response)


async def post_events(request: Request) -> Response:
    """``POST /admin/v1/metrics/events``: 202 after all are stored."""
    services: Services = request.app.state.services
    space = principal(request).space
    items = await read(request, _batch, services.settings.batch_limit)
    events = from_batch(space.index, items, services.clock())
    return answer(await services.intake(space).events(events), status=202)


_BEFORE, _AFTER = "/v1/metrics/", "/event"


class HotPath:
    """The whole application, with the hot path in front of its middleware and routes.

    Measured: they take a quarter of the time that an event has in this process.
    """

    def __init__(self, app: Starlette) -> None:
        self.app = app
        self._post = PostEvent()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a single event here, everything else there."""
        if scope["type"] == "http" and scope["method"] == "POST":
            path: str = scope["path"]
            if path.startswith(_BEFORE) and path.endswith(_AFTER):
                key = path[len(_BEFORE) : -len(_AFTER)]
                if key and "/" not in key:
                    scope["app"] = self.app
                    scope["path_params"] = {"key": key}
                    await self._post(scope, receive, send)
                    return
        await self.app(scope, receive, send)


ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="POST",
        path="/v1/metrics/{key}/event",
        summary="Post an event",
        tag="Events",
        needs="events:write",
        statuses=(201, 202, 400, 403, 413, 422, 429, 503),
        asgi=PostEvent(),
        body=EventRequest,
        answer=EventResponse,
        headers=(
            Query(
                "Idempotency-Key",
                "The event counts once, however often it is sent with this key; a repeat is 202.",
            ),
        ),
        description="Adds `value` to the user's total, creates the user if new, and answers with all that"
        " changed. 201 means stored.",
    ),
    Endpoint(
        method="POST",
        path="/admin/v1/metrics/events",
        summary="Post up to 1,000 events",
        tag="Events",
        needs="events:write",
        statuses=(202, 400, 403, 404, 413, 422, 429, 503),
        handler=post_events,
        body=list[BatchItem],
        answer=BatchResponse,
        description="202 after all are stored. One item that is malformed or names something unknown refuses "
        "the whole batch, before anything is stored, and is named by its index. `accepted` counts what is stored "
        "now, `replayed` how many of these were stored before: their idempotency keys are known.",
    ),
]
