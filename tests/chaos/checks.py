"""The promises that hold when the faults have ended and everything is flushed."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx
import redis.asyncio

from podium.game.leaderboards.ranking import board_name, group_name, group_values, member_user
from podium.game.state import UserState, decode_state
from tests.chaos.cluster import Cluster, until
from tests.chaos.faults import Scene
from tests.chaos.load import ACCEPTED, EXPECTED, USERS, Sent
from tests.chaos.proxy import HOST
from tests.chaos.viewers import LIMIT, Viewer

SHOWN = 4
"""Examples of each finding that are named."""
DRAIN_S = 90.0
"""How long the log may take to reach Postgres on a busy machine, with a rebuild in between."""
SEEN_S = 60.0
"""How long a viewer may take to see the last change."""
PROBE_TRIES = 100
EXPLAINED = re.compile(
    r"redis\.exceptions\.(Connection|Timeout|BusyLoading|OutOfMemory|ReadOnly)\w*"
    r"|asyncpg\.exceptions\.(_base\.)?(ConnectionDoesNotExist|CannotConnectNow|InterfaceError|AdminShutdown"
    r"|CrashShutdown|DiskFull|IOError|PostgresIOError|SystemError|InternalClient|ConnectionFailure"
    r"|ConnectionRejection|QueryCanceled|TooManyConnections)\w*"
    r"|ConnectionError|ConnectionResetError|ConnectionRefusedError|BrokenPipeError|TimeoutError|OSError"
    r"|Unavailable|OOM command not allowed|could not (write|open|extend)|File too large|MISCONF"
)
"""Last lines of tracebacks that a store which is away, full or killed explains."""
ALARMS = frozenset({"rebuild_needed", "space_rebuilt", "flush_paused", "clock_wrong", "redis_went_back"})
"""Log events that mean an alarm: none where nothing is wrong."""
SAID = frozenset({"clock_wrong"})
"""Errors that say what the fault is."""
SAID_OF_LOSS = frozenset({"redis_went_back"})
"""The same where Redis lost its file, or what it held."""


@dataclass(slots=True)
class Found:
    """The result of a round. Each of ``findings`` is a broken promise of Podium."""

    findings: list[str] = field(default_factory=list)
    lost: int = 0
    lost_as_allowed: int = 0
    doubled: int = 0
    stuck: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    """Tracebacks and errors in logs that a fault explains, by event."""
    alarms: Counter[str] = field(default_factory=Counter)
    """Return how often each of ``ALARMS`` was logged, by event."""

    def add(self, what: str, examples: Iterable[object]) -> int:
        """Note a finding with some examples, if there are any; how many."""
        listed = list(examples)
        if listed:
            some = "; ".join(str(one) for one in listed[:SHOWN])
            self.findings.append(f"{what}: {len(listed)} ({some})")
        return len(listed)


async def check_round(scene: Scene, viewers: list[Viewer], name: str) -> Found:
    """Check everything."""
    found, cluster = Found(), scene.cluster
    try:
        await until(cluster.all_ready, "every web process is ready again", DRAIN_S)
        await _drained(cluster)
        await _probe(scene, found, name)
        await _drained(cluster)
    except TimeoutError as error:
        found.findings.append(str(error))
    connection = await asyncpg.connect(cluster.postgres.url)
    try:
        async with redis.asyncio.Redis.from_url(cluster.valkey.url) as client:
            await check_events(connection, scene, found)
            await check_stores(connection, client, found)
    finally:
        await connection.close()
    await _viewers(cluster, viewers, found)
    found.add("answers that say that Podium is wrong", scene.ledger.ours)
    found.add("refusals of good requests", scene.ledger.unexpected)
    found.add("processes ended by themselves", cluster.incidents)
    return found


async def _space(connection: Any) -> tuple[int, str]:
    row = await connection.fetchrow("SELECT id, public_id FROM spaces ORDER BY id LIMIT 1")
    return int(row[0]), str(row[1])


async def _drained(cluster: Cluster) -> None:
    """Until Postgres holds what the log does."""

    async def flushed() -> bool:
        try:
            connection = await asyncpg.connect(cluster.postgres.url)
        except (OSError, asyncpg.PostgresError):
            return False
        try:
            id_, public = await _space(connection)
            position = await connection.fetchrow(
                "SELECT epoch, log_id FROM log_positions WHERE space_id = $1", id_
            )
            async with redis.asyncio.Redis.from_url(cluster.valkey.url) as client:
                epoch = await client.hget(f"{{{public}}}:meta", "epoch")
                newest = await client.xrevrange(f"{{{public}}}:log", count=1)
        except (OSError, redis.exceptions.RedisError):
            return False
        finally:
            await connection.close()
        if position is None or epoch is None or not newest:
            return False
        return bool(epoch.decode() == position["epoch"] and newest[0][0].decode() == position["log_id"])

    await until(flushed, "everything is flushed", DRAIN_S)


async def _probe(scene: Scene, found: Found, name: str) -> None:
    """Post one more event for every user: each is answered with 201 in the end."""
    ports = [member.port for member in scene.cluster.webs]
    stuck: list[str] = []

    async def prober(users: Iterable[int], client: httpx.AsyncClient) -> None:
        for user in users:
            key = f"{name}-probe-{user}"
            sent = scene.ledger.keyed[key] = Sent(f"user-{user}", "words", 1)
            body = {"user": {"id": sent.user}, "value": 1}
            said = ""
            for attempt in range(PROBE_TRIES):
                sent.tries += 1
                sent.asked_s = time.monotonic()
                url = f"http://{HOST}:{ports[(user + attempt) % len(ports)]}/v1/metrics/words/event"
                try:
                    answer = await client.post(url, json=body, headers={"Idempotency-Key": key})
                except httpx.TransportError as error:
                    said = repr(error)
                else:
                    scene.ledger.answer(answer.status_code, answer.text, "probe")
                    said = f"{answer.status_code} {answer.text[:200]}"
                    if answer.status_code in ACCEPTED:
                        scene.ledger.acked(sent, answer.json()["eventId"])
                        break
                    if answer.status_code not in EXPECTED:
                        break
                await asyncio.sleep(0.1)
            if sent.acked_s is None:
                del scene.ledger.keyed[key]
                stuck.append(f"{sent.user}: {said}")

    users = iter(range(USERS))
    async with httpx.AsyncClient(headers={"X-API-KEY": scene.cluster.key}, timeout=10) as client:
        await asyncio.gather(*(prober(users, client) for _ in range(8)))
    found.stuck = found.add("users stuck", stuck)


async def check_events(connection: Any, scene: Scene, found: Found) -> None:
    """Hold the ledger against the events in Postgres."""
    rows = await connection.fetch(
        "SELECT id::text, user_id, units, (SELECT key FROM catalog_items WHERE number = metric) AS metric,"
        " idempotency_key AS key, attributes->>'tag' AS tag FROM events"
    )
    keyed: dict[str, list[Any]] = defaultdict(list)
    tagged: Counter[str] = Counter()
    wrong: list[str] = []
    unknown: list[str] = []
    for row in rows:
        name = row["key"] or row["tag"]
        sent = (scene.ledger.keyed if row["key"] else scene.ledger.unkeyed).get(name)
        if row["key"]:
            keyed[name].append(row)
        else:
            tagged[name] += 1
        if sent is None:
            unknown.append(f"{name} of {row['user_id']}")
        elif (row["user_id"], row["units"], row["metric"]) != (sent.user, sent.units, sent.metric):
            wrong.append(f"{name}: {tuple(row)}, not {sent}")
    lost = [name for name, sent in scene.ledger.keyed.items() if sent.acked_s is not None and name not in keyed]
    lost += [name for name, sent in scene.ledger.unkeyed.items() if sent.acked_s is not None and not tagged[name]]
    found.lost_as_allowed = sum(name in scene.doubtful for name in lost)
    found.lost = found.add("acknowledged and lost", [name for name in lost if name not in scene.doubtful])
    for name in lost:
        # Counted once: not again in the next round's check.
        (scene.ledger.keyed if name in scene.ledger.keyed else scene.ledger.unkeyed)[name].acked_s = None
    found.doubled = found.add(
        "keyed and counted twice", [name for name, stored in keyed.items() if len(stored) > 1]
    )
    found.add(
        "unkeyed and counted more often than sent",
        [
            f"{name}: {count} of {scene.ledger.unkeyed[name].tries}"
            for name, count in tagged.items()
            if name in scene.ledger.unkeyed and count > scene.ledger.unkeyed[name].tries
        ],
    )
    found.add(
        "acknowledged with another event's id",
        [
            f"{name}: {sent.event_ids}, stored as {[row['id'] for row in keyed[name]]}"
            for name, sent in scene.ledger.keyed.items()
            if name in keyed
            and not sent.event_ids <= {row["id"] for row in keyed[name]}
            # A key that was lost and is sent again is a new event.
            and name not in scene.doubtful
        ],
    )
    found.add("stored, but not as sent", wrong)
    found.add("stored, but never sent", unknown)


async def check_stores(connection: Any, client: Any, found: Found) -> None:
    """Hold events, days, totals, states and boards of both stores against each other."""
    _, public = await _space(connection)
    prefix = f"{{{public}}}:"
    found.add("rejected by Postgres", await connection.fetch("SELECT error FROM rejected_entries"))
    numbers = {
        row["key"]: row["number"] for row in await connection.fetch("SELECT key, number FROM catalog_items")
    }
    sums = _sums(await connection.fetch("SELECT user_id, metric, sum(units)::bigint FROM events GROUP BY 1, 2"))
    days = _sums(
        await connection.fetch("SELECT user_id, metric, sum(change)::bigint FROM metric_days GROUP BY 1, 2")
    )
    found.add("days of a metric differ from the events", _differences(days, sums))
    states: dict[str, UserState] = {}
    for row in await connection.fetch("SELECT id, token, state FROM users"):
        token, blob = await client.hmget(f"{prefix}u:{row['id']}", "t", "s")
        states[row["id"]] = decode_state(row["state"])
        if token is None:
            cold = await client.hget(f"{prefix}cold", row["id"])
            if cold is None or cold.decode() != row["token"]:
                found.findings.append(f"{row['id']} is neither in Redis nor cold with Postgres' token")
        elif (token.decode(), blob.decode()) != (row["token"], row["state"]):
            found.findings.append(f"the state of {row['id']} differs between the stores")
    totals = {
        (user, metric): total for user, state in states.items() for metric, total in state.totals.items() if total
    }
    found.add("totals differ from the sums of events", _differences(totals, sums))
    await _points(connection, states, found)
    await _boards(connection, client, prefix, numbers, states, found)


def _sums(rows: Iterable[Any]) -> dict[Any, int]:
    """Sums by all columns but the last, without those that are 0."""
    return {tuple(row)[:-1]: row[-1] for row in rows if row[-1]}


def _differences(one: dict[Any, int], other: dict[Any, int]) -> list[str]:
    return [
        f"{key}: {one.get(key)} and {other.get(key)}"
        for key in one.keys() | other.keys()
        if one.get(key) != other.get(key)
    ]


async def _points(connection: Any, states: dict[str, UserState], found: Found) -> None:
    awarded = _sums(
        await connection.fetch("SELECT user_id, system, sum(awarded)::bigint FROM point_awards GROUP BY 1, 2")
    )
    stored = _sums(await connection.fetch("SELECT user_id, system, total FROM user_points"))
    held = {
        (user, system): total for user, state in states.items() for system, total in state.points.items() if total
    }
    found.add("points differ from the sums of awards", _differences(held, awarded))
    found.add("points of users differ from the states", _differences(stored, held))


async def _boards(
    connection: Any, client: Any, prefix: str, numbers: dict[str, int], states: dict[str, UserState], found: Found
) -> None:
    rows = await connection.fetch(
        "SELECT leaderboard, run, grp, user_id, value, reached_ms FROM standings"
        " WHERE (leaderboard, run) NOT IN (SELECT leaderboard, run FROM final_runs)"
        " ORDER BY leaderboard, run, grp, value DESC, reached_ms, user_id"
    )
    stored: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
    for row in rows:
        board = board_name(row["leaderboard"], row["run"], row["grp"] or None)
        stored[board].append((row["user_id"], row["value"], row["reached_ms"]))
    live: dict[str, list[tuple[str, int, int]]] = {}
    async for key in client.scan_iter(match=f"{prefix}b:*", count=500):
        board = key.decode().removeprefix(f"{prefix}b:")
        if board.startswith("g:"):
            continue
        members = await client.zrange(key, 0, -1, withscores=True)
        live[board] = [(member_user(m.decode()), -int(score), int(m[:12], 16)) for m, score in members]
    finals = {board_name(*row) for row in await connection.fetch("SELECT leaderboard, run FROM final_runs")}
    boards = {board for board in stored.keys() | live.keys() if ":".join(board.split(":")[:2]) not in finals}
    found.add(
        "boards differ between the stores",
        [
            f"{board}: {_first(live.get(board, []), stored.get(board, []))}"
            for board in sorted(boards)
            if live.get(board, []) != stored.get(board, [])
        ],
    )
    counted: dict[str, dict[str, int]] = defaultdict(dict)
    for user, metric, total in await connection.fetch(
        "SELECT user_id, metric, sum(units)::bigint FROM events GROUP BY 1, 2"
    ):
        city = states[user].profile.attributes.get("city") if user in states else None
        if metric == numbers["words"]:
            counted[f"{numbers['all']}:"][user] = total
            counted[f"{numbers['cities']}:"][user] = total
        else:
            counted[f"{numbers['dense-coins']}:"][user] = total
            if city:
                counted[f"{numbers['by-city']}::{group_name((city,))}"][user] = total
    for user, day, total in await connection.fetch(
        "SELECT user_id, day, sum(units)::bigint FROM events WHERE metric = $1 AND NOT late GROUP BY 1, 2",
        numbers["words"],
    ):
        counted[f"{numbers['daily']}:{day:%Y%m%d}"][user] = total
    by_events = {
        (board, user): value for board, users in counted.items() for user, value in users.items() if value
    }
    recomputed = tuple(f"{numbers[key]}:" for key in ("all", "cities", "dense-coins", "by-city", "daily"))
    on_boards = {
        (board, user): value
        for board, places in live.items()
        if board.startswith(recomputed)
        and (board in counted or value_of(places))
        and not _member_board(board, numbers)
        for user, value, _ in places
        if value
    }
    by_events = {key: value for key, value in by_events.items() if ":".join(key[0].split(":")[:2]) not in finals}
    found.add("boards differ from the events", _differences(on_boards, by_events))
    await _groups(client, prefix, numbers, states, counted[f"{numbers['cities']}:"], found)


def value_of(places: list[tuple[str, int, int]]) -> bool:
    """Whether anybody on a board has a value."""
    return any(value for _, value, _ in places)


def _member_board(board: str, numbers: dict[str, int]) -> bool:
    """Whether a board is that of one group's members, where groups are ranked."""
    return board.startswith(f"{numbers['cities']}:") and board.count(":") == 2


async def _groups(
    client: Any,
    prefix: str,
    numbers: dict[str, int],
    states: dict[str, UserState],
    values: dict[str, int],
    found: Found,
) -> None:
    """The ranking of groups is that of the sums of their members."""
    expected: Counter[str] = Counter()
    for user, value in values.items():
        city = states[user].profile.attributes.get("city")
        if city:
            expected[city] += value
    rows = await client.zrange(f"{prefix}b:g:{numbers['cities']}:", 0, -1, withscores=True)
    ranked = {group_values(member_user(name.decode()))[0]: -int(score) for name, score in rows}
    found.add(
        "groups differ from the sums of their members",
        _differences(
            {key: value for key, value in ranked.items() if value},
            {key: value for key, value in expected.items() if value},
        ),
    )


def _first(one: list[Any], other: list[Any]) -> str:
    pairs = itertools.zip_longest(one, other)
    return next((f"place {rank}: {a}, {b}" for rank, (a, b) in enumerate(pairs, start=1) if a != b), "")


async def _viewers(cluster: Cluster, viewers: list[Viewer], found: Found) -> None:
    """Each viewer's last frame is the page, at each web process."""
    late: dict[str, str] = {}

    async def same() -> bool:
        late.clear()
        try:
            async with httpx.AsyncClient(headers={"X-API-KEY": cluster.key}, timeout=10) as client:
                for member in cluster.webs:
                    for viewer in viewers:
                        for channel, shown in viewer.shown.items():
                            page = await _page(client, member.port, channel)
                            if shown.personal:
                                seen: Any = (shown.own.get("rank"), shown.own.get("value"))
                            else:
                                seen = (shown.participants, shown.table())
                            if not shown.subscribed or seen != page:
                                late[channel] = f"{channel}: seen {str(seen)[:200]}, page {str(page)[:200]}"
        except (httpx.TransportError, KeyError) as error:
            late["page"] = repr(error)
        return not late

    try:
        await until(same, "viewers see the page", SEEN_S)
    except TimeoutError:
        found.add("viewers' last frame is not the page", late.values())


async def _page(client: httpx.AsyncClient, port: int, channel: str) -> Any:
    """Return what HTTP says of a channel."""
    kind, _, name = channel.partition(":")
    name, _, user = name.partition("#")
    key, _, query = name.partition("?")
    base = f"http://{HOST}:{port}/v1"
    if user:
        body = (await client.get(f"{base}/users/{user}/leaderboards/{key}")).json()
        return body["rank"], body["exactValue"]
    if kind == "groups":
        body = (await client.get(f"{base}/leaderboards/{key}/groups", params={"limit": LIMIT})).json()
        return body["groups"], [(row["group"], row["value"]) for row in body["rankings"]]
    params: dict[str, Any] = {"limit": LIMIT}
    if query:
        params["userAttributes"] = query.replace("=", ":")
    body = (await client.get(f"{base}/leaderboards/{key}", params=params)).json()
    return body["participants"], [(row["userId"], row["exactValue"]) for row in body["rankings"]]


class Logs:
    """Reads what was logged since the last look, and finds what no fault explains."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._read = {member.name: cluster.log(member).stat().st_size for member in cluster.members}

    def check(self, found: Found, *, keeps: bool) -> None:
        """Add what nobody has caused to the findings. ``keeps`` says that Redis has kept its file."""
        said = SAID if keeps else SAID | SAID_OF_LOSS
        strange: list[str] = []
        for member in self._cluster.members:
            log = self._cluster.log(member)
            data = log.read_bytes()
            new = data[self._read.get(member.name, 0) :]
            self._read[member.name] = len(data)
            for line in new.decode(errors="replace").splitlines():
                self._line(member.name, line, said, found, strange)
        found.add("unexplained in the logs", strange)

    def _line(self, name: str, line: str, said: frozenset[str], found: Found, strange: list[str]) -> None:
        try:
            entry = json.loads(line)
        except ValueError:
            # The last line of a process that was killed while it wrote is cut off.
            if line.startswith(("Traceback", "  File")) or "Error" in line:
                strange.append(f"{name}: {line[:200]}")
            return
        if entry.get("event") in ALARMS:
            found.alarms[entry["event"]] += 1
        if entry.get("level") not in ("error", "critical") and "exception" not in entry:
            return
        if entry.get("event") in said:
            found.explained[str(entry["event"])] += 1
            return
        trace = str(entry.get("exception", "")).strip()
        last = trace.splitlines()[-1] if trace else str(entry.get("error", ""))
        # An error of Postgres may end with lines of detail and a hint.
        if EXPLAINED.search("\n".join(trace.splitlines()[-4:]) or last):
            found.explained[str(entry.get("event"))] += 1
        else:
            strange.append(f"{name}: {entry.get('event')}: {last[:200]}")
