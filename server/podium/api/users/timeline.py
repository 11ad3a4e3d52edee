"""``/admin/v1/users/{id}/timeline``: everything that happened to a user, the newest first."""

from __future__ import annotations

import re
from heapq import merge
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from podium.api.users.streak_timeline import read_streak
from podium.game import ids
from podium.game.catalog import CatalogIndex
from podium.game.errors import Unprocessable
from podium.game.periods import iso
from podium.http import params
from podium.http.answers import answer
from podium.http.auth import principal
from podium.http.endpoints import Endpoint, Query
from podium.http.services import services
from podium.http.users import snapshot_of
from podium.spaces.audit import OF_USER

ROWS_MAX = 200
"""Most rows of a page."""
KINDS = ("event", "points", "achievement", "streak", "level", "boost", "support")
_CURSOR = re.compile(r"([0-9]{1,18})-([0-9]{1,6})\Z")
_END = 2**62

Instant = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class TimelineRow(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Something that happened to a user. ``what`` names the kind of change, ``subject`` the metric, points system,
    achievement or boost by key or name (for actions of support, the actor). ``id`` is that of an event or
    award."""

    at: Instant
    kind: str
    what: str
    subject: str = ""
    amount: float | None = None
    total: float | None = None
    id: str = ""
    corrects: str = ""
    silent: bool = False


class Timeline(msgspec.Struct, frozen=True, rename="camel"):
    """Rows, the newest first. ``nextCursor`` begins the next page; the last page has none."""

    rows: list[TimelineRow]
    next_cursor: str | UnsetType = UNSET


_COLUMNS = "at_ms, kind, what, subject, amount, total, id, corrects, silent"
# Each part has the order of the whole and its limit, so the whole needs no more than these rows of each.
_PARTS = {
    "event": """
        SELECT at_ms, 'event', 'event', metric, units, NULL::bigint, id::text, coalesce(corrects::text, ''), false
        FROM events WHERE space_id = $1 AND user_id = $2 AND at_ms <= $3""",
    "points": """
        SELECT at_ms, 'points', cause::text, system, awarded, total,
               id::text, '', false
        FROM point_awards WHERE space_id = $1 AND user_id = $2 AND at_ms <= $3""",
    "achievement": """
        SELECT at_ms, 'achievement', 'completed', achievement, NULL::bigint, NULL::bigint, achievement::text, '',
               silent
        FROM achievement_completions WHERE space_id = $1 AND user_id = $2 AND at_ms <= $3""",
    "support": f"""
        SELECT (extract(epoch FROM at) * 1000)::bigint, 'support', action, 0, NULL::bigint, NULL::bigint,
               lpad(id::text, 20, '0'), actor, false
        FROM audit_log WHERE space_id = $1 AND (extract(epoch FROM at) * 1000)::bigint <= $3
            AND {OF_USER}""",  # noqa: S608 # our own words
}
_FACTS = """
        SELECT at_ms,
               CASE WHEN kind = 'level' THEN 'level' WHEN kind LIKE 'boost%' THEN 'boost' ELSE 'streak' END, kind,
               CASE WHEN kind IN ('level', 'boost_started', 'boost_finished') THEN amount ELSE 0 END::integer,
               amount, subject, kind, '', false
        FROM user_facts WHERE space_id = $1 AND user_id = $2 AND at_ms <= $3 AND kind = ANY ($5::text[])"""
_STREAK = {"kind": "streak", "subject": 0, "total": None, "id": "", "corrects": "", "silent": False}
"""The columns of the other parts that rows of ``read_streak`` lack."""
_FACT_KINDS = {
    "streak": ("streak_lost", "freeze_used", "freeze_earned"),
    "level": ("level",),
    "boost": ("boost_started", "boost_finished"),
}


async def get_timeline(request: Request) -> Response:
    """``GET /admin/v1/users/{id}/timeline``."""
    parts, space = services(request), principal(request).space
    user = ids.check_id("id", request.path_params["id"])
    limit = params.integer(request, "limit", 50, 1, ROWS_MAX)
    from_ms, skip = _cursor(request)
    wanted = _kinds(request)
    facts = [name for kind, names in _FACT_KINDS.items() if kind in wanted for name in names]
    # _FACTS is always read and uses every parameter: Postgres refuses a parameter that no part uses.
    selects = [*(text for kind, text in _PARTS.items() if kind in wanted), _FACTS]
    some = " UNION ALL ".join(f"({select} ORDER BY 1 DESC, 7 DESC LIMIT $4)" for select in selects)
    most = skip + limit + 1
    async with snapshot_of(request, user) as (connection, state):
        rows: list[Any] = await connection.fetch(
            f"SELECT * FROM ({some}) AS rows ({_COLUMNS}) ORDER BY at_ms DESC, kind, id DESC LIMIT $4",  # noqa: S608
            space.id,
            user,
            from_ms,
            most,
            facts,
        )
        if state is not None and "streak" in wanted:
            past = await read_streak(connection, space.id, space.index, user, state, parts.clock(), from_ms, most)
            streak = ({**_STREAK, **one._asdict()} for one in past)
            # merge() keeps the order of the statement's rows, which sorts text by Postgres's collation, not
            # Python's.
            rows = [*merge(rows, streak, key=lambda row: (-row["at_ms"], row["kind"]))][:most]
    found = rows[skip : skip + limit]
    page = [_row(space.index, row) for row in found]
    if len(rows) <= skip + limit:
        return answer(Timeline(page, UNSET))
    # An import may have many rows of one millisecond, so the cursor also counts those of it that were shown.
    last_ms = found[-1]["at_ms"]
    shown = sum(row["at_ms"] == last_ms for row in rows[: skip + limit])
    return answer(Timeline(page, f"{last_ms}-{shown}"))


def _cursor(request: Request) -> tuple[int, int]:
    """Return the beginning of a page: an instant, and the number of its rows on earlier pages."""
    text = request.query_params.get("cursor")
    if text is None:
        return _END, 0
    if (found := _CURSOR.match(text)) is None:
        raise Unprocessable("cursor must be the nextCursor of a page")
    return int(found[1]), int(found[2])


def _kinds(request: Request) -> set[str]:
    text = request.query_params.get("kinds")
    if not text:
        return set(KINDS)
    wanted = set(text.split(","))
    if not wanted <= set(KINDS):
        raise Unprocessable(f"kinds must be some of {', '.join(KINDS)}")
    return wanted


def _row(index: CatalogIndex, row: Any) -> TimelineRow:
    kind, number, what = row["kind"], row["subject"], row["what"]
    amount: float | None = row["amount"]
    total: float | None = row["total"]
    subject = ""
    if kind == "event":
        metric = index.metric_by_number.get(number)
        subject = metric.name if metric is not None else f"metric {number}"
        amount = metric.value(row["amount"]) if metric is not None else amount
    elif kind == "points":
        system = index.points.systems.get(number)
        subject = system.name if system is not None else f"points {number}"
        what = _cause(index, int(row["what"]))
    elif kind == "achievement":
        goal = index.achievements.by_number.get(number)
        subject = goal.name if goal is not None else f"achievement {number}"
    elif kind == "level":
        level = index.points.level_by_number.get(number)
        subject = level.name if level is not None else "none"
        amount = total = None
    elif kind == "boost":
        rule = index.points.boost(number)
        subject = rule.boost.name if rule is not None else f"boost {number}"
        amount = total = None
    elif kind == "support":
        return TimelineRow(iso(row["at_ms"]), kind, what, row["corrects"])
    else:
        total = total if what.startswith("freeze") else None
    id_ = row["id"] if kind in ("event", "points") else ""
    return TimelineRow(iso(row["at_ms"]), kind, what, subject, amount, total, id_, row["corrects"], row["silent"])


def _cause(index: CatalogIndex, number: int) -> str:
    """Return the cause of an award: a trigger's type, ``reward`` or ``by hand``; ``award`` if it is archived."""
    if not number:
        return "by hand"
    trigger = index.points.triggers.get(number)
    if trigger is not None:
        return trigger.type
    return "reward" if number in index.leaderboard_by_number else "award"


_TAG = "Admin: users"
_LIMIT = {"type": "integer", "minimum": 1, "maximum": ROWS_MAX}

ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path="/admin/v1/users/{id}/timeline",
        shows="user",
        summary="Get a user's timeline",
        tag=_TAG,
        needs="admin",
        statuses=(200, 400, 422, 503),
        handler=get_timeline,
        answer=Timeline,
        query=(
            Query("kinds", f"Some of {', '.join(KINDS)}, joined by commas. Default: all."),
            Query("limit", "Rows.", {**_LIMIT, "default": 50}),
            Query("cursor", "`nextCursor` of the previous page."),
        ),
        description="Everything that happened to the user, the newest first.",
    ),
]
