"""Measure this tree beside another commit and beside the twenty lines, alternately.

``python -m loadtest.compare REV`` keeps all sides running on stores filled alike and loads one at a time, in turn,
for at least three rounds. Each figure of a round is divided by the same figure of the other side in that round.
At the end each Podium compares what was sent with what Redis and Postgres hold.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import IO, Any, NamedTuple

import click
import httpx
import redis
from click.core import ParameterSource
from prometheus_client.parser import text_string_to_metric_families
from tqdm import tqdm

from loadtest import generators
from loadtest.generators import HOST, Load, Result
from loadtest.histogram import Histogram
from loadtest.probes import OPERATOR, histogram
from loadtest.stack import cpu_s
from podium.demo.catalog import METRIC

ROOT = Path(__file__).parent.parent
WARM_UP_S = 3.0
"""Before each load: connections and caches are as they stay."""
DAY_RATE = 1_157.0
"""Events a second of 100 million a day."""
FLUSHED_S = 120.0
"""Longest wait for the write-behind of a side before another one is loaded."""
LAG_S = 0.25
"""Pause between two looks at the flush lag."""
ROWS = ("singles", "keyed", "day", "batches", "game")
"""``game`` is ``singles`` with the whole demo: it comes last, because its catalog stays."""
QUICK = {"users": 20_000, "seconds": 4.0, "rounds": 3}
"""A quick look: some minutes, and ratios that spread more."""
US = 1e6

Figures = dict[str, float]


class Side(NamedTuple):
    """A running stack: ``pids`` by the name of the part."""

    name: str
    port: int
    key: str
    store: Any
    pids: dict[str, int]
    process: subprocess.Popen[bytes]

    def ask(self, what: str) -> Any:
        """Have the side do something (side.py); its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(what.encode() + b"\n")
        self.process.stdin.flush()
        return _answer(self.name, self.process)

    def load(self, users: int, pool: int, seconds: float, **more: Any) -> Load:
        """Single events of ``pool`` out of ``users`` users, as many as are answered."""
        return Load(self.port, self.key, METRIC, users, pool, more.pop("connections", 64), seconds, **more)

    def cpu_us(self) -> Figures:
        """CPU so far of each part with its children, in microseconds."""
        return {name: seconds * US for name, seconds in cpu_s(self.pids).items()}

    def function_us(self) -> float:
        """Microseconds that Redis has spent in functions, or in the commands of the twenty lines."""
        stats = self.store.info("commandstats")
        names = ("cmdstat_fcall",) if self.key else ("cmdstat_zrevrank", "cmdstat_zincrby", "cmdstat_exec")
        return float(sum(stats.get(name, {}).get("usec", 0) for name in names))

    def rank_update(self) -> Histogram | None:
        """From request parsed to rank known, in seconds; None where the side does not say."""
        if not self.key:
            return None
        answer = httpx.get(
            f"http://{HOST}:{self.port}/metrics", headers={**OPERATOR, "X-API-KEY": self.key}, timeout=10
        )
        families = {f.name: f for f in text_string_to_metric_families(answer.raise_for_status().text)}
        return histogram(families["podium_rank_update_seconds"].samples)

    def flush_lag_s(self) -> float:
        """Return the age of the oldest log entry that Postgres doesn't hold. The log keeps one that it does."""
        oldest_ms = [
            int(entries[1][0].partition(b"-")[0])
            for key in self.store.scan_iter("{*}:log")
            if len(entries := self.store.xrange(key, count=2)) > 1
        ]
        return max(0.0, time.time() - min(oldest_ms) / 1e3) if oldest_ms else 0.0

    def settle(self) -> None:
        """Wait until the worker has written all to Postgres, so that it takes nothing from the next side."""
        if not self.key:
            return
        for _ in range(int(FLUSHED_S * 5)):
            if all(self.store.xlen(key) <= 1 for key in self.store.scan_iter("{*}:log")):
                return
            time.sleep(0.2)
        raise click.ClickException(f"{self.name}: the log was not flushed within {FLUSHED_S:.0f} s")


@contextmanager
def worktree(revision: str) -> Iterator[Path]:
    """A checkout of the commit in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="podium-compare-") as folder:
        path = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "--detach", "-f", str(path), revision], cwd=ROOT, check=True)
        try:
            yield path
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(path)], cwd=ROOT, check=True)


@contextmanager
def running(name: str, kind: str, tree: Path, users: int, log: IO[bytes] | None = None) -> Iterator[Side]:
    """Start and fill a side (side.py); it ends with the block."""
    # A release before the package was named ``podium`` has it as ``server``, in the root of its tree. The folder
    # ``server`` of such a tree must not be on the path: it has modules with names of the standard library's.
    roots = [tree, tree / "server"] if (tree / "server" / "podium").is_dir() else [tree]
    environment = {"PYTHONPATH": os.pathsep.join(map(str, roots)), "PYTHONSAFEPATH": "1"}
    with subprocess.Popen(
        [sys.executable, str(ROOT / "loadtest" / "side.py"), kind, str(users)],
        cwd=tree,
        env={**_environment(), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if log is None else log,
    ) as process:
        assert process.stdin is not None
        try:
            found = _answer(name, process)
            store = redis.Redis.from_url(found["redis"])
            yield Side(name, found["port"], found["key"], store, found["pids"], process)
        finally:
            process.stdin.close()
            process.wait()


def _answer(name: str, process: subprocess.Popen[bytes]) -> Any:
    assert process.stdout is not None
    line = next((line for line in process.stdout if line.startswith(b"{")), None)
    if line is None:
        raise click.ClickException(f"{name} did not start, or ended; with --log FILE it says why")
    return json.loads(line)


@contextmanager
def sampled(side: Side) -> Iterator[list[float]]:
    """Note the flush lag of a side, in seconds, while the block runs."""
    found: list[float] = []
    over = threading.Event()

    def sample() -> None:
        while not over.wait(LAG_S):
            found.append(side.flush_lag_s())

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PODIUM_")}


def measure(side: Side, row: str, users: int, pool: int, seconds: float) -> Figures:
    """Play one row's load on a side; times in microseconds."""
    side.settle()
    load = side.load(users, pool, seconds)
    if row == "batches":
        load = load._replace(batch=generators.BATCH, connections=4)
    elif row == "keyed":
        load = load._replace(keyed=True)
    elif row == "day":
        load = load._replace(rate=DAY_RATE)
    play = generators.post if row in ("batches", "day") else generators.wrk
    play(load._replace(seconds=WARM_UP_S))
    side.store.config_resetstat()
    cpu, ranks = side.cpu_us(), side.rank_update()
    with sampled(side) as lags_s:
        result: Result = play(load)
    side.settle()
    function, after = side.function_us(), side.cpu_us()
    if result.refused or not result.accepted:
        raise click.ClickException(f"{side.name}, {row}: {result.refused} requests were refused")
    figures = {
        "events/s": result.rate,
        "p50 µs": result.p50_s * US,
        "p99 µs": result.p99_s * US,
        "Redis µs/event": function / result.accepted,
        "CPU µs/event": sum(after[name] - cpu[name] for name in cpu) / result.accepted,
    }
    figures |= {f"CPU {name}": (after[name] - cpu[name]) / result.accepted for name in cpu}
    if side.key and lags_s:
        figures["flush lag ms, at most"] = max(lags_s) * 1e3
    now = side.rank_update()
    if ranks is not None and now is not None:
        spread = now.since(ranks)
        figures |= {"rank p50 µs": spread.quantile(0.5) * US, "rank p99 µs": spread.quantile(0.99) * US}
    return figures


def add_batches_by_singles(results: dict[str, list[dict[str, Figures]]]) -> None:
    """Add to each round of batches how many events they are to one of the same side's single events."""
    for batches, singles in zip(results.get("batches", ()), results.get("singles", ()), strict=False):
        for name, figures in batches.items():
            if "events/s" in figures and "events/s" in singles.get(name, {}):
                figures["% of singles"] = 100 * figures["events/s"] / singles[name]["events/s"]


def ratios(rounds: list[dict[str, Figures]], name: str, other: str, figure: str) -> list[float]:
    """One side's figure divided by another's, round by round."""
    return [
        found[name][figure] / found[other][figure]
        for found in rounds
        if found[name].get(figure) and found[other].get(figure)
    ]


def table(results: dict[str, list[dict[str, Figures]]], names: list[str]) -> str:
    """The results as Markdown: medians of each side, and ratios with their spread."""
    this, *others = names
    lines = [
        "| row | figure | "
        + " | ".join(names)
        + " | "
        + " | ".join(f"{this} / {other}" for other in others)
        + " |",
        "|---" * (2 + len(names) + len(others)) + "|",
    ]
    for row, rounds in results.items():
        for figure in rounds[0][this]:
            medians = [
                f"{median(values):,.0f}"
                if (values := [r[name][figure] for r in rounds if figure in r[name]])
                else ""
                for name in names
            ]
            spread = []
            for other in others:
                found = ratios(rounds, this, other, figure)
                spread.append(f"**{median(found):.2f}** ({min(found):.2f}–{max(found):.2f})" if found else "")
            lines.append(f"| {row} | {figure} | " + " | ".join(medians) + " | " + " | ".join(spread) + " |")
    return "\n".join(lines)


@click.command()
@click.argument("revision")
@click.option("--users", default=300_000, show_default=True, type=click.IntRange(1_000), help="On each board.")
@click.option("--pool", type=int, help="Users that events are drawn from; default: all.")
@click.option("--seconds", default=10.0, show_default=True, help="Of one load.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1), help="Turns of each side.")
@click.option("--quick", is_flag=True, help="A look: " + ", ".join(f"--{k} {v:g}" for k, v in QUICK.items()) + ".")
@click.option("--only", multiple=True, type=click.Choice(ROWS), default=ROWS, help="Some rows; may be repeated.")
@click.option(
    "--twenty/--no-twenty", default=True, show_default=True, help="With the twenty lines as a third side."
)
@click.option("--json", "target", type=click.Path(path_type=Path, dir_okay=False), help="Raw results.")
@click.option("--log", type=click.File("ab"), help="What the sides say.")
@click.pass_context
def main(
    context: click.Context,
    revision: str,
    users: int,
    pool: int | None,
    seconds: float,
    rounds: int,
    quick: bool,
    only: tuple[str, ...],
    twenty: bool,
    target: Path | None,
    log: IO[bytes] | None,
) -> None:
    """Measure this tree against REVISION, alternately. Exit code 1 if something was lost."""
    if quick:
        users, seconds, rounds = (
            QUICK[name] if context.get_parameter_source(name) is ParameterSource.DEFAULT else given
            for name, given in (("users", users), ("seconds", seconds), ("rounds", rounds))
        )
    results: dict[str, list[dict[str, Figures]]] = {}
    wrong: dict[str, list[str]] = {}
    with ExitStack() as exits:
        tree = exits.enter_context(worktree(revision))
        sides = [
            exits.enter_context(running("this tree", "podium", ROOT, users, log)),
            exits.enter_context(running(revision, "podium", tree, users, log)),
        ]
        if twenty:
            sides.append(exits.enter_context(running("twenty lines", "twenty", ROOT, users, log)))
        plan = [(row, number) for row in sorted(only, key=ROWS.index) for number in range(rounds)]
        with tqdm(total=len(plan) * len(sides)) as bar:
            for row, number in plan:
                found: dict[str, Figures] = {}
                if row == "game" and not number:
                    for side in sides:
                        side.ask("game")
                # The order rotates, so that no side always meets the same neighbour.
                for i in range(len(sides)):
                    side = sides[(i + number) % len(sides)]
                    if row in ("keyed", "game") and not side.key:
                        bar.update()
                        continue
                    bar.set_description(f"{row}: {side.name}")
                    found[side.name] = measure(side, row, users, pool or users, seconds)
                    bar.update()
                results.setdefault(row, []).append(found)
        names = [side.name for side in sides]
        for side in sides:
            side.settle()
            if differences := side.ask("verify")["wrong"]:
                wrong[side.name] = differences
    add_batches_by_singles(results)
    for found_rounds in results.values():
        for found in found_rounds:
            for name in names:
                found.setdefault(name, {})
    click.echo(table(results, names))
    click.echo("\nRatios are medians over the rounds (least to most). They hold for this machine and hour.")
    if target is not None:
        target.write_text(json.dumps(results, indent=1))
    for name in names:
        said = "; ".join(wrong[name]) if name in wrong else "Redis and Postgres hold the same, place by place"
        click.echo(f"{name}: {said}", err=name in wrong)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
