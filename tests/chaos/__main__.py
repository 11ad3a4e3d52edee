"""``python -m tests.chaos``: a round of chaos, an hour of it, or a calm time."""

from __future__ import annotations

import platform
import random
import sys
import time
from pathlib import Path

import click
import psutil
import uvloop
from tqdm import tqdm

from tests.chaos.report import CALM, KEPT, LOST, report
from tests.chaos.rounds import Chaos, Totals

ROUND_FAULTS = 40
"""Faults between two checks."""
LOSING_SHARE = 8
"""One round in so many lets Redis lose its file, besides the time asked for."""


@click.command()
@click.option("--long", "long_s", type=float, default=0, help="Seconds of chaos with a Redis that keeps its file.")
@click.option("--rounds", default=1, show_default=True, help="Rounds, unless --long is given.")
@click.option("--faults", default=ROUND_FAULTS, show_default=True, help="Faults of a round.")
@click.option("--calm", "calm_s", type=float, default=0, help="Seconds without any fault, instead.")
@click.option("--losing/--keeping", default=True, help="Also rounds in which Redis loses its file.")
@click.option("--workers", default=3, show_default=True, help="Worker processes; web processes are two.")
@click.option("--posters", default=8, show_default=True, help="Clients that post.")
@click.option("--seed", type=int, default=None, help="All choices follow from it. Default: a random one.")
@click.option(
    "--report", "file", type=click.Path(path_type=Path), help="Write the report here, after every round."
)
@click.option("--logs", type=click.Path(path_type=Path), help="Keep the processes' logs in this folder.")
def main(
    long_s: float,
    rounds: int,
    faults: int,
    calm_s: float,
    losing: bool,
    workers: int,
    posters: int,
    seed: int | None,
    file: Path | None,
    logs: Path | None,
) -> None:
    """Break a Podium of real processes at random moments and check that it keeps its promises.

    Exit code 0 if it does, 1 if something was found, 3 if the harness itself failed.
    """
    seed = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    sections = {KEPT: Totals(), LOST: Totals(), CALM: Totals()}
    command = " ".join(["python -m tests.chaos", *sys.argv[1:]])
    memory = psutil.virtual_memory().total / 2**30
    about = f"seed {seed}, {psutil.cpu_count()} cores, {memory:.0f} GB, Python {platform.python_version()}"

    def write() -> None:
        text = report(sections, command, about)
        if file is not None:
            file.write_text(text)

    click.echo(f"seed {seed}")
    with tqdm(total=int(long_s or calm_s) or None, unit="s", disable=not (long_s or calm_s)) as bar:
        chaos = Chaos(seed, workers=workers, posters=posters, kept=logs, say=bar.write)

        async def run() -> None:
            try:
                if calm_s:
                    await chaos.round(0, sections[CALM], calm_s=calm_s)
                elif long_s:
                    end_s = time.monotonic() + long_s
                    number = 0
                    while time.monotonic() < end_s:
                        number += 1
                        before_s = sections[KEPT].seconds
                        await chaos.round(faults, sections[KEPT])
                        bar.update(int(sections[KEPT].seconds) - int(before_s))
                        write()
                    for _ in range(max(1, number // LOSING_SHARE) if losing else 0):
                        await chaos.round(faults, sections[LOST], keeps=False)
                        write()
                else:
                    for _ in range(rounds):
                        await chaos.round(faults, sections[KEPT])
                        if losing:
                            await chaos.round(faults, sections[LOST], keeps=False)
            finally:
                await chaos.close()
                write()

        uvloop.run(run())
    click.echo(report(sections, command, about))
    if any(totals.findings for totals in sections.values()):
        sys.exit(1)
    if any(totals.harness for totals in sections.values()):
        sys.exit(3)


if __name__ == "__main__":
    main()
