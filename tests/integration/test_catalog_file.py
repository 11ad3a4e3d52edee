"""The catalog as a document: exported, planned, applied, copied between environments, and by the command line."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from click.testing import CliRunner, Result

from podium.api.catalog import admin
from podium.api.catalog.plan import Planner
from podium.api.catalog.schema import json_schema
from podium.api.catalog.yaml_file import read
from podium.cli.main import main
from podium.services import Services
from tests.conftest import SettableClock
from tests.integration.test_boards import flush, make
from tests.integration.test_tenants import revive

GAME = """
settings:
  branding: {appName: Écrit, brandColor: '#112233'}
  experimentation: {controlRatio: 10}
attributes:
- {name: City, key: city, type: user}
- {name: Genre, key: genre, type: event}
metrics:
- {name: Words written, key: words, decimals: 0, maxPerDay: 50000}
- {name: "<b>'; DROP TABLE users; --</b>", key: pages}
achievements:
- name: Both
  trigger: achievement
  achievements: [Novelist, secret]
- name: Novelist
  trigger: metric
  metric: words
  metricValue: 50000
  status: active
  userAttributes: {city: Rome}
- {name: Novelist, trigger: metric, metric: words, metricValue: 90000, eventAttributes: {genre: crime}}
- {name: Secret, trigger: api, key: secret, badge: {url: https://example.com/s.png}}
points:
- name: Experience
  key: xp
  maxPoints: 1000
  levels:
  - {name: Bronze, key: bronze, points: 10}
  - {name: ذهب, key: gold, points: 100, description: shiny}
  triggers:
  - {type: metric, metric: words, metricThreshold: 100, points: 10, status: active}
  - {type: metric, metric: words, metricThreshold: 1000, points: 50, status: inactive}
  - {type: achievement, achievement: Novelist#2, points: 500}
  boosts:
  - {name: Weekend, start: 2026-11-28, end: 2026-11-29, multiplier: 2, weekdays: [0, 6]}
streaks:
  frequency: weekly
  metrics: [{key: words, threshold: 100}]
leaderboards:
- name: Night
  key: night
  rankBy: metric
  metric: words
  start: 2026-01-01
  startTime: 22:00
  endTime: 04:30
  runUnit: day
  runInterval: 1
  status: active
  displayAttributes: [city]
  breakdownAttributes: [city]
- name: Cities
  key: cities
  rankBy: points
  pointsSystem: xp
  start: 2026-01-01
  groupBy: city
  rewards:
  - {fromRank: 1, toRank: 3, points: {systemKey: xp, amount: 10}, achievementKey: Both}
"""


@pytest.fixture
def document() -> dict[str, Any]:
    """The game above as the command reads it."""
    return read(GAME, "game.yaml")


async def apply(http: httpx.AsyncClient, document: Any, prune: bool = False, key: str | None = None) -> Any:
    headers = {} if key is None else {"X-API-KEY": key}
    answer = await http.put(
        "/admin/v1/catalog", json=document, params={"prune": str(prune).lower()}, headers=headers
    )
    assert answer.status_code == 200, answer.text
    plan = answer.json()
    assert plan["applied"] is True
    return [(change["action"], change["section"], change["item"]) for change in plan["changes"]]


async def test_applied_once_it_is_there_and_twice_nothing_changes(
    http: httpx.AsyncClient, services: Services, document: dict[str, Any]
) -> None:
    plan = (await http.post("/admin/v1/catalog/plan", json=document)).json()
    assert (plan["issues"], plan["applied"]) == ([], False)
    assert (await http.get("/v1/leaderboards")).json() == []
    changes = await apply(http, document)
    assert changes == [(c["action"], c["section"], c["item"]) for c in plan["changes"]]
    assert ("create", "achievements", "Novelist#2") in changes
    assert ("create", "points xp triggers", "metric words#2") in changes
    assert await apply(http, document) == []
    exported = (await http.get("/admin/v1/catalog")).json()
    assert await apply(http, exported, prune=True) == []

    def whole(items: list[dict[str, Any]]) -> set[str]:
        return {item["name"] for item in items}

    for section in ("attributes", "metrics", "achievements", "points", "leaderboards"):
        assert whole(exported[section]) == whole(document[section])
    night = next(one for one in exported["leaderboards"] if one["key"] == "night")
    assert (night["startTime"], night["endTime"], night["metric"]) == ("22:00", "04:30", "words")
    cities = next(one for one in exported["leaderboards"] if one["key"] == "cities")
    assert cities["rewards"][0]["achievementKey"] == "Both"
    triggers = exported["points"][0]["triggers"]
    assert [one.get("achievement") for one in triggers] == [None, None, "Novelist#2"]
    # It is the admin API's own: what it made is there, and in the audit log.
    rows = (await http.get("/admin/v1/audit-log")).json()["rows"]
    assert len([row for row in rows if row["action"] == "create"]) == len(changes)


async def test_others_go_on_while_a_catalog_is_compared(
    http: httpx.AsyncClient, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planner.run and export are in a thread, and what changes nothing or can't be never takes the lock."""
    threads, locks = [], []
    run, editing = Planner.run, admin.editing_catalog

    def spied(planner: Planner) -> Any:
        threads.append(threading.current_thread())
        return run(planner)

    def locked(request: Any) -> Any:
        locks.append(request)
        return editing(request)

    monkeypatch.setattr(Planner, "run", spied)
    monkeypatch.setattr(admin, "editing_catalog", locked)
    await apply(http, document)
    assert len(locks) == 1
    assert await apply(http, document) == []
    assert (await http.put("/admin/v1/catalog", json={"metrics": [{"name": "", "key": "x"}]})).status_code == 422
    assert len(locks) == 1
    assert threading.main_thread() not in threads
    assert threads


async def test_what_changes_is_planned_and_done(http: httpx.AsyncClient, document: dict[str, Any]) -> None:
    await apply(http, document)
    document["metrics"][1]["name"] = "Pages"
    del document["metrics"][0]["maxPerDay"]
    document["points"][0]["levels"][0]["points"] = 100  # both move at once
    document["points"][0]["levels"][1]["points"] = 200
    document["points"][0]["boosts"] = []
    del document["leaderboards"][1]
    document["settings"]["branding"]["appName"] = "Écrits"
    plan = (await http.post("/admin/v1/catalog/plan", json=document)).json()
    fields = {(c["section"], c["item"]): c["fields"] for c in plan["changes"]}
    assert fields["metrics", "pages"][0]["after"] == "Pages"
    assert fields["metrics", "words"] == [{"field": "maxPerDay", "before": 50000.0, "after": None}]
    assert fields["points xp levels", "bronze"] == [{"field": "points", "before": 10, "after": 100}]
    assert ("settings", "") in fields
    changed = await apply(http, document, prune=True)
    assert ("archive", "leaderboards", "cities") in changed
    assert ("archive", "points xp boosts", "Weekend") in changed
    assert await apply(http, document, prune=True) == []
    assert [one["key"] for one in (await http.get("/admin/v1/leaderboards")).json()] == ["night"]


async def test_all_or_nothing(http: httpx.AsyncClient, document: dict[str, Any]) -> None:
    await apply(http, document)
    before = (await http.get("/admin/v1/catalog")).json()
    bad: list[tuple[dict[str, Any], str]] = [
        ({"metrics": [{"name": "New", "key": "new"}, {"name": "", "key": "empty"}]}, "metrics empty: name"),
        ({"metrics": [{"name": "Words", "key": "words", "decimals": 2}]}, "decimals cannot be changed"),
        ({"leaderboards": [{"name": "X", "key": "x", "rankBy": "metric", "metric": "no"}]}, "metric names no"),
        ({"achievements": [{"name": "A", "trigger": "achievement", "achievements": ["A"]}]}, "achievements A"),
        ({"points": [{"name": "X", "key": "xp", "triggers": [{"type": "time", "points": 1}]}]}, "timeUnit"),
        ({"streaks": {"metrics": [{"key": "nothing", "threshold": 1}]}}, "metrics[0].key"),
        ({"settings": {"branding": {"appUrl": "javascript:alert(1)"}}}, "appUrl"),
        ({"leaderboards": [{**document["leaderboards"][0], "startTime": "21:00"}]}, "while the leaderboard is"),
    ]
    for wanted, word in bad:
        plan = (await http.post("/admin/v1/catalog/plan", json=wanted)).json()
        assert plan["issues"], wanted
        refused = await http.put("/admin/v1/catalog", json=wanted)
        assert refused.status_code == 422, (wanted, refused.text)
        assert word in refused.json()["error"], (wanted, refused.text)
    for wrong in (
        [],
        "x",
        {"metric": []},
        {"metrics": [{"key": "a"}]},
        {"metrics": [{"name": "A", "key": "a", "id": 1}]},
    ):
        assert (await http.put("/admin/v1/catalog", json=wrong)).status_code == 400, wrong
    # Nothing that others need can be pruned away.
    kept = await http.put("/admin/v1/catalog", json={"metrics": []}, params={"prune": "true"})
    assert (kept.status_code, "used by" in kept.json()["error"]) == (422, True)
    assert (await http.get("/admin/v1/catalog")).json() == before


async def test_environments_and_copies(
    http: httpx.AsyncClient, services: Services, document: dict[str, Any]
) -> None:
    await apply(http, document)
    [row] = (await http.get("/admin/v1/points")).json()
    one = {"name": "Sorry", "start": "2026-11-01", "multiplier": 3, "userId": "ann"}
    await make(http, f"points/{row['id']}/boosts", one)
    await http.post("/v1/metrics/words/event", json={"user": {"id": "ann"}, "value": 250})
    await flush(services)

    made = await http.post("/admin/v1/environments", json={"key": "staging"})
    assert made.status_code == 201, made.text
    key = made.json()["apiKey"]
    assert (made.json()["name"], made.json()["priority"]) == ("Staging", 2)
    assert (await http.post("/admin/v1/environments", json={"key": "staging"})).status_code == 422
    assert (await http.post("/admin/v1/environments", json={"key": "../x"})).status_code == 422
    listed = (await http.get("/admin/v1/environments")).json()
    assert [one["key"] for one in listed] == ["production", "staging"]

    async def copy(of: str, **more: Any) -> httpx.Response:
        return await http.post("/admin/v1/catalog/copy", json={"from": of, **more}, headers={"X-API-KEY": key})

    preview = (await copy("production")).json()
    assert (preview["issues"], preview["applied"]) == ([], False)
    empty = (await http.get("/admin/v1/catalog", headers={"X-API-KEY": key})).json()
    assert empty["metrics"] == []
    assert len((await copy("production", apply=True)).json()["changes"]) == len(preview["changes"])
    theirs = (await http.get("/admin/v1/catalog", headers={"X-API-KEY": key})).json()
    ours = (await http.get("/admin/v1/catalog")).json()
    assert theirs == ours
    assert "ann" not in json.dumps(theirs)
    assert (await copy("production", apply=True, prune=True)).json()["changes"] == []
    # Upward again, with what was tried out there; users stay.
    await apply(http, {"metrics": [{"name": "Lines", "key": "lines"}]}, key=key)
    up = await http.post("/admin/v1/catalog/copy", json={"from": "staging", "apply": True, "prune": True})
    assert [(c["action"], c["item"]) for c in up.json()["changes"]] == [("create", "lines")]
    assert (await http.get("/v1/users/ann/metrics/words")).json()["current"] == 250
    boosts = (await http.get(f"/admin/v1/points/{row['id']}/boosts")).json()
    assert [boost["name"] for boost in boosts] == ["Weekend", "Sorry"]
    for of in ("staging", "nowhere", "x" * 10_000, "'; DROP TABLE spaces; --"):
        assert (await copy(of)).status_code == 422, of


async def test_the_command(http: httpx.AsyncClient, base_url: str, admin_key: str, tmp_path: Path) -> None:
    file = tmp_path / "game.yaml"
    file.write_text(GAME, encoding="utf-8")

    async def podium(*words: str, answer: str = "") -> Result:
        run = CliRunner(env={"PODIUM_API_KEY": admin_key}).invoke
        url = () if words == ("schema",) else ("--url", base_url)
        return await asyncio.to_thread(run, main, ["catalog", *words, *url], input=answer)

    diff = await podium("diff", str(file))
    assert (diff.exit_code, "+ leaderboards night" in diff.stdout) == (2, True)
    refused = await podium("apply", str(file), answer="n\n")
    assert refused.exit_code == 1
    assert (await http.get("/admin/v1/catalog")).json()["metrics"] == []
    applied = await podium("apply", str(file), answer="y\n")
    assert (applied.exit_code, applied.stdout.endswith("Applied.\n")) == (0, True)
    again = await podium("apply", str(file))
    assert (again.exit_code, again.stdout) == (0, "Nothing to change.\n")
    exported = await podium("export")
    assert exported.stdout.startswith("# yaml-language-server: $schema=http://")
    file.write_text(exported.stdout, encoding="utf-8")
    assert (await podium("diff", str(file), "--prune")).exit_code == 0
    file.write_text(exported.stdout.replace("Experience", "Erfahrung"), encoding="utf-8")
    shown = await podium("diff", str(file))
    assert shown.stdout == '~ points xp\n    name  "Experience" → "Erfahrung"\n\n1 to change.\n'
    for text, word in (
        ("metrics: [{name: A}]", "key is required"),
        ("- a", "sections"),
        ("a: [", "line 1"),
        ("metrics: [{name: A, key: 010}]", "metrics[0].key: expected str, got int"),
        ("metrics: [{name: A, key: a, decimals: " + "9" * 4_000 + "}]", "decimals"),
        ("metrics:", "metrics: expected array, got null"),
        ("metrics: [{name: '', key: a}]", "name must not be empty"),
    ):
        file.write_text(text, encoding="utf-8")
        result = await podium("apply", str(file), "--yes")
        assert (result.exit_code, word in result.stderr) == (1, True), (text, result.stderr)
    assert json.loads((await podium("schema")).stdout) == json_schema()
    missing = await podium("diff", str(tmp_path / "none.yaml"))
    assert (missing.exit_code, "No such file" in missing.stderr) == (1, True)
    file.write_bytes(b"\xff")
    assert "not UTF-8" in (await podium("diff", str(file))).stderr
    piped = await podium("diff", "-", answer="metrics: [{name: B, key: b}]")
    assert (piped.exit_code, piped.stdout) == (2, '+ metrics b  "B"\n\n1 to create.\n')
    # What fails prints nothing that could be taken for a catalog.
    for key in ("wrong", "ключ"):
        wrong = await podium("export", "--key", key)
        assert (wrong.exit_code, wrong.stdout) == (1, ""), key
        assert wrong.stderr.startswith("podium: ")


async def test_the_command_says_what_differs(
    http: httpx.AsyncClient, base_url: str, admin_key: str, tmp_path: Path, document: dict[str, Any]
) -> None:
    await apply(http, document)
    document["settings"]["branding"]["appName"] = "A\x1b[2Jb"
    document["streaks"]["metrics"][0]["threshold"] = 200
    document["metrics"] = [{**document["metrics"][0], "name": "Wörter", "maxPerDay": 10}]
    document["metrics"].append({"name": "\x1b[31m", "key": "lines"})
    document["points"][0]["levels"] = []
    file = tmp_path / "game.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    run = CliRunner(env={"PODIUM_API_KEY": admin_key}).invoke
    words = ["catalog", "apply", str(file), "--prune", "--url", base_url]
    shown = await asyncio.to_thread(run, main, words, input="y\n")
    assert shown.stdout == (
        "~ metrics words\n"
        '    name       "Words written" → "Wörter"\n'
        "    maxPerDay  50000 → 10\n"
        '+ metrics lines  "\\u001b[31m"\n'
        '- points xp levels gold  "ذهب"  (will be archived)\n'
        '- points xp levels bronze  "Bronze"  (will be archived)\n'
        "~ streaks\n"
        "    metrics[0].threshold  100 → 200\n"
        "~ settings\n"
        '    branding.appName  "Écrit" → "A\\u001b[2Jb"\n'
        '- metrics pages  "<b>\'; DROP TABLE users; --</b>"  (will be archived)\n'
        "\n1 to create, 3 to change, 3 to archive.\n"
        "Apply, and archive 3 items? [y/N]: y\nApplied.\n"
    )
    document["metrics"] = []
    document["leaderboards"][0]["metric"] = "\x1b[2J"
    file.write_text(json.dumps(document), encoding="utf-8")
    refused = await asyncio.to_thread(run, main, [*words, "--yes"])
    assert refused.exit_code == 1
    assert "! leaderboards night: metric names no metric: \\x1b[2J\n" in refused.stderr
    assert refused.stderr.endswith("problems. Nothing was changed.\n")
    coloured = await asyncio.to_thread(lambda: run(main, words, input="n\n", color=True))
    assert "\x1b[31m- metrics lines" in coloured.output
    plain = CliRunner(env={"PODIUM_API_KEY": admin_key, "NO_COLOR": "1"}).invoke
    assert "\x1b" not in (await asyncio.to_thread(lambda: plain(main, words, input="n\n", color=True))).output


async def test_the_commands_name_a_tenant(
    http: httpx.AsyncClient,
    base_url: str,
    admin_key: str,
    services: Services,
    clock: SettableClock,
    tmp_path: Path,
) -> None:
    services.directory.multi_tenancy = True
    await make(http, "tenants", {"customerId": "acme", "name": "Acme"}, {"customerId": "two words", "name": "É"})
    await revive(services, clock)
    file = tmp_path / "game.yaml"
    file.write_text("metrics: [{name: Words, key: words}]", encoding="utf-8")
    events = tmp_path / "events.csv"
    events.write_text("user,metric,value,timestamp\nann,words,1,2026-01-01T00:00:00Z\n", encoding="utf-8")

    async def podium(*words: str) -> Result:
        run = CliRunner(env={"PODIUM_API_KEY": admin_key}).invoke
        return await asyncio.to_thread(run, main, [*words, "--url", base_url])

    nobody = await podium("catalog", "diff", str(file))
    assert (nobody.exit_code, "name the tenant with --tenant" in nobody.stderr) == (1, True)
    for tenant in ("acme", "two words"):
        applied = await podium("catalog", "apply", str(file), "--yes", "--tenant", tenant)
        assert (applied.exit_code, "Applied." in applied.stdout) == (0, True), applied.output
        assert "key: words" in (await podium("catalog", "export", "--tenant", tenant)).stdout
        imported = await podium("import", str(events), "--tenant", tenant)
        assert (imported.exit_code, "1 stored" in imported.stdout) == (0, True), imported.output
    for tenant in ("nobody", "ж", "a\nb"):
        for words in (("catalog", "export"), ("import", str(events))):
            refused = await podium(*words, "--tenant", tenant)
            assert (refused.exit_code, refused.stdout, refused.stderr.count("\n")) == (1, "", 1), refused.output


def test_the_schema_knows_the_document() -> None:
    schema = json_schema()
    properties = schema["$defs"]["CatalogDocument"]["properties"]
    assert set(yaml.safe_load(GAME)) <= set(properties)
    assert schema["$defs"]["CatalogLeaderboardsItem"]["properties"]["metric"]["type"] == "string"
