"""``podium import`` against a server that speaks the contract's admin endpoints and remembers what came."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvicorn
from click.testing import CliRunner, Result
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from podium.cli.importing import import_
from podium.cli.importing.command import import_command
from tests.conftest import START_MS

KEY = "admin.secret"
TIME = "2026-01-31T12:00:00Z"
HEADER = "user,metric,value,timestamp\n"
PATIENCE_S = 60


class Remembering:
    """A server of the two lists and the batch endpoint. Events count once by (user, metric, key).

    ``troubles`` are answers to give instead, one for each batch that comes; ``silent`` gives none to the rest.
    """

    def __init__(self) -> None:
        self.metrics = ["words", *(f"m{i}" for i in range(150))]
        self.batches: list[list[dict[str, Any]]] = []
        self.events: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.troubles: list[Response | Callable[[list[dict[str, Any]]], Response]] = []
        self.silent = False
        self.unanswered = threading.Event()
        routes = [
            Route("/admin/v1/metrics", self._metrics),
            Route("/admin/v1/attributes", self._attributes),
            Route("/admin/v1/metrics/events", self._batch, methods=["POST"]),
            Route("/admin/v1/users/newest-events", self._newest, methods=["POST"]),
            Route("/admin/v1/metrics/events/known", self._known, methods=["POST"]),
            Route("/admin/v1/users/replay", self._replay, methods=["POST"]),
        ]
        self.app = Starlette(routes=routes)
        self.url = ""
        self.newest: dict[str, dict[str, Any]] = {}
        self.replayed: list[str] = []

    async def _newest(self, request: Request) -> Response:
        wanted = msgspec.json.decode(await request.body())["users"]
        assert len(wanted) <= 1_000
        users = [{"id": user, **self.newest[user]} for user in wanted if user in self.newest]
        return JSONResponse({"users": users, "streakMetrics": ["words"], "pointsRuns": False})

    async def _known(self, request: Request) -> Response:
        keys = [(one["userId"], one["key"], one["idempotencyKey"]) for one in await self._body(request)]
        return JSONResponse({"known": [place for place, key in enumerate(keys) if key in self.events]})

    async def _replay(self, request: Request) -> Response:
        users = [user["id"] for user in msgspec.json.decode(await request.body())["users"]]
        self.replayed += users
        issues = [{"severity": "warning", "message": "By hand", "userId": user} for user in users if user == "hal"]
        return JSONResponse({"replayed": [user for user in users if user != "hal"], "issues": issues})

    def _metrics(self, request: Request) -> Response:
        if request.headers.get("X-API-KEY") != KEY:
            return JSONResponse({"error": "The key is unknown"}, 401)
        start, limit = int(request.query_params["skip"]), int(request.query_params["limit"])
        assert limit <= 100
        limits = {"pages": {"minValue": 1, "maxValue": 5}}
        rows = [{"id": m, "key": m, "name": m, **limits.get(m, {})} for m in self.metrics]
        return JSONResponse(rows[start : start + limit])

    def _attributes(self, request: Request) -> Response:
        return JSONResponse([{"id": "1", "key": "app", "name": "App", "type": "event"}])

    async def _body(self, request: Request) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = msgspec.json.decode(await request.body())
        return found

    async def _batch(self, request: Request) -> Response:
        batch = await self._body(request)
        assert request.headers["X-API-KEY"] == KEY
        if self.troubles:
            trouble = self.troubles.pop(0)
            return trouble if isinstance(trouble, Response) else trouble(batch)
        if self.silent:
            self.unanswered.set()
            await request.receive()  # until the client goes away
            return Response(status_code=400)
        return self.store(batch)

    def store(self, batch: list[dict[str, Any]]) -> Response:
        """Keep a batch and say so."""
        assert 1 <= len(batch) <= 1_000
        self.batches.append(batch)
        before = len(self.events)
        for event in batch:
            self.events.setdefault((event["user"]["id"], event["key"], event["idempotencyKey"]), event)
        replayed = len(batch) - (len(self.events) - before)
        return JSONResponse({"accepted": len(batch), **({"replayed": replayed} if replayed else {})}, 202)


@contextmanager
def serving(server: Remembering) -> Iterator[None]:
    """The server on a free port, in a thread."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        uvicorn_server = uvicorn.Server(uvicorn.Config(server.app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=uvicorn_server.run, kwargs={"sockets": [listener]})
        listener.listen()
        thread.start()
        try:
            yield
        finally:
            uvicorn_server.should_exit = True
            uvicorn_server.force_exit = True
            thread.join()


@pytest.fixture
def remembering() -> Iterator[Remembering]:
    """A running server."""
    server = Remembering()
    with serving(server):
        yield server


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder without a ``podium dev``, and no key in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PODIUM_API_KEY", raising=False)


def run(*arguments: str, stdin: str | bytes = "") -> Result:
    """The command, as typed."""
    return CliRunner().invoke(import_, arguments, input=stdin, catch_exceptions=False)


def send(server: Remembering, text: str | bytes, *more: str) -> Result:
    """The command with what it needs to reach the server, reading ``text``."""
    return run("-", "--url", server.url, "--key", KEY, *more, stdin=text)


def lines(count: int) -> str:
    """CSV of many events of seven users, the newest first."""
    return HEADER + "".join(
        f"u{i % 7},words,{i},2026-01-{28 - i // 200:02d}T00:{59 - i // 60 % 60:02d}:{59 - i % 60:02d}Z\n"
        for i in range(count)
    )


def test_import_sends_everything_in_time_order_per_user(remembering: Remembering) -> None:
    result = send(remembering, lines(4_500))
    assert result.exit_code == 0, result.output
    assert "Sent 4,500 events of 7 users" in result.stdout
    assert "4,500 stored" in result.stdout
    assert len(remembering.events) == 4_500
    for user in range(7):
        times = [e["timestamp"] for b in remembering.batches for e in b if e["user"]["id"] == f"u{user}"]
        assert times == sorted(times)


def test_import_twice_counts_once_and_identical_lines_twice(remembering: Remembering) -> None:
    text = HEADER + f"ann,words,1,{TIME}\n" * 3 + f"bob,words,1,{TIME}\n"
    assert send(remembering, text).exit_code == 0
    once = dict(remembering.events)
    assert len(once) == 4
    again = send(remembering, text)
    assert ": 0 stored, 4 repeated (their idempotency keys were known, so they count once); " in again.stdout
    assert remembering.events == once


def test_import_sends_the_whole_event(remembering: Remembering) -> None:
    event = {"key": "words", "user": {"id": "ann", "name": "Ann", "tz": None}, "value": -2.5}
    event |= {"timestamp": "2026-01-31T13:00:00+01:00", "attributes": {"app": "web"}, "idempotencyKey": "k"}
    assert send(remembering, msgspec.json.encode(event)).exit_code == 0
    [[sent]] = remembering.batches
    assert sent == event | {"timestamp": "2026-01-31T12:00:00.000Z"}


def test_import_sends_nothing_of_a_file_with_bad_lines(remembering: Remembering) -> None:
    bad = f"ann,words,x,{TIME}\nann,pages,1,{TIME}\nann,words,1,2026-01-31\nann,words,1,2026-01-31T12:00:00\n"
    result = send(remembering, HEADER + f"ann,words,1,{TIME}\n" + bad)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-6:] == [
        "line 3: value must be a number",
        "line 4: Unknown metric key: pages",
        "line 5: timestamp is a bare date; it must be a time with an offset, like 2026-01-31T12:00:00Z",
        "line 6: timestamp must carry an offset, like 2026-01-31T12:00:00Z",
        "Bad lines: 4.",
        "Nothing was sent. Correct the lines, or leave them out with --skip-bad.",
    ]
    assert remembering.batches == []


def test_import_knows_the_limits_of_a_metric(remembering: Remembering) -> None:
    remembering.metrics.append("pages")
    text = HEADER + f"ann,pages,0.5,{TIME}\nann,pages,5,{TIME}\nann,pages,6,{TIME}\n"
    result = send(remembering, text)
    assert result.stderr.splitlines()[:2] == [
        "line 2: value must not be below the metric's minValue, 1",
        "line 4: value must not be above the metric's maxValue, 5",
    ]
    assert (result.exit_code, remembering.batches) == (1, [])
    assert send(remembering, text, "--skip-bad").exit_code == 0
    assert [event["value"] for [event] in remembering.batches] == [5]


def test_import_names_the_first_bad_lines_and_counts_all(remembering: Remembering) -> None:
    result = send(remembering, HEADER + f"ann,words,x,{TIME}\n" * 30)
    assert "line 21: " in result.stderr
    assert "line 22: " not in result.stderr
    assert "Bad lines: 30 (the first 20 are named)." in result.stderr


def test_import_skip_bad_leaves_bad_lines_out(remembering: Remembering) -> None:
    result = send(remembering, HEADER + f"ann,words,x,{TIME}\nann,words,1,{TIME}\n", "--skip-bad")
    assert result.exit_code == 0
    assert "line 2: value must be a number" in result.stderr
    assert "1 stored, 1 bad line left out" in result.stdout
    assert len(remembering.events) == 1


def test_import_dry_run_sends_nothing(remembering: Remembering) -> None:
    result = send(remembering, HEADER + f"ann,words,1,{TIME}\nbob,m149,1,2026-02-01T00:00:00Z\n", "--dry-run")
    assert result.exit_code == 0
    assert result.stdout == (
        "Checked 2 events of 2 users, 2026-01-31T12:00:00.000Z to 2026-02-01T00:00:00.000Z. Nothing was sent.\n"
    )
    assert remembering.batches == []


def test_import_reads_a_file_and_takes_the_metric_from_the_option(
    remembering: Remembering, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "events.csv").write_text(f"user,value,timestamp\nann,1,{TIME}\n")
    monkeypatch.setenv("PODIUM_API_KEY", KEY)
    result = run("events.csv", "--url", remembering.url, "--metric", "words")
    assert result.exit_code == 0, result.output
    assert remembering.batches[0][0]["key"] == "words"


def test_import_names_refused_events_by_their_lines(remembering: Remembering) -> None:
    def refuse(batch: list[dict[str, Any]]) -> Response:
        # The newest line comes first in the file, so index 0 is the file's last line.
        return JSONResponse({"accepted": 2, "refused": [{"index": 0, "error": "not enough points"}]}, 202)

    remembering.troubles = [refuse]
    times = ("03", "02", "01")
    result = send(remembering, HEADER + "".join(f"ann,words,1,2026-01-{day}T00:00:00Z\n" for day in times))
    assert result.exit_code == 1
    assert "line 4: not enough points" in result.stderr
    assert "2 stored, 1 refused" in result.stdout


@pytest.mark.parametrize("status", [429, 503])
def test_import_comes_back_when_the_server_asks_for_it(remembering: Remembering, status: int) -> None:
    answer = JSONResponse({"error": "The store is away"}, status, {"Retry-After": "0"})
    remembering.troubles = [answer, answer, answer]
    result = send(remembering, lines(10))
    assert result.exit_code == 0, result.output
    assert f"answered {status}: The store is away" in result.stderr
    assert len(remembering.events) == 10


def test_import_repeats_a_batch_whose_answer_was_lost(remembering: Remembering) -> None:
    def store_and_break(batch: list[dict[str, Any]]) -> Response:
        remembering.store(batch)
        # Less than was announced: the connection breaks in the middle of the answer.
        return Response(b"{", 202, {"Content-Length": "100"})

    remembering.troubles = [store_and_break]
    result = send(remembering, HEADER + f"ann,words,1,{TIME}\n")
    assert result.exit_code == 0, result.output
    assert len(remembering.batches) == 2
    assert len(remembering.events) == 1
    assert ": 0 stored, 1 stored now or before (an answer was lost, and the events sent again); " in result.stdout


def test_import_gives_up_after_its_patience(
    remembering: Remembering, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remembering.troubles = [JSONResponse({"error": "The store is away"}, 503, {"Retry-After": "1"})] * 2
    file = tmp_path / "events.csv"
    file.write_text(HEADER + f"ann,words,1,{TIME}\n")
    code = import_command([str(file)], url=remembering.url, key=KEY, clock=lambda: START_MS, patience_s=0)
    error = capsys.readouterr().err
    assert code == 1
    assert "answered 503: The store is away" in error
    assert "Stored for certain: 0 of 1 event." in error
    assert "safe to run the same import again" in error


def test_import_names_the_line_for_which_a_batch_is_refused(remembering: Remembering) -> None:
    remembering.troubles = [JSONResponse({"error": "[1]: Unknown metric key: words"}, 404)]
    result = send(remembering, HEADER + f"ann,words,1,2026-02-01T00:00:00Z\nann,words,1,{TIME}\n")
    assert result.exit_code == 1
    assert "Stopped: line 2: Unknown metric key: words." in result.stderr


def test_import_of_a_file_whose_keys_repeat_names_the_lines(remembering: Remembering) -> None:
    rows = "".join(f"ned,words,{i},2026-01-0{i}T00:00:00Z,batch-7\n" for i in (1, 2, 3))
    # The key of another user, or of another metric, is another one.
    text = "user,metric,value,timestamp,idempotencyKey\n" + rows + f"ann,words,1,{TIME},batch-7\n"
    named = [
        "line 3: the idempotencyKey is that of line 2",
        "line 4: the idempotencyKey is that of line 2",
        "Repeated idempotency keys, of which only the first line counts: 2.",
    ]
    result = send(remembering, text, "--unique-keys")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [*named, "Nothing was sent. Give each line a key of its own."]
    assert remembering.batches == []
    result = send(remembering, text)
    assert result.exit_code == 1  # not all of the file counts
    assert result.stderr.splitlines()[:4] == [
        *named,
        "Each of these keys counts once. Give the other lines keys of their own, and import them again.",
    ]
    assert ": 2 stored, 2 repeated (" in result.stdout


def test_import_warns_of_texts_that_look_alike(remembering: Remembering) -> None:
    columns = "user,metric,value,timestamp,name\n"
    people = ["ann,Zo\u00eb", "ann ,Zoe\u0308", "Zo\u00eb,", "Zoe\u0308,", "bob,Bob", "cy,Zo\u00eb"]
    rows = (person.split(",") for person in people)
    result = send(remembering, columns + "".join(f"{id_},words,1,{TIME},{name}\n" for id_, name in rows))
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "line 3: user.name 'Zoe\\u0308' looks like 'Zo\\xeb' of line 2, but is another one",
        "line 3: user 'ann ' looks like 'ann' of line 2, but is another one",
        "line 5: user 'Zoe\\u0308' looks like 'Zo\\xeb' of line 4, but is another one",
        "Warnings: 3.",
    ]
    assert len(remembering.events) == 6
    alone = send(remembering, HEADER + f"dot\u00a0,words,1,{TIME}\n")
    assert (
        alone.stderr.splitlines()[0] == "line 2: user 'dot\\xa0' begins or ends with a blank, which is part of it"
    )


def test_import_sorts_several_files_together(remembering: Remembering, tmp_path: Path) -> None:
    days = [f"2026-01-{day:02d}T00:00:00Z" for day in range(1, 7)]
    for name, of_file in (("b.csv", days[1::2]), ("a.csv", days[::2])):
        (tmp_path / name).write_text(HEADER + "".join(f"ann,words,1,{at}\n" for at in reversed(of_file)))
    sent = []
    for names in (["a.csv", "b.csv"], ["b.csv", "a.csv"]):
        remembering.batches.clear()
        result = run(*names, "--url", remembering.url, "--key", KEY)
        assert result.exit_code == 0, result.output
        sent.append([event["timestamp"][:10] for batch in remembering.batches for event in batch])
    assert sent == [[day[:10] for day in days]] * 2
    bad = tmp_path / "c.csv"
    bad.write_text(HEADER + f"ann,words,x,{TIME}\n")
    result = run("a.csv", "c.csv", "--url", remembering.url, "--key", KEY)
    assert result.stderr.splitlines()[0] == "c.csv, line 2: value must be a number"
    (tmp_path / "d.csv").write_text("")
    for names, said in (
        (["a.csv", "a.csv"], "a.csv is named twice."),
        (["a.csv", "d.csv"], "d.csv: The input is"),
    ):
        result = run(*names, "--url", remembering.url, "--key", KEY)
        assert (result.exit_code, said in result.stderr) == (1, True)


def test_the_same_event_in_two_files_counts_once(remembering: Remembering, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(HEADER + f"ann,words,1,{TIME}\n" * 2)
    result = run("a.csv", "b.csv", "--url", remembering.url, "--key", KEY)
    assert ": 2 stored, 2 repeated (" in result.stdout
    assert len(remembering.events) == 2


LATE = (
    "More than 7 days older than the user's newest event of the metric: 2 events of 1 user. They count for totals"
    " and perpetual leaderboards, but for no streak and in no run of a repeating leaderboard."
)
BEHIND = (
    "More than 7 days older than the user's newest event of another metric: 1 event of 1 user. They count for no"
    " streak and in no run of a leaderboard by points or by streak."
)


def test_import_says_what_will_not_count_everywhere_and_asks(remembering: Remembering) -> None:
    now, before = "2026-02-20T00:00:00Z", "2026-02-01T00:00:00Z"
    remembering.newest = {
        "ann": {"newest": now, "metrics": {"words": now}},
        "bob": {"newest": now, "metrics": {"m1": now}},
        "cy": {"newest": before, "metrics": {"words": before}},
    }
    # What is 7 days older counts; so does what no streak hangs on, in the order of its metric.
    rows = [f"ann,words,{i},{TIME}" for i in (1, 2)] + ["ann,words,3,2026-02-13T00:00:00Z", f"bob,words,1,{TIME}"]
    rows += [f"bob,m2,1,{TIME}", f"cy,words,1,{TIME}", f"dan,words,1,{TIME}"]
    text = HEADER + "\n".join(rows)
    result = send(remembering, text)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[:2] == [LATE, BEHIND]
    assert result.stderr.splitlines()[-1].startswith("Nothing was sent. Go on with --replay")
    assert remembering.batches == []
    assert send(remembering, text, "--dry-run").stderr.splitlines() == [LATE, BEHIND]
    assert send(remembering, text, "--yes").exit_code == 0
    assert (len(remembering.events), remembering.replayed) == (7, [])
    # What is stored already is no news, but may still be replayed.
    again = send(remembering, text, "--replay")
    assert (again.exit_code, again.stderr, remembering.replayed) == (0, "", ["ann", "bob"])
    assert again.stdout.splitlines()[-1] == "Replayed 2 users of 2."


def test_import_names_whom_a_replay_could_not_bring(remembering: Remembering) -> None:
    now = "2026-02-20T00:00:00Z"
    remembering.newest = {"hal": {"newest": now, "metrics": {"words": now}}}
    result = send(remembering, HEADER + f"hal,words,1,{TIME}\n", "--replay")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "user hal: By hand"
    assert "1 stored" in result.stdout
    assert result.stdout.splitlines()[-1] == "Replayed 0 users of 1."


def test_import_of_a_header_alone_has_nothing_to_send(remembering: Remembering) -> None:
    result = send(remembering, HEADER)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (0, "There is no event to send.")


def test_import_finds_the_key_of_podium_dev_and_gives_it_to_no_other_server(
    remembering: Remembering, tmp_path: Path
) -> None:
    (tmp_path / ".podium").mkdir()
    dev = {"url": remembering.url, "adminKey": KEY, "redisUrl": "redis://"}
    (tmp_path / ".podium/dev.json").write_bytes(msgspec.json.encode(dev))
    assert run("-", stdin=HEADER + f"ann,words,1,{TIME}\n").exit_code == 0
    other = run("-", "--url", "http://127.0.0.1:1", stdin=HEADER)
    assert other.exit_code == 1
    assert "An admin key of http://127.0.0.1:1 is needed" in other.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--key", "wrong"], "answered 401: The key is unknown."),
        ([], "An admin key is needed"),
        (["--key", "é"], "The key holds characters that no key has."),
        (["--key", KEY, "--url", "localhost:8000"], "--url must be like"),
        (["--key", KEY, "--url", "http://127.0.0.1:1"], "http://127.0.0.1:1 can't be reached"),
    ],
)
def test_import_says_in_one_sentence_why_it_cannot_start(
    remembering: Remembering, arguments: list[str], said: str
) -> None:
    result = run("-", *(arguments if "--url" in arguments else ["--url", remembering.url, *arguments]))
    assert result.exit_code == 1
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_import_stopped_by_ctrl_c_says_what_is_stored(remembering: Remembering, tmp_path: Path) -> None:
    remembering.silent = True
    remembering.troubles = [remembering.store]
    (tmp_path / "events.csv").write_text(HEADER + "".join(f"ann,words,{i},{TIME}\n" for i in range(1_500)))
    command = [sys.executable, "-c", "from podium.cli.importing import import_; import_()", "events.csv"]
    with subprocess.Popen(
        [*command, "--url", remembering.url, "--key", KEY],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            # The first batch is stored, the second arrives and is never answered.
            assert remembering.unanswered.wait(PATIENCE_S)
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    assert process.returncode == 130
    assert error.splitlines() == [
        "Stopped. Stored for certain: 1,000 of 1,500 events.",
        "It is safe to run the same import again: what is stored already counts once.",
    ]
