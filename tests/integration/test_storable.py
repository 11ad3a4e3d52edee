"""Postgres stores whatever the endpoints accept: on every table and in every index that it reaches.

Each column of the schema stands in one of the lists below, or the first test fails: a new column that clients can
fill needs the size of its largest legal value, and a way by which ``send_largest`` sends it.
"""

from __future__ import annotations

import random
from typing import Any
from zoneinfo import available_timezones

import httpx
import pytest

from podium.api.points.awards import REASON_MAX
from podium.api.points.triggers import AMOUNT_MAX
from podium.game import ids
from podium.game.leaderboards.ranking import GROUP_MAX, group_name
from podium.game.numbers import UNITS_MAX
from podium.game.users.rules import DEVICE_TOKEN_MAX, DEVICE_TOKENS_MAX, EMAIL_MAX
from podium.jobs.finals import Finals
from podium.services import Services
from podium.spaces.origins import ORIGINS_MAX
from podium.storage.postgres.pool import Pool
from podium.writebehind.rebuild import rebuild
from tests.backfills import backfill
from tests.conftest import SettableClock
from tests.integration.test_boards import DAY_MS, flush, get, make

VALUE_MAX = 10**15
WIDEST = 4
"""Bytes of a character in UTF-8."""
ZONE = max(available_timezones(), key=len)
INDEX_ROW_MAX = 2_704
"""Bytes of a row in a btree index (a third of a page)."""
ID, NAME, EMAIL = ids.ID_MAX * WIDEST, ids.NAME_MAX * WIDEST, EMAIL_MAX * WIDEST

TEXTS: dict[str, int] = {
    "achievement_completions.user_id": ID,
    "api_keys.user_id": ID,
    "audit_log.item": ID,
    "board_groups.grp": GROUP_MAX,
    "catalog_items.key": ids.KEY_MAX,
    "events.idempotency_key": ID,
    "events.user_id": ID,
    "group_days.grp": GROUP_MAX,
    "group_standings.grp": GROUP_MAX,
    "idempotency_keys.key": ID,
    "idempotency_keys.user_id": ID,
    "metric_days.user_id": ID,
    "place_days.user_id": ID,
    "point_awards.user_id": ID,
    "point_days.user_id": ID,
    "run_standings.grp": GROUP_MAX,
    "run_standings.name": NAME,
    "run_standings.user_id": ID,
    "spaces.tenant": ids.ID_MAX,
    "spaces.tenant_name": NAME,
    "streak_pauses.user_id": ID,
    "streak_periods.user_id": ID,
    "user_facts.user_id": ID,
    "user_points.user_id": ID,
    "user_streaks.user_id": ID,
    "user_words.user_id": ID,
    "user_words.word": 100 * WIDEST,
    "users.email": EMAIL,
    "users.id": ID,
    "users.name": NAME,
    "users.tz": len(ZONE),
}
"""Texts that clients fill, with the bytes of the largest: exactly so much is found there in the end."""

DOCUMENTS: dict[str, int] = {
    "audit_log.after": REASON_MAX * WIDEST,
    "audit_log.before": NAME,
    "catalog_items.body": NAME + ids.ATTRIBUTE_VALUE_MAX * WIDEST,
    "catalog_versions.catalog": NAME + ids.ATTRIBUTE_VALUE_MAX * WIDEST,
    "events.attributes": ids.ATTRIBUTE_VALUE_MAX * WIDEST,
    "run_standings.attributes": ids.ATTRIBUTE_VALUE_MAX * WIDEST,
    "spaces.allowed_origins": ORIGINS_MAX * 190,
    "users.attributes": ids.ATTRIBUTE_VALUE_MAX * WIDEST,
    "users.state": DEVICE_TOKENS_MAX * DEVICE_TOKEN_MAX * WIDEST,
}
"""Documents and lists that clients fill, in no index but one of hashes: at least so many bytes are found there."""

NUMBERS: dict[str, tuple[str | None, str | None]] = {
    "events.at_ms": ("0", None),
    "events.day": ("1969-12-31", None),
    "events.units": (str(-VALUE_MAX), str(VALUE_MAX)),
    "group_days.score": (f"{-UNITS_MAX:.15e}", f"{UNITS_MAX:.15e}"),
    "group_standings.score": (f"{-UNITS_MAX:.15e}", f"{UNITS_MAX:.15e}"),
    "metric_days.change": (str(-UNITS_MAX), str(UNITS_MAX)),
    "metric_days.day": ("1969-12-31", None),
    "point_awards.awarded": (str(-AMOUNT_MAX), str(UNITS_MAX)),
    "point_awards.total": (None, str(UNITS_MAX)),
    "point_days.change": (None, str(UNITS_MAX)),
    "run_standings.value": (str(-UNITS_MAX), str(UNITS_MAX)),
    "streak_pauses.last_day": (None, "2036-11-20"),
    "user_points.total": (None, str(UNITS_MAX)),
}
"""Numbers and days that clients choose: the least and the greatest there, None where that says nothing."""

OURS: dict[str, int] = {
    "api_keys.capabilities": 0,
    "api_keys.name": 0,
    "api_keys.prefix": 0,
    "audit_log.action": 0,
    "audit_log.actor": 0,
    "audit_log.kind": 0,
    "backfill_set_aside.reason": 0,
    "backfill_set_aside.user_id": ID,
    "board_fills.last_user": ID,
    "board_days.run": 8,
    "board_entries.grp": GROUP_MAX,
    "board_entries.run": 8,
    "board_entries.user_id": ID,
    "board_entries.value": 0,
    "board_groups.run": 8,
    "catalog_items.kind": 20,
    "catalog_items.scope": 36,
    "console_accounts.email": EMAIL,
    "console_accounts.hash": 0,
    "console_accounts.name": 0,
    "console_accounts.role": 0,
    "final_runs.run": 8,
    "group_days.run": 8,
    "group_standings.run": 8,
    "log_positions.epoch": 0,
    "log_positions.log_id": 0,
    "place_days.former": 0,
    "place_days.places": 0,
    "point_awards.boosts": 0,
    "rank_days.run": 8,
    "rank_days.user_id": ID,
    "rank_days.value": 0,
    "rebuilds.reason": 0,
    "rejected_entries.error": 0,
    "rejected_entries.log_id": 0,
    "rejected_entries.record": 0,
    "rejected_entries.state": 0,
    "rejected_entries.user_id": 0,
    "run_standings.run": 8,
    "spaces.environment": 100,
    "spaces.home_zone": len(ZONE),
    "spaces.public_id": 12,
    "spaces.realtime_secret": 0,
    "sweeps.signature": 0,
    "user_facts.kind": 0,
    "users.token": 0,
}
"""Texts that clients don't write, or only operators do, with their bytes where an index has them."""

EXPRESSIONS: dict[str, int] = {"audit_log_user": ID, "console_accounts_email": EMAIL}
"""Bytes of what stands in indexes of expressions."""

OUR_NAMES = frozenset(
    [
        "achievement",
        "active",
        "amount",
        "archived",
        "archived_at",
        "at",
        "at_ms",
        "behind",
        "boost",
        "catalog_version",
        "cause",
        "changes",
        "cleared_at",
        "completions",
        "corrects",
        "created_at",
        "created_ms",
        "day",
        "deleted",
        "disabled_at",
        "done",
        "end_day",
        "event_id",
        "events",
        "filled_at",
        "final_at",
        "finished",
        "first_day",
        "flushed_events",
        "frozen",
        "hash",
        "id",
        "item",
        "joined",
        "key_id",
        "late",
        "leaderboard",
        "length",
        "longest",
        "lost_entries",
        "members",
        "metric",
        "newest_ms",
        "next_number",
        "number",
        "participants",
        "passed",
        "period",
        "place",
        "previous_rank",
        "previous_value",
        "rank",
        "reached_ms",
        "received_at",
        "received_ms",
        "restored",
        "retry_ms",
        "revoked_at",
        "rewarded_at",
        "seq",
        "silent",
        "since_ms",
        "space_id",
        "start_day",
        "started_at",
        "subject",
        "swept_at",
        "system",
        "tenant_id",
        "total",
        "track",
        "tries",
        "updated_at",
        "updated_ms",
        "used_at",
        "users",
        "version",
    ]
)
"""Names of columns that hold numbers, ids and instants of ours, or counts of what there is."""


def wide(count: int, seed: int) -> str:
    """Characters of four bytes that don't compress: Postgres compresses what is long, which must not be needed."""
    draw = random.Random(seed)
    return "".join(chr(draw.randrange(0x20000, 0x2A6DF)) for _ in range(count))


async def columns(pool: Pool) -> dict[str, str]:
    """The type of each column of the schema, by ``table.column``; partitions have those of their table."""
    rows = await pool.fetch(
        """
        SELECT c.relname || '.' || a.attname, format_type(a.atttypid, NULL)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
            AND a.attnum > 0 AND NOT a.attisdropped AND c.relname <> 'alembic_version'
        """
    )
    return dict(tuple(row) for row in rows)


@pytest.mark.usefixtures("space_id")
async def test_every_column_is_listed(pool: Pool) -> None:
    there = await columns(pool)
    lists: list[dict[str, Any]] = [TEXTS, DOCUMENTS, NUMBERS, OURS]
    listed = [column for one in lists for column in one]
    assert len(listed) == len(set(listed))
    assert set(listed) <= set(there)
    wordy = {"text", "text[]", "jsonb", "json", "character varying", "integer[]"}
    unlisted = [
        f"{column} {type_}"
        for column, type_ in there.items()
        if column not in listed and (type_ in wordy or column.partition(".")[2] not in OUR_NAMES)
    ]
    assert not unlisted, "say in this file how large it gets, and send it"


@pytest.mark.usefixtures("space_id")
async def test_every_index_holds_the_largest_row(pool: Pool) -> None:
    widths = {**TEXTS, **OURS}
    rows = await pool.fetch(
        """
        SELECT i.relname AS index, t.relname AS table, x.indexprs IS NOT NULL AS computed,
               array(SELECT a.attname FROM pg_attribute a
                     WHERE a.attrelid = t.oid AND a.attnum = ANY (x.indkey) ORDER BY a.attnum) AS names,
               array(SELECT a.attlen FROM pg_attribute a
                     WHERE a.attrelid = t.oid AND a.attnum = ANY (x.indkey) ORDER BY a.attnum) AS lengths
        FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
            JOIN pg_am m ON m.oid = i.relam
        WHERE t.relnamespace = 'public'::regnamespace AND NOT t.relispartition AND m.amname = 'btree'
            AND t.relname <> 'alembic_version'
        """
    )
    assert len(rows) > 40
    for row in rows:
        size = 16 + (EXPRESSIONS[row["index"]] if row["computed"] else 0)  # its own head, and room to align
        for name, length in zip(row["names"], row["lengths"], strict=True):
            column = f"{row['table']}.{name}"
            if length < 0 and column not in ("api_keys.hash",):
                assert widths.get(column), f"{column} is in {row['index']}: its largest value must be known"
                length = widths[column] + 4
            size += max(length, 8)
        assert size <= INDEX_ROW_MAX, row["index"]
    others = await pool.fetch(
        "SELECT i.relname, m.amname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid"
        " JOIN pg_class t ON t.oid = x.indrelid JOIN pg_am m ON m.oid = i.relam"
        " WHERE t.relnamespace = 'public'::regnamespace AND NOT t.relispartition AND m.amname <> 'btree'"
    )
    # Hashes of paths, and ranges of pages: neither grows with values.
    assert sorted(map(tuple, others)) == [("idempotency_keys_recent", "brin"), ("users_by_attribute", "gin")]


USER, LOW = wide(ids.ID_MAX, 1), wide(ids.ID_MAX, 2)
STRANGE = (
    " blanks at both ends ",
    "'; DROP TABLE users; -- \\ \" %s %00 \\x00 {1,NULL} \\u0000",
    "e\u0301 \u202eright to left\u202c \ufeff\ufffe\uffff",
    "\U0010ffff\u200d\u0600",
    "NULL",
    "\ufdfa" * 255,  # normalized, each is 18 characters
    "İ" * 255,
)


async def setting_up(http: httpx.AsyncClient, clock: SettableClock) -> str:
    """A catalog of the largest names and values; the id of the points system."""
    key, name = "k" * ids.KEY_MAX, wide(ids.NAME_MAX, 3)
    metrics = [{"name": name, "key": one, "decimals": 0} for one in (key, "low")]
    [high, low] = await make(http, "metrics", *metrics)
    wanted = [("city", "user"), ("a" * ids.KEY_MAX, "user"), ("e" * ids.KEY_MAX, "event")]
    attributes = await make(
        http, "attributes", *({"name": name, "key": one, "type": type_} for one, type_ in wanted)
    )
    common = {
        "rankBy": "metric",
        "status": "active",
        "start": "2026-11-01",
        "name": name,
        "description": wide(1_000, 4),
    }
    clock.now_ms -= 2 * DAY_MS
    for metric, end in ((high, "high"), (low, "low")):
        board = {**common, "metricId": metric["id"], "order": "asc"}
        filters = [{"attributeId": attributes[1]["id"], "attributeValue": wide(ids.ATTRIBUTE_VALUE_MAX, 5)}]
        await make(
            http,
            "leaderboards",
            {**board, "key": f"grouped-{end}", "groupBy": attributes[0]["id"]},
            {**board, "key": f"ending-{end}", "groupBy": attributes[0]["id"], "end": "2026-11-23"},
            {
                **board,
                "key": f"daily-{end}",
                "breakdownAttributes": [attributes[0]["id"]],
                "runUnit": "day",
                "runInterval": 1,
                "userAttributes": filters,
            },
        )
    clock.now_ms += 2 * DAY_MS
    trigger = {
        "type": "metric",
        "metricId": high["id"],
        "metricThreshold": 1,
        "points": AMOUNT_MAX,
        "status": "active",
    }
    level = {"name": name, "key": key, "points": 1, "description": wide(1_000, 6)}
    system = {"name": name, "key": key, "triggers": [trigger], "levels": [level]}
    [points] = await make(http, "points", system)
    boost = {"name": name, "start": "2026-11-23", "multiplier": 2, "userId": USER}
    assert (await http.post("/admin/v1/points/boosts", json=[{**boost, "systemKey": key}])).status_code < 500
    ranked = {
        **common,
        "key": "points",
        "rankBy": "points",
        "pointsSystemId": points["id"],
        "groupBy": attributes[0]["id"],
    }
    await make(http, "leaderboards", ranked)
    await make(http, "achievements", {"name": name, "trigger": "api", "key": key, "status": "active"})
    await http.patch(
        "/admin/v1/streaks/settings",
        json={"metrics": [{"key": key, "threshold": 10**9}], "freezes": {"startCount": 1, "maxCount": 100}},
    )
    return str(points["id"])


async def send_largest(http: httpx.AsyncClient, clock: SettableClock, system: str) -> None:
    """Send the largest legal value through every endpoint."""
    key = "k" * ids.KEY_MAX
    city = wide(GROUP_MAX // 12, 7)
    profile = {
        "name": wide(ids.NAME_MAX, 8),
        "email": wide(EMAIL_MAX, 9),
        "tz": ZONE,
        "signUpDate": "0001-01-01",
        "deviceTokens": [wide(DEVICE_TOKEN_MAX, n) for n in range(DEVICE_TOKENS_MAX)],
        "attributes": {"city": city, "a" * ids.KEY_MAX: wide(ids.ATTRIBUTE_VALUE_MAX, 5)},
    }
    west = {**profile, "tz": "Pacific/Pago_Pago"}

    async def event(metric: str, value: float, who: dict[str, Any], **fields: Any) -> None:
        body = {"user": who, "value": value, "attributes": {"e" * ids.KEY_MAX: wide(1_000, 11)}, **fields}
        answer = await http.post(f"/v1/metrics/{metric}/event", json=body)
        assert answer.status_code == 201, answer.text

    for n in range(9):
        clock.now_ms += 1
        await event(key, VALUE_MAX, {"id": USER, **(profile if not n else {})})
        await event("low", -VALUE_MAX, {"id": LOW, **(west if not n else {})})
    rest = UNITS_MAX - 9 * VALUE_MAX
    await event(key, rest, {"id": USER})
    await event("low", -rest, {"id": LOW})
    over = await http.post(f"/v1/metrics/{key}/event", json={"user": {"id": USER}, "value": 1})
    assert over.status_code == 422
    # The first moment there is, where it is still the day before.
    old = {"key": "low", "user": {"id": LOW}, "value": -0.0, "timestamp": "1970-01-01T00:00:00Z"}
    keyed = {"key": key, "user": {"id": USER}, "value": 0, "timestamp": "2026-11-23T00:00:00Z"}
    keys = [wide(ids.ID_MAX, 20), *(text[: ids.ID_MAX] for text in STRANGE)]
    batch = [old, *({**keyed, "idempotencyKey": text} for text in keys)]
    assert (await http.post("/admin/v1/metrics/events", json=batch)).json() == {"accepted": len(batch)}

    awards = [{"userId": USER, "amount": sign * AMOUNT_MAX, "reason": wide(REASON_MAX, 30)} for sign in (-1, 1)]
    assert (await http.post(f"/admin/v1/points/{system}/awards", json=awards)).json()["issues"] == []
    done = await http.post(f"/v1/achievements/{key}/complete", json={"user": {"id": USER}})
    assert done.status_code == 201, done.text
    pause = {"userId": USER, "start": "2026-11-25", "end": "2036-11-20"}
    made = await http.post("/admin/v1/streaks/pauses", json={"pauses": [pause]})
    assert made.json()["issues"] == [], made.text
    for user in (USER, LOW):
        await http.post("/admin/v1/streaks/freezes", json={"freezes": [{"userId": user}]})
        await http.patch(f"/v1/users/{group_name((user,))}/preferences", json={"notifications": {}})
    await make(http, "application-api-keys", {"userId": USER})
    await make(http, "tenants", {"customerId": "~" * ids.ID_MAX, "name": wide(ids.NAME_MAX, 31)})
    origins = [f"https://{n:03}{'o' * 56}.{'p' * 60}.{'q' * 60}.example" for n in range(ORIGINS_MAX)]
    assert (await http.put("/admin/v1/origins", json=origins)).status_code == 200
    for text in STRANGE:
        who = {"id": text[:255], "name": text[:255], "email": text[:255], "attributes": {"city": text[:60]}}
        await event(key, 1, who)
        assert (await http.get(f"/v1/users/{group_name((text[:255],))}")).json()["name"] == text[:255]


async def test_the_largest_goes_through_to_postgres(
    http: httpx.AsyncClient, services: Services, clock: SettableClock
) -> None:
    pool, space = services.pool, services.directory.production
    system = await setting_up(http, clock)
    mistake = {"user": {"id": LOW}, "value": -7}
    made = (await http.post("/v1/metrics/low/event", json=mistake)).json()
    await flush(services)
    assert (await http.patch(f"/admin/v1/events/{made['eventId']}", json={"value": 0})).status_code == 200
    await send_largest(http, clock, system)
    await flush(services)
    refused = await pool.fetch("SELECT user_id, error FROM rejected_entries")
    assert [tuple(row) for row in refused] == []
    pages = [f"{board}-{end}" for board in ("grouped", "ending") for end in ("high", "low")]
    before = [await get(http, page, limit=100) for page in pages]
    await rebuild(pool, services.redis, space, clock, force=True)
    assert [await get(http, page, limit=100) for page in pages] == before
    await backfill(services)  # while one is under way, no run becomes final
    clock.now_ms += 3 * DAY_MS
    await Finals(pool, services.redis, services.directory, space, clock).round()
    await flush(services)
    assert await pool.fetchval("SELECT count(*) FROM rejected_entries") == 0

    async def extreme(column: str, what: str) -> Any:
        table, name = column.split(".")
        return await pool.fetchval(f"SELECT {what.format(name)} FROM {table}")

    found = {column: await extreme(column, "max(octet_length({}::text))") for column in TEXTS}
    assert found == TEXTS
    for column, size in DOCUMENTS.items():
        assert (await extreme(column, "max(octet_length({}::text))") or 0) >= size, column
    ends = {}
    for column, (least, most) in NUMBERS.items():
        low, high = await extreme(column, "min({0})::text"), await extreme(column, "max({0})::text")
        ends[column] = (low if least is not None else None, high if most is not None else None)
    assert ends == NUMBERS
