"""``/admin/v1/users``: search users, and export all data of one (docs/http-api.md#user-administration)."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from podium.game import ids
from podium.game.errors import NotFound, Unprocessable
from podium.game.periods import iso
from podium.game.state import decode_state
from podium.game.users.shapes import User, shown
from podium.http import params
from podium.http.answers import answer, encode, streamed
from podium.http.audit import auditing
from podium.http.auth import principal
from podium.http.endpoints import Endpoint, Query
from podium.http.services import services
from podium.http.users import snapshot_of
from podium.spaces.audit import OF_USER, Entry
from podium.storage.postgres.pool import PoolConnection, acquired

PAGE_MAX = 100
"""Most users of a page."""
ROWS_MAX = 100_000
"""Most rows of a table in an export, so that an answer fits into memory. Of more events the newest are
exported."""
ROWS_AT_ONCE = 100
"""Rows of an export that are encoded before other tasks have their turn: about 2 ms."""
WIDE_AT_ONCE = 5
"""The same for rows that may have 100 KB each."""

_LAST = "\U0010ffff"
"""The greatest character: a prefix with it appended sorts after every text with that prefix, in byte order."""


class UserPage(msgspec.Struct, frozen=True, rename="camel"):
    """Users of a page. ``nextCursor`` begins the next page; the last page has none."""

    users: list[User]
    next_cursor: str | UnsetType = UNSET


class Export(msgspec.Struct, frozen=True, rename="camel"):
    """All data of a user at one instant: rows by table, as they are stored, with key and name next to each
    internal number. ``user`` and ``state`` are null if there is only a key or a boost. ``cut`` names the tables
    with more rows than fit; ``eventsComplete`` is false if the events are one of them."""

    user: User | None
    state: Any
    tables: dict[str, list[dict[str, Any]]]
    events_complete: bool
    cut: list[str]


async def get_users(request: Request) -> Response:
    """``GET /admin/v1/users``."""
    space_id = principal(request).space.id
    limit = params.integer(request, "limit", PAGE_MAX, 1, PAGE_MAX)
    search = ids.check_text("search", request.query_params.get("search", ""), ids.NAME_MAX)
    after = _cursor(request)
    attributes = _attribute(request)
    await services(request).reads.settle_briefly(principal(request).space)
    async with acquired(services(request).pool) as connection:
        found: list[_Found] = []
        if after.word is None:
            found = await _by_id(connection, space_id, search, attributes, after.id, limit + 1)
        if search and len(found) <= limit:
            more = limit + 1 - len(found)
            found += await _by_word(connection, space_id, search, attributes, after, more)
    users = [shown(one.id, decode_state(one.state).profile) for one in found[:limit]]
    if len(found) <= limit:
        return answer(UserPage(users))
    last = found[limit - 1]
    cursor = msgspec.json.encode(_After(last.id, last.word))
    return answer(UserPage(users, base64.urlsafe_b64encode(cursor).decode()))


class _After(NamedTuple):
    """The user after whom a page begins, found by id or by ``word``."""

    id: str = ""
    word: str | None = None


class _Found(NamedTuple):
    """A user that was found. ``word`` is the matching word, or empty if the id matched."""

    id: str
    state: str
    word: str | None = None


def _cursor(request: Request) -> _After:
    text = request.query_params.get("cursor")
    if not text:
        return _After()
    try:
        after = msgspec.json.decode(base64.urlsafe_b64decode(text), type=_After)
    except ValueError:
        raise Unprocessable("cursor must be the nextCursor of a page") from None
    ids.check_text("cursor", after.id, ids.ID_MAX)
    ids.check_text("cursor", after.word or "", ids.NAME_MAX)
    return after


async def _by_id(
    connection: PoolConnection, space_id: int, search: str, attributes: dict[str, str], after: str, limit: int
) -> list[_Found]:
    """Return users whose ids begin with ``search`` and lie after ``after``, sorted by id."""
    rows = await connection.fetch(
        "SELECT id, state FROM users WHERE space_id = $1 AND id > $2 AND id >= $3 AND id <= $4"
        " AND attributes @> $5::jsonb ORDER BY id LIMIT $6",
        space_id,
        after,
        search,
        search + _LAST,
        attributes,
        limit,
    )
    return [_Found(*row) for row in rows]


async def _by_word(
    connection: PoolConnection, space_id: int, search: str, attributes: dict[str, str], after: _After, limit: int
) -> list[_Found]:
    """Return users not found by id of whom a word of the name, or the e-mail, begins with ``search``, sorted by
    that."""
    folded = await connection.fetchval("SELECT folded($1)", search)
    if not folded:
        return []
    # The index of words is scanned from one place on; a second lower bound would make Postgres start at the first
    # word. Each user is found by the first matching word. OFFSET and the subquery keep Postgres from joining all
    # words with users first.
    rows = await connection.fetch(
        """
        SELECT u.id, u.state, w.word
        FROM user_words w CROSS JOIN LATERAL (
            SELECT id, state FROM users
            WHERE space_id = $1 AND id = w.user_id AND ($6::jsonb = '{}'::jsonb OR attributes @> $6::jsonb)
            OFFSET 0
        ) AS u
        WHERE w.space_id = $1 AND (w.word, w.user_id) > ($4, $5) AND w.word <= $8 || $3
            AND NOT (w.user_id >= $2 AND w.user_id <= $2 || $3)
            AND w.word = (
                SELECT min(word) FROM user_words WHERE space_id = $1 AND user_id = w.user_id AND word >= $8)
        ORDER BY w.word, w.user_id LIMIT $7
        """,
        space_id,
        search,
        _LAST,
        after.word or folded,
        after.id if after.word else "",
        attributes,
        limit,
        folded,
    )
    return [_Found(*row) for row in rows]


def _attribute(request: Request) -> dict[str, str]:
    text = request.query_params.get("attribute")
    if not text:
        return {}
    key, colon, value = text.partition(":")
    if not colon or not value:
        raise Unprocessable("attribute must be like key:value")
    if key not in principal(request).space.index.user_attributes:
        raise Unprocessable(f"Invalid attribute keys: {ids.printable(key[: ids.KEY_MAX])}")
    return {key: ids.check_text("attribute", value, ids.ATTRIBUTE_VALUE_MAX)}


_TABLES = {
    "events": "SELECT id, metric, units, at_ms, day, late, corrects, idempotency_key, attributes FROM events"
    " WHERE space_id = $1 AND user_id = $2 ORDER BY at_ms DESC LIMIT $3",
    "metricDays": "SELECT metric, day, change FROM metric_days WHERE space_id = $1 AND user_id = $2"
    " ORDER BY day LIMIT $3",
    # The rank of the newest day; where groups are ranked, that of the board of all.
    "boardEntries": "SELECT leaderboard, run, grp, value, reached_ms, coalesce("
    "  (SELECT (p.places -> (s.leaderboard || ':' || s.run) ->> 0)::integer FROM place_days p"
    "   WHERE p.space_id = $1 AND p.user_id = $2 AND p.places ? (s.leaderboard || ':' || s.run)"
    "   ORDER BY p.day DESC LIMIT 1),"
    "  (SELECT r.rank FROM rank_days r WHERE r.space_id = $1 AND r.leaderboard = s.leaderboard"
    "   AND r.run = s.run AND r.user_id = $2 ORDER BY r.day DESC LIMIT 1)) AS rank"
    " FROM standings s WHERE space_id = $1 AND user_id = $2 LIMIT $3",
    "rankDays": "SELECT leaderboard, run, day, rank, previous_rank, value, previous_value FROM rank_history"
    " WHERE space_id = $1 AND user_id = $2 ORDER BY day LIMIT $3",
    "runStandings": "SELECT leaderboard, run, grp, rank, value, reached_ms FROM run_standings"
    " WHERE space_id = $1 AND user_id = $2 LIMIT $3",
    "streakPeriods": "SELECT track, period, length, frozen, restored FROM streak_periods"
    " WHERE space_id = $1 AND user_id = $2 ORDER BY track, period LIMIT $3",
    "streakPauses": "SELECT id, first_day, last_day, deleted FROM streak_pauses"
    " WHERE space_id = $1 AND user_id = $2 LIMIT $3",
    "pointAwards": "SELECT id, system, cause, awarded, total, at_ms, day, boosts, event_id FROM point_awards"
    " WHERE space_id = $1 AND user_id = $2 ORDER BY at_ms LIMIT $3",
    "achievements": "SELECT achievement, at_ms, silent FROM achievement_completions"
    " WHERE space_id = $1 AND user_id = $2 ORDER BY at_ms LIMIT $3",
    "facts": "SELECT at_ms, kind, amount, subject FROM user_facts WHERE space_id = $1 AND user_id = $2"
    " ORDER BY at_ms LIMIT $3",
    "points": "SELECT system, total FROM user_points WHERE space_id = $1 AND user_id = $2"
    " AND system IN (SELECT number FROM catalog_items WHERE space_id = $1 AND kind = 'points system') LIMIT $3",
    "pointDays": "SELECT system, day, change FROM point_days WHERE space_id = $1 AND user_id = $2"
    " ORDER BY system, day LIMIT $3",
    "streaks": "SELECT track, length, longest FROM user_streaks WHERE space_id = $1 AND user_id = $2"
    " AND track IN (0, 1, 2) ORDER BY track LIMIT $3",
    "idempotencyKeys": "SELECT metric, key, event_id, received_ms FROM idempotency_keys"
    " WHERE space_id = $1 AND user_id = $2 LIMIT $3",
    "applicationKeys": "SELECT id, prefix, capabilities, created_at, revoked_at, used_at FROM api_keys"
    " LEFT JOIN key_uses ON key_id = id WHERE space_id = $1 AND user_id = $2 ORDER BY created_at LIMIT $3",
    "boosts": "SELECT number, body, created_at, archived_at FROM catalog_items"
    " WHERE space_id = $1 AND kind = 'points boost' AND body ->> 'userId' = $2 ORDER BY number LIMIT $3",
    "auditLog": "SELECT id, at, actor, action, kind, item, before, after FROM audit_log"  # noqa: S608 # our own words
    f" WHERE space_id = $1 AND {OF_USER} ORDER BY id LIMIT $3",
    "rejectedEntries": "SELECT id, at, log_id, record, error FROM rejected_entries"
    " WHERE space_id = $1 AND user_id = $2 ORDER BY id LIMIT $3",
}
_WIDE = {"auditLog", "rejectedEntries"}
_NUMBERS = {"metric", "leaderboard", "system", "achievement", "cause"}
"""Columns with numbers of catalog items. ``cause`` is a trigger, or the leaderboard of a reward."""
_SUBJECTS = {"level": "system", "boost_started": "system", "boost_finished": "system"}
"""Facts whose ``subject`` is the number of a points system (game/records.py)."""
_TRACKS = ("daily", "weekly", "monthly")


class _Items:
    """Keys and names of catalog items by number, including archived items."""

    def __init__(self, rows: Iterable[Any]) -> None:
        self._of = {row["number"]: row for row in rows}

    def name(self, row: dict[str, Any]) -> None:
        """Add the keys and names of its numbers to a row, in place."""
        for column in _NUMBERS & row.keys():
            self._add(row, column, row[column])
        if "subject" in row and row["kind"] in _SUBJECTS:
            self._add(row, _SUBJECTS[row["kind"]], row["subject"])
        if "track" in row:
            row["track_name"] = _TRACKS[row["track"]]
        if isinstance(row.get("boosts"), list):
            row["boost_names"] = [self._of[one]["name"] if one in self._of else None for one in row["boosts"]]

    def _add(self, row: dict[str, Any], column: str, number: int) -> None:
        if (item := self._of.get(number)) is not None:
            row[f"{column}_key"], row[f"{column}_name"] = item["key"], item["name"]
            if column == "cause":
                row["cause_kind"] = item["kind"]


def _plain(row: Any) -> dict[str, Any]:
    """Return a row with JSON values; instants become text in UTC."""
    return {
        column: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
        for column, value in row.items()
    }


async def get_export(request: Request) -> Response:
    """``GET /admin/v1/users/{id}/export``."""
    user = ids.check_id("id", request.path_params["id"])
    space_id = principal(request).space.id
    tables, cut, taken = [], [], 0
    async with snapshot_of(request, user) as (connection, _):
        blob = await connection.fetchval("SELECT state FROM users WHERE space_id = $1 AND id = $2", space_id, user)
        items = _Items(
            await connection.fetch(
                "SELECT number, kind, key, body ->> 'name' AS name FROM catalog_items WHERE space_id = $1"
                " AND (kind <> 'points boost' OR coalesce(body ->> 'userId', $2) = $2)",
                space_id,
                user,
            )
        )
        for name in _TABLES:
            table = await _table(connection, space_id, user, name, items)
            tables.append((name, table.parts))
            taken += table.rows
            if table.cut:
                cut.append(name)
    if blob is None and not taken:
        raise NotFound(f"User not found: {user}")
    async with auditing(request) as entries:
        entries.append(Entry("export", "user", user, None, {"userId": user, "rows": taken}))
    profile = None if blob is None else shown(user, decode_state(blob).profile)
    return streamed(_pieces(encode(profile), (blob or "null").encode(), tables, cut))


class _Table(NamedTuple):
    """Rows of a table as JSON, joined by commas, in several pieces, and True if there are more than fit."""

    parts: list[bytes]
    rows: int
    cut: bool


async def _table(connection: PoolConnection, space_id: int, user: str, name: str, items: _Items) -> _Table:
    """Read the rows of a user in a table, a few at a time.

    There may be 100,000 rows. To encode them takes a second, and to free them all at once takes as long.
    """
    parts: list[bytes] = []
    count = 0
    cursor = await connection.cursor(_TABLES[name], space_id, user, ROWS_MAX + 1)
    while found := await cursor.fetch(WIDE_AT_ONCE if name in _WIDE else ROWS_AT_ONCE):
        rows = [_plain(row) for row in found[: ROWS_MAX - count]]
        for row in rows:
            items.name(row)
            if name == "events":
                row["at"] = iso(row["at_ms"])
        if rows:
            parts.append(encode(rows)[1:-1])
        count += len(found)
    return _Table(parts, min(count, ROWS_MAX), count > ROWS_MAX)


async def _pieces(
    profile: bytes, state: bytes, tables: list[tuple[str, list[bytes]]], cut: list[str]
) -> AsyncIterator[bytes]:
    """Yield the JSON of an ``Export`` in pieces."""
    yield b'{"user":%b,"state":%b,"tables":{' % (profile, state)
    for at, (name, parts) in enumerate(tables):
        yield b"%b%b:[" % (b"," if at else b"", encode(name))
        for number, part in enumerate(parts):
            yield (b"," if number else b"") + part
            parts[number] = b""  # freed one by one: all at the end would block the event loop
        yield b"]"
    yield b'},"eventsComplete":%b,"cut":%b}' % (encode("events" not in cut), encode(cut))


_TAG = "Admin: users"

ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path="/admin/v1/users",
        shows="space",
        summary="Find users",
        tag=_TAG,
        needs="admin",
        statuses=(200, 400, 422, 503),
        handler=get_users,
        answer=UserPage,
        query=(
            Query(
                "search",
                "Beginning of the id, of a word of the name, or of the e-mail. In name and e-mail case and "
                "accents "
                "are ignored.",
            ),
            Query("attribute", "A user attribute and its value: `key:value`."),
            Query("cursor", "`nextCursor` of the previous page."),
            Query("limit", "Users.", {"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_MAX}),
        ),
        description="First the users found by id, sorted by id, then the others, sorted by the matching word. "
        "Read "
        "from Postgres, which is usually 0.2 s behind.",
    ),
    Endpoint(
        method="GET",
        path="/admin/v1/users/{id}/export",
        shows="user",
        summary="Export all data of a user",
        tag=_TAG,
        needs="admin",
        statuses=(200, 404, 422, 503),
        handler=get_export,
        answer=Export,
        description=f"Rows by table, at most {ROWS_MAX:,} of each, of events the newest; "
        "`cut` names the tables that have more. Secrets of application keys are not stored, so they are not "
        "included. The export is recorded in the audit log.",
    ),
]
