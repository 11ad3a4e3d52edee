"""A round: load, faults one after the other, calm, checks. And what all rounds came to."""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.catalog import make_catalog
from tests.chaos.checks import Found, Logs, check_round
from tests.chaos.cluster import Cluster, open_cluster, until
from tests.chaos.faults import KINDS, Scene
from tests.chaos.load import Ledger, Load
from tests.chaos.proxy import HOST
from tests.chaos.viewers import Viewer

CHANNELS = (
    ("leaderboard:all", "leaderboard:all#user-3"),
    ("leaderboard:daily", "leaderboard:dense-coins"),
    ("groups:cities", "leaderboard:by-city?city=London", "leaderboard:weekly-xp"),
    ("leaderboard:streaks", "leaderboard:all"),
)
"""What each viewer watches."""
STOP_S = 60.0
"""How long what was sent last may take to be acknowledged once the faults have ended."""
BETWEEN = 3
"""Acknowledgements that lie between two faults: each meets a Podium at work."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Step:
    """One fault of a schedule: a pause before it, and its own random source."""

    pause_s: float
    kind: str
    seed: str


def schedule(seed: str, faults: int, *, keeps: bool) -> list[Step]:
    """The faults of a round, which follow from the seed alone.

    Where Redis may lose its file, only every third fault does that; the others keep it.
    """
    choose = random.Random(seed)
    keeping = [kind for kind in KINDS.values() if kind.keeps]
    losing = [kind for kind in KINDS.values() if not kind.keeps]
    steps = []
    for number in range(faults):
        kinds = losing if not keeps and number % 3 == 0 else keeping
        [kind] = choose.choices(kinds, [kind.weight for kind in kinds])
        steps.append(Step(choose.uniform(0.0, 0.5), kind.name, f"{seed}-{number}"))
    return steps


@dataclass(slots=True)
class Totals:
    """What some rounds came to; ``silence_s`` is the longest time without an acknowledgement, by kind of fault."""

    rounds: int = 0
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    silence_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    acknowledged: int = 0
    unflushed: int = 0
    lost_as_allowed: int = 0
    lost: int = 0
    doubled: int = 0
    stuck: int = 0
    ours: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    explained: Counter[str] = field(default_factory=Counter)
    alarms: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    harness: list[str] = field(default_factory=list)
    """What went wrong with the harness itself: says nothing about Podium."""


class Chaos:
    """Rounds on one Podium after the other: a new one where something was found, so that findings stand alone."""

    def __init__(
        self, seed: int, *, workers: int = 3, posters: int = 8, kept: Path | None = None, say: Say = print
    ) -> None:
        self.seed = seed
        self.workers = workers
        self._posters = posters
        self._kept = kept
        self._say = say
        self._exits: AsyncExitStack | None = None
        self.cluster: Cluster
        self.ledger: Ledger
        """Of the Podium that runs now."""
        self._logs: Logs
        self._number = 0

    async def close(self) -> None:
        """End what runs."""
        if self._exits is not None:
            exits, self._exits = self._exits, None
            await exits.aclose()

    async def round(self, faults: int, totals: Totals, *, keeps: bool = True, calm_s: float = 0.0) -> None:
        """Run one round, or a calm time without faults, and add what it came to."""
        self._number += 1
        name = f"{self.seed}-{self._number}"
        begun_s = time.monotonic()
        # A callback that fails would otherwise only be printed.
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: totals.harness.append(f"round {name}: {context}")
        )
        try:
            await self._open()
            await self._round(name, faults, totals, keeps, calm_s)
        except (asyncio.CancelledError, KeyboardInterrupt):
            await self.close()
            raise
        except Exception as error:  # noqa: BLE001 - of the harness: noted, and the next round begins anew
            totals.harness.append(f"round {name}: {error!r}")
            self._say(f"the harness failed in round {name}:\n{''.join(traceback.format_exception(error))}")
            await self.close()
        totals.rounds += 1
        totals.seconds += time.monotonic() - begun_s

    async def _open(self) -> None:
        if self._exits is not None:
            return
        self._exits = AsyncExitStack()
        kept = self._kept / f"from-{self.seed}-{self._number}" if self._kept is not None else None
        self.cluster = await self._exits.enter_async_context(open_cluster(2, self.workers, kept))
        self.ledger = Ledger()
        self._logs = Logs(self.cluster)
        web = self.cluster.webs[0]
        await make_catalog(f"http://{HOST}:{web.port}", self.cluster.key)

    async def _round(self, name: str, faults: int, totals: Totals, keeps: bool, calm_s: float) -> None:
        cluster, ledger = self.cluster, self.ledger
        ledger.ours, ledger.unexpected, ledger.silences, ledger.last_ack_s = [], [], [], 0.0
        ledger.statuses = Counter()
        before = ledger.acknowledged
        ports = [web.clients.port for web in cluster.webs]
        load = Load(ports, cluster.key, name, ledger, self._posters)
        viewers = [Viewer(ports, cluster.key, channels, number) for number, channels in enumerate(CHANNELS)]
        scene = Scene(cluster, ledger)
        happened: list[tuple[str, float]] = []
        load.start()
        for viewer in viewers:
            viewer.start()
        try:
            await until(lambda: ledger.last_ack_s, "the load begins")
            if calm_s:
                happened.append(("no fault", time.monotonic()))
                await _calm(load, viewers, calm_s)
            for step in schedule(name, faults, keeps=keeps):
                await asyncio.sleep(step.pause_s)
                happened.append((step.kind, time.monotonic()))
                self._say(f"{name} {step.kind}")
                await KINDS[step.kind].run(scene, random.Random(step.seed))
                totals.faults[step.kind] += 1
                await _go_on(ledger, happened[-1], cluster)
                load.check()
                cluster.check()
                for viewer in viewers:
                    viewer.check()
            await _stopped(load, cluster)
            found = await check_round(scene, viewers, name)
        finally:
            await load.cancel()
            for viewer in viewers:
                await viewer.stop()
        self._logs.check(found, keeps=keeps)
        if calm_s:
            found.add("alarms in the logs, and nothing was wrong", sorted(found.alarms.elements()))
            found.add("answers 503, and nothing was wrong", [503] * ledger.statuses[503])
        _count_silences(ledger, happened, totals)
        _add(totals, found, ledger, scene, name, ledger.acknowledged - before + found.lost + found.lost_as_allowed)
        for finding in found.findings:
            self._say(f"FOUND in {name}: {finding}")
        cluster.incidents.clear()
        if found.findings:
            await self.close()


async def _calm(load: Load, viewers: list[Viewer], seconds: float) -> None:
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        await asyncio.sleep(min(1.0, max(0.0, end_s - time.monotonic())))
        load.check()
        for viewer in viewers:
            viewer.check()


async def _go_on(ledger: Ledger, fault: tuple[str, float], cluster: Cluster) -> None:
    """Until acknowledgements come again: a fault that ends them for good is found here."""
    before = ledger.statuses[201] + ledger.statuses[202]
    try:
        await until(
            lambda: ledger.statuses[201] + ledger.statuses[202] >= before + BETWEEN,
            f"events are acknowledged after: {fault[0]}",
        )
    except TimeoutError as error:
        cluster.incidents.append(str(error))


async def _stopped(load: Load, cluster: Cluster) -> None:
    try:
        await load.stop(STOP_S)
    except TimeoutError as error:
        cluster.incidents.append(str(error))


def _count_silences(ledger: Ledger, happened: list[tuple[str, float]], totals: Totals) -> None:
    """Give each silence to the last fault that began before it was over by more than an answer's time."""
    for begin_s, end_s in ledger.silences:
        causes = [kind for kind, at_s in happened if at_s < end_s - 0.05]
        if causes:
            totals.silence_s[causes[-1]] = max(totals.silence_s[causes[-1]], end_s - begin_s)


def _add(totals: Totals, found: Found, ledger: Ledger, scene: Scene, name: str, acknowledged: int) -> None:
    totals.acknowledged += acknowledged
    totals.unflushed += scene.unflushed
    totals.lost += found.lost
    totals.lost_as_allowed += found.lost_as_allowed
    totals.doubled += found.doubled
    totals.stuck += found.stuck
    totals.ours += len(ledger.ours)
    totals.statuses += ledger.statuses
    totals.explained += found.explained
    totals.alarms += found.alarms
    totals.findings += [f"{name}: {finding}" for finding in found.findings]
