"""Endpoints that take events. The one for single events is the hot path, and is a bare ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from podium.clock import stopwatch_s
from podium.game.errors import Forbidden
from podium.http.answers import answer
from podium.http.auth import header_text, principal
from podium.http.bodies import decode, read, receive_body
from podium.http.endpoints import Endpoint, Query, Raw
from podium.http.errors import answer_error
from podium.http.timing import RANK_TIMING, SERVER_TIMING, rank_timing
from podium.http.transport import Headers, Respond
from podium.intake.answers import EventResponse, encode_answer
from podium.intake.requests import BatchItem, EventRequest, check_own, from_batch, from_request
from podium.intake.service import BatchResponse
from podium.spaces.catalog_check import REFUSALS
from podium.spaces.space import Principal, Space

if TYPE_CHECKING:
    from podium.services import Services

_event = msgspec.json.Decoder(EventRequest)
_batch = msgspec.json.Decoder(list[BatchItem])

_JSON = (b"content-type", b"application/json")
DIRECT_BODY_MAX = 16_384
"""Most bytes of a body that is answered without ASGI."""


class PostEvent:
    """``POST /v1/metrics/{key}/event``: 201, or 202 for an idempotency key that was used before.

    The HTTP protocol passes it most requests directly (http/transport.py), the others come through ASGI.
    """

    method, before, after = b"POST", b"/v1/metrics/", b"/event"

    def __init__(self, services: Callable[[], Services]) -> None:
        """``services`` returns the services. It is called only after the application has started."""
        self._services = services
        self._body_max = 0
        self._retrying: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that comes through ASGI."""
        future: asyncio.Future[tuple[int, Headers, bytes]] = asyncio.get_running_loop().create_future()

        def respond(status: int, headers: Headers, body: bytes) -> None:
            if not future.done():  # cancelled, when the server stops without waiting for the answer
                future.set_result((status, headers, body))

        part = scope["path_params"]["key"]
        try:
            limit = self._services().settings.body_limit
            body = await receive_body(receive, limit, dict(scope["headers"]).get(b"content-length"))
        except Exception as error:  # noqa: BLE001 - answer_error answers all, and logs our bugs
            _respond_error(error, part, respond)
        else:
            self.answer_direct(part, scope["headers"], body, respond)
        status, headers, body = await future
        whole = [*headers, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": whole})
        await send({"type": "http.response.body", "body": body})

    @property
    def body_max(self) -> int:
        """Most bytes of a body that is taken directly. Nearly all such bodies come in one packet with their
        head."""
        if not self._body_max:
            self._body_max = min(DIRECT_BODY_MAX, self._services().settings.body_limit)
        return self._body_max

    def answer_direct(self, part: str, headers: Headers, body: bytes, respond: Respond) -> None:
        """Answer a request to the metric ``part``, once its event is stored. Returns at once."""
        services = self._services()
        api_key: str | None = None
        idempotency_key: str | None = None
        tenant: str | None = None
        try:
            for name, value in headers:
                if name == b"x-api-key":
                    api_key = value.decode("latin-1")
                elif name == b"idempotency-key":
                    idempotency_key = header_text("Idempotency-Key", value)
                elif name == b"tenant-id":
                    tenant = header_text("Tenant-ID", value)
            who = services.directory.enter(api_key, tenant)
            if not who.may("events:write"):
                raise Forbidden("this key may not write events")
            request = decode(_event, body)
            if who.user is not None:
                who.check_user(request.user.id)
        except Exception as error:  # noqa: BLE001 - answer_error answers all, and logs our bugs
            _respond_error(error, part, respond)
            return
        version = who.space.index.version
        try:
            self._post(services, who, part, request, idempotency_key, respond)
        except REFUSALS as refusal:
            # The refusal may come from an old catalog: another process may just have created the metric. Asking
            # Redis for its version takes a task, which is kept here because asyncio holds tasks only weakly.
            again = partial(self._post, services, who, part, request, idempotency_key, respond)
            task = asyncio.create_task(
                self._post_if_newer(services, who.space, version, again, refusal, part, respond)
            )
            self._retrying.add(task)
            task.add_done_callback(self._retrying.discard)
        except Exception as error:  # noqa: BLE001 - as above
            _respond_error(error, part, respond)

    def _post(
        self,
        services: Services,
        who: Principal,
        part: str,
        request: EventRequest,
        idempotency_key: str | None,
        respond: Respond,
    ) -> None:
        space = who.space
        event = from_request(space.index, part, request, idempotency_key, services.clock())
        if who.user is not None:
            check_own(event)
        services.intake(space).post(event, _Reply(part, respond))

    async def _post_if_newer(
        self,
        services: Services,
        space: Space,
        version: int,
        post: Callable[[], None],
        refusal: Exception,
        part: str,
        respond: Respond,
    ) -> None:
        """Post again if there is a newer catalog than the refusal was based on, else answer with the refusal."""
        try:
            if not await services.catalogs.has_newer(space, version):
                raise refusal
            post()
        except Exception as error:  # noqa: BLE001 - answer_error answers all, and logs our bugs
            _respond_error(error, part, respond)


class _Reply:
    """Responds to one event, once it is stored or refused."""

    __slots__ = ("_part", "_respond")

    def __init__(self, part: str, respond: Respond) -> None:
        self._part = part
        self._respond = respond

    def stored(self, answer: EventResponse, rank_s: float) -> None:
        """See ``intake.service.Reply``."""
        status = 202 if answer.idempotent_replayed is True else 201
        self._respond(status, (_JSON, (SERVER_TIMING, rank_timing(rank_s))), encode_answer(answer))

    def refused(self, error: Exception) -> None:
        """See ``intake.service.Reply``."""
        _respond_error(error, self._part, self._respond)


def _respond_error(error: Exception, part: str, respond: Respond) -> None:
    found = answer_error(error, "POST", f"/v1/metrics/{part}/event")
    headers = [header for header in found.raw_headers if header[0] != b"content-length"]
    respond(found.status_code, headers, bytes(found.body))


async def post_events(request: Request) -> Response:
    """``POST /admin/v1/metrics/events``: 202 after all events are stored."""
    services: Services = request.app.state.services
    space = principal(request).space
    items = await read(request, _batch, services.settings.batch_limit)
    began_s = stopwatch_s()
    events = from_batch(space.index, items, services.clock())
    found = await services.intake(space).events(events)
    timing = rank_timing(stopwatch_s() - began_s).decode()
    return answer(found, status=202, headers={"Server-Timing": timing})


_BEFORE, _AFTER = PostEvent.before.decode(), PostEvent.after.decode()


class HotPath:
    """The whole application, with the hot path before its middleware and routes.

    Measured: middleware and routing would take a quarter of an event's time in this process.
    """

    def __init__(self, app: Starlette) -> None:
        self.app = app
        self.direct = PostEvent(lambda: app.state.services)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a single event directly, and pass everything else to the application."""
        if scope["type"] == "http" and scope["method"] == "POST":
            path: str = scope["path"]
            if path.startswith(_BEFORE) and path.endswith(_AFTER):
                key = path[len(_BEFORE) : -len(_AFTER)]
                if key and "/" not in key:
                    scope["path_params"] = {"key": key}
                    await self.direct(scope, receive, send)
                    return
        await self.app(scope, receive, send)


async def _post_event(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the request as a route, in applications without a ``HotPath`` before the routes."""
    await PostEvent(lambda: scope["app"].state.services)(scope, receive, send)


ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="POST",
        path="/v1/metrics/{key}/event",
        summary="Post an event",
        tag="Events",
        needs="events:write",
        statuses=(201, 202, 400, 403, 413, 422, 429, 503),
        asgi=Raw(_post_event),
        body=EventRequest,
        answer=EventResponse,
        answer_headers=(RANK_TIMING,),
        headers=(
            Query(
                "Idempotency-Key",
                "The event counts once, however often it is sent with this key; a repeat is answered with 202.",
            ),
        ),
        description="Adds `value` to the user's total, creates the user if new, and answers with everything that"
        " changed. 201 means that the event is stored.",
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
        answer_headers=(RANK_TIMING,),
        description="202 after all are stored. One item that is malformed or names something unknown refuses "
        "the whole batch, before anything is stored, and is named by its index. `accepted` counts what is stored "
        "now, `replayed` how many of these were stored before: their idempotency keys are known.",
    ),
]
