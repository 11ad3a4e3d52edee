"""The client of the server: load its catalog, send batches until they are stored, ask for replays."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import httpx
import msgspec

from podium.cli.importing.batches import Batch
from podium.cli.importing.late_events import LateEvents, NewestEvents, ServerHistory, late_events
from podium.cli.remote import headers_of
from podium.clock import stopwatch_s
from podium.game.catalog import Catalog, CatalogIndex
from podium.game.errors import StartError
from podium.game.ids import printable
from podium.game.metrics.model import Metric
from podium.game.periods import parse_instant
from podium.game.users.model import Attribute, AttributeType
from podium.intake.requests import BatchItem

LANES = 2
"""Batches sent in parallel: while the server stores one, the next is on its way."""
PATIENCE_S = 300.0
"""Seconds of retries after which the import gives up. A server that restarts or rebuilds is back by then."""
QUERY_MAX = 1_000
"""Users or events in one question to the server."""
REPLAY_MAX = 10
"""Users in one request to replay. Each may have years of events."""
_TIMEOUT_S = 60.0
_PAGE = 100
_BACKOFF_S = 0.5
_WAIT_MAX_S = 30.0
_TRY_AGAIN = frozenset({408, 429, 502, 503, 504})
_INDEX = re.compile(r"\[(\d+)\]: ")

T = TypeVar("T")


class Refused(msgspec.Struct, frozen=True):
    """An event of a batch that the server refused, by its index in the batch."""

    index: int
    error: str


class Accepted(msgspec.Struct, frozen=True):
    """The server's answer to a batch."""

    accepted: int
    replayed: int = 0
    refused: list[Refused] = []


class Tally(msgspec.Struct):
    """Counts of an import so far."""

    stored: int = 0
    replayed: int = 0
    """Events whose idempotency keys the server knew."""
    unsure: int = 0
    """Like ``replayed``, in batches that were sent twice: the first sending may have stored them."""
    refused: list[tuple[int, str]] = []
    """Place and reason of each event that the server refused."""


class SendingStopped(Exception):
    """A batch can't be stored. The message is the reason; ``place`` names the event that caused it, if known."""

    def __init__(self, reason: str, place: int | None = None) -> None:
        super().__init__(reason)
        self.place = place


class NotOffered(SendingStopped):
    """The server is of an earlier release, which doesn't have the endpoint."""


class _MetricRow(msgspec.Struct, rename="camel"):
    key: str
    decimals: int = 3
    min_value: float | None = None
    max_value: float | None = None


class _AttributeRow(msgspec.Struct):
    key: str
    type: AttributeType


def batched(items: Iterable[T], most: int) -> Iterator[list[T]]:
    """Yield the items in lists of at most ``most``."""
    rest = iter(items)
    while some := list(islice(rest, most)):
        yield some


def open_client(url: str, key: str, tenant: str | None = None) -> httpx.AsyncClient:
    """Return a client of the server at ``url``, with an admin key and a tenant; the caller closes it.

    Raises:
        StartError: The URL, the key or the tenant is malformed.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise StartError(f"--url must be like http://127.0.0.1:8000, not {url[:100]!r}.")
    headers = headers_of(key, tenant)
    headers["Content-Type"] = "application/json"
    return httpx.AsyncClient(base_url=url.rstrip("/"), headers=headers, timeout=_TIMEOUT_S)


async def load_catalog(client: httpx.AsyncClient) -> CatalogIndex:
    """Return a catalog with the server's metrics and attributes, enough to check events.

    Raises:
        StartError: The server doesn't answer, or answers with an error.
    """
    metrics = await _list(client, "/admin/v1/metrics", _MetricRow)
    attributes = await _list(client, "/admin/v1/attributes", _AttributeRow)
    return CatalogIndex(
        Catalog(
            version=0,
            metrics=tuple(
                Metric(m.key, i, m.key, m.key, decimals=m.decimals, min_value=m.min_value, max_value=m.max_value)
                for i, m in enumerate(metrics)
            ),
            attributes=tuple(Attribute(a.key, i, a.key, a.key, a.type) for i, a in enumerate(attributes)),
        )
    )


class _NewestRow(msgspec.Struct):
    id: str
    newest: str
    metrics: dict[str, str]


class _NewestAnswer(msgspec.Struct, rename="camel"):
    users: list[_NewestRow]
    streak_metrics: list[str]
    points_runs: bool


class _KnownAnswer(msgspec.Struct):
    known: list[int]


class _Issue(msgspec.Struct, rename="camel"):
    message: str
    user_id: str = ""


class _ReplayAnswer(msgspec.Struct):
    replayed: list[str]
    issues: list[_Issue]


async def load_history(
    client: httpx.AsyncClient, users: Sequence[str], on_asked: Callable[[int], object]
) -> ServerHistory:
    """Return the instants of the newest events that the server has of the users.

    Raises:
        SendingStopped: The server doesn't answer, or answers with an error.
        NotOffered: The server is of an earlier release.
    """
    server = ServerHistory()
    for some in batched(users, QUERY_MAX):
        found = await _ask(client, "/admin/v1/users/newest-events", {"users": some}, _NewestAnswer)
        server.streak_metrics, server.points_runs = frozenset(found.streak_metrics), found.points_runs
        for row in found.users:
            of_metrics = {key: parse_instant("metrics", at) for key, at in row.metrics.items()}
            server.users[row.id] = NewestEvents(parse_instant("newest", row.newest), of_metrics)
        on_asked(len(some))
    return server


async def count_late_events(
    client: httpx.AsyncClient, server: ServerHistory, items: Iterable[tuple[int, BatchItem]]
) -> LateEvents:
    """Count the events that are too old to count everywhere. Items come in the order of time, with their keys.

    Raises:
        SendingStopped: The server doesn't answer, or answers with an error.
    """
    counted = LateEvents()
    for some in batched(late_events(server, items), QUERY_MAX):
        asked = [
            {"key": item.key, "userId": item.user.id, "idempotencyKey": item.idempotency_key} for item, _ in some
        ]
        known = set((await _ask(client, "/admin/v1/metrics/events/known", asked, _KnownAnswer)).known)
        for place, (item, by_metric) in enumerate(some):
            counted.add(item.user.id, by_metric=by_metric, known=place in known)
    return counted


async def replay(
    client: httpx.AsyncClient, users: Sequence[str], on_done: Callable[[int], object], patience_s: float
) -> tuple[int, list[tuple[str, str]]]:
    """Ask the server to replay the users' stored events in the order of their time.

    Return how many users were replayed, and user and reason of each that was not.

    Raises:
        SendingStopped: The server doesn't answer, or answers with an error.
    """
    done, issues = 0, []
    for some in batched(users, REPLAY_MAX):
        body = {"users": [{"id": user} for user in some]}
        found = await _ask(client, "/admin/v1/users/replay", body, _ReplayAnswer, patience_s)
        issues += [(issue.user_id, issue.message) for issue in found.issues]
        done += len(found.replayed)
        on_done(len(some))
    return done, issues


async def _ask(client: httpx.AsyncClient, path: str, body: object, type_: type[T], patience_s: float = 30.0) -> T:
    response = await _request(client, "POST", path, msgspec.json.encode(body), patience_s=patience_s)
    if response.status_code in (404, 405):
        raise NotOffered(_error(response))
    if response.status_code != 200:
        raise SendingStopped(_error(response))
    try:
        return msgspec.json.decode(response.content, type=type_)
    except msgspec.DecodeError:
        raise SendingStopped(f"{response.url} answers, but not like Podium") from None


async def send(
    client: httpx.AsyncClient,
    batches: Iterable[Batch],
    tally: Tally,
    *,
    on_stored: Callable[[int], object],
    on_wait: Callable[[str], None],
    patience_s: float = PATIENCE_S,
) -> None:
    """Send all batches, those of a lane one after the other, and update ``tally``.

    ``on_stored`` gets the number of events of each batch that was answered, ``on_wait`` the reason of a wait.
    Cancelling is safe. Batches under way may then be stored without being counted in the tally.

    Raises:
        SendingStopped: A batch was refused, or not stored within ``patience_s``.
    """

    async def drain(queue: asyncio.Queue[Batch | None]) -> None:
        while (batch := await queue.get()) is not None:
            answer, repeated = await _send_batch(client, batch, on_wait, patience_s)
            tally.stored += answer.accepted - answer.replayed
            if repeated:
                tally.unsure += answer.replayed
            else:
                tally.replayed += answer.replayed
            tally.refused += [(batch.places[r.index], r.error) for r in answer.refused]
            on_stored(len(batch.places))

    queues: list[asyncio.Queue[Batch | None]] = [asyncio.Queue(maxsize=1) for _ in range(LANES)]
    try:
        async with asyncio.TaskGroup() as lanes:
            for queue in queues:
                lanes.create_task(drain(queue))
            for batch in batches:
                await queues[batch.lane].put(batch)
            for queue in queues:
                await queue.put(None)
    except ExceptionGroup as group:
        stopped, others = group.split(SendingStopped)
        if stopped is None or others is not None:
            raise
        raise stopped.exceptions[0] from None


async def _send_batch(
    client: httpx.AsyncClient, batch: Batch, on_wait: Callable[[str], None], patience_s: float
) -> tuple[Accepted, bool]:
    """Return the answer, and whether an earlier sending, whose answer was lost, may have stored the batch."""
    lost = False

    def on_lost() -> None:
        nonlocal lost
        lost = True

    response = await _request(
        client,
        "POST",
        "/admin/v1/metrics/events",
        batch.body,
        on_wait=on_wait,
        on_lost=on_lost,
        patience_s=patience_s,
    )
    if response.status_code != 202:
        error = _error(response)
        found = _INDEX.match(error)
        if found and int(found.group(1)) < len(batch.places):
            raise SendingStopped(error[found.end() :], batch.places[int(found.group(1))])
        raise SendingStopped(error)
    try:
        answer = msgspec.json.decode(response.content, type=Accepted)
    except msgspec.DecodeError:
        raise SendingStopped(f"{response.url} answers, but not like Podium") from None
    if any(not 0 <= r.index < len(batch.places) for r in answer.refused):
        raise SendingStopped(f"{response.url} refused an event that was not sent")
    return answer, lost


async def _list(client: httpx.AsyncClient, path: str, type_: type[T]) -> list[T]:
    found: list[T] = []
    while True:
        try:
            response = await _request(client, "GET", f"{path}?limit={_PAGE}&skip={len(found)}")
            if response.status_code != 200:
                raise SendingStopped(_error(response))
            page = msgspec.json.decode(response.content, type=list[type_])  # type: ignore[valid-type]  # a value
        except SendingStopped as stopped:
            raise StartError(f"{stopped}.") from None
        except msgspec.DecodeError:
            raise StartError(f"{response.url} answers, but is not Podium.") from None
        found += page
        if len(page) < _PAGE:
            return found


async def _request(
    client: httpx.AsyncClient,
    method: str,
    path: str,
    body: bytes | None = None,
    *,
    on_wait: Callable[[str], None] | None = None,
    on_lost: Callable[[], None] | None = None,
    patience_s: float = 0,
) -> httpx.Response:
    """Send a request, repeat it for up to ``patience_s`` while the server is unavailable, and return the answer.

    ``on_lost`` is called after an attempt that the server may have carried out although no answer came.

    Raises:
        SendingStopped: The server was unavailable for ``patience_s``.
    """
    began_s = stopwatch_s()
    backoff_s = _BACKOFF_S
    waited = False
    while True:
        wait_s = backoff_s
        try:
            response = await client.request(method, path, content=body)
        except httpx.TransportError as error:
            reason = f"{client.base_url} can't be reached: {error or type(error).__name__}"
            # Without a connection nothing was sent; after any other error the server may have stored the body.
            served = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        else:
            if response.status_code not in _TRY_AGAIN:
                return response
            reason = _error(response)
            served = response.status_code >= 500
            after = response.headers.get("Retry-After", "")
            wait_s = min(int(after), _WAIT_MAX_S) if after.isdecimal() else backoff_s
        if stopwatch_s() - began_s + wait_s > patience_s:
            raise SendingStopped(reason)
        if served and on_lost is not None:
            on_lost()
        if on_wait is not None and not waited:
            on_wait(reason)
            waited = True
        await asyncio.sleep(wait_s)
        backoff_s = min(2 * backoff_s, _WAIT_MAX_S)


def _error(response: httpx.Response) -> str:
    try:
        text = msgspec.json.decode(response.content, type=dict[str, str])["error"]
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
        return f"{response.url.copy_with(query=None)} answered {response.status_code}"
    if _INDEX.match(text):
        return printable(text)
    return printable(f"{response.url.copy_with(query=None)} answered {response.status_code}: {text}")
