"""The command ``podium import``: check files of events as a whole, sort the events by time, and send them."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import Awaitable, Callable, Iterator
from itertools import pairwise
from typing import IO, NoReturn, TypeVar, cast

import click
import httpx
import msgspec
from tqdm import tqdm

from podium.cli.importing.batches import Row, batches, keyed, pack, place_of, split_place
from podium.cli.importing.client import (
    LANES,
    PATIENCE_S,
    NotOffered,
    SendingStopped,
    Tally,
    count_late_events,
    load_catalog,
    load_history,
    open_client,
    replay,
    send,
)
from podium.cli.importing.late_events import LateEvents
from podium.cli.importing.lines import Format, check_item, read_lines
from podium.cli.importing.spellings import Lookalike, Spellings
from podium.cli.remote import DEFAULT_URL, DEV_FILE, TENANT_HELP, find_server
from podium.cli.stopping import INTERRUPTED, interrupt_by_sigterm
from podium.clock import Clock, stopwatch_s, system_clock
from podium.game.catalog import CatalogIndex
from podium.game.errors import RequestError, StartError
from podium.game.leaderboards.rules import LATE_DAYS
from podium.game.periods import iso
from podium.intake.requests import BatchItem

NAMED_MAX = 20
"""Bad lines that are listed; the others are only counted."""

T = TypeVar("T")


class Checked(msgspec.Struct):
    """The result of checking the files."""

    files: list[str]
    rows: list[Row] = []
    """The events that passed."""
    spellings: Spellings = msgspec.field(default_factory=Spellings)
    bad: list[tuple[int, str]] = []
    """Place and reason of each line that did not pass."""
    repeated: list[tuple[int, int]] = []
    """Place of each line with the idempotency key of an earlier one, and that one's place."""

    def name(self, place: int) -> str:
        """Return the line of a place as text, with its file if there are several."""
        file, line = split_place(place)
        return f"line {line}" if len(self.files) == 1 else f"{self.files[file]}, line {line}"


@click.command("import", short_help="Import events from CSV or NDJSON.")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    metavar="FILE...",
)
@click.option("--url", help=f"URL of the server.  [default: {DEFAULT_URL}]")
@click.option(
    "--key",
    envvar="PODIUM_API_KEY",
    show_envvar=True,
    help=f"Admin key.  [default: the key of a running `podium dev`, from {DEV_FILE}]",
)
@click.option("--tenant", help=TENANT_HELP)
@click.option(
    "--format", "format_", type=click.Choice(["auto", "csv", "ndjson"]), default="auto", show_default=True
)
@click.option("--metric", help="Metric key for lines that name none.")
@click.option("--dry-run", is_flag=True, help="Check everything and send nothing.")
@click.option("--skip-bad", is_flag=True, help="Leave bad lines out. Without this option nothing is sent then.")
@click.option(
    "--replay",
    is_flag=True,
    help="Afterwards replay the users who had newer events already: streaks and runs become as if all events had"
    " come in order.",
)
@click.option("--yes", is_flag=True, help="Don't ask before sending events that are too old to count everywhere.")
@click.option(
    "--unique-keys",
    is_flag=True,
    help="Send nothing if a line has the idempotencyKey of an earlier line of the same user and metric.",
)
def import_(
    files: tuple[str, ...],
    url: str | None,
    key: str | None,
    tenant: str | None,
    format_: str,
    metric: str | None,
    dry_run: bool,
    skip_bad: bool,
    unique_keys: bool,
    replay: bool,
    yes: bool,
) -> None:
    """Import events from files, or from standard input if FILE is "-".

    Everything is checked before anything is sent. Events are sent in the order of their time, regardless of the
    order of files and lines.

    \b
    CSV begins with a line that names the columns:
      user            the user's id
      metric          the metric's key (may be left out with --metric)
      value           a number, added to the user's total
      timestamp       ISO 8601 with an offset: 2026-01-31T12:00:00Z
      name            the user's display name
      idempotencyKey  your own name for the event
      attributes      of the event, as a JSON object
      attributes.KEY  one attribute of the event
      user.tz, user.email, user.attributes.KEY
    Only user, value and timestamp are required; an empty cell sets nothing.

    \b
    NDJSON has an object on each line: with the same names as the columns,
    or an item of POST /admin/v1/metrics/events.

    Importing twice counts once: an event without an idempotencyKey gets one from its user, metric, value and
    time. Lines of one file that agree in all four count once each; lines of two files count once.

    Exit code: 0 if every line is stored (or only --skip-bad left lines out), 1 if not, 130 if interrupted
    (Ctrl-C, SIGTERM).
    """
    interrupt_by_sigterm()
    sys.exit(
        import_command(
            list(files),
            url=url,
            key=key,
            tenant=tenant,
            format_=cast(Format, format_),
            metric=metric,
            dry_run=dry_run,
            skip_bad=skip_bad,
            unique_keys=unique_keys,
            replays=replay,
            yes=yes,
        )
    )


def import_command(
    files: list[str],
    *,
    url: str | None = None,
    key: str | None = None,
    tenant: str | None = None,
    format_: Format = "auto",
    metric: str | None = None,
    dry_run: bool = False,
    skip_bad: bool = False,
    unique_keys: bool = False,
    replays: bool = False,
    yes: bool = False,
    clock: Clock = system_clock,
    patience_s: float = PATIENCE_S,
) -> int:
    """Import ``files`` ("-": standard input), report on the terminal, and return the exit code."""
    try:
        url, key = find_server(url, key)
        index = asyncio.run(_with_client(url, key, tenant, load_catalog))
        checked = _check_files(files, format_, metric, index, clock())
    except StartError as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        _say("Stopped; nothing was sent.")
        return INTERRUPTED
    good, bad = len(checked.rows), len(checked.bad)
    warnings = [_warning(checked, found) for found in checked.spellings.lookalikes()]
    _name_lines(checked, warnings, "Warnings")
    repeats = [
        (place, f"the idempotencyKey is that of {checked.name(first)}") for place, first in checked.repeated
    ]
    _name_lines(checked, repeats, "Repeated idempotency keys, of which only the first line counts")
    _name_lines(checked, checked.bad, "Bad lines")
    if bad and not skip_bad:
        _say("Nothing was sent. Correct the lines, or leave them out with --skip-bad.")
        return 1
    if checked.repeated:
        if unique_keys:
            _say("Nothing was sent. Give each line a key of its own.")
            return 1
        _say("Each of these keys counts once. Give the other lines keys of their own, and import them again.")
    if not good:
        _say("There is no event to send.")
        return 0
    first_ms, last_ms = min(checked.rows)[0], max(checked.rows)[0]
    users = _count(len(checked.spellings.users), "user")
    what = f"{_count(good, 'event')} of {users}, {iso(first_ms)} to {iso(last_ms)}"
    try:
        late = _count_late(url, key, tenant, checked)
    except NotOffered:
        _say("The server can't say which events are too old to count everywhere: it is of an earlier release.")
        late = LateEvents()
    except SendingStopped as stopped:
        _say(f"{stopped}. Nothing was sent.")
        return 1
    except KeyboardInterrupt:
        _say("Stopped; nothing was sent.")
        return INTERRUPTED
    _report_late(late)
    if dry_run:
        click.echo(f"Checked {what}. Nothing was sent.")
        return 0
    if (late.by_metric or late.by_user) and not (yes or replays) and not _confirm_late():
        return 1
    code = _send(url, key, tenant, checked, what, skip_bad=skip_bad, patience_s=patience_s)
    if replays and code != INTERRUPTED and late.affected:
        return _replay(url, key, tenant, sorted(late.affected), patience_s) or code
    return code


def _count_late(url: str, key: str, tenant: str | None, checked: Checked) -> LateEvents:
    """Count the events that are too old to count everywhere, asking the server for its users' newest ones."""
    users = list(checked.spellings.users)
    with _bar(len(users), " users", "Asking", leave=False) as bar:

        async def ask(client: httpx.AsyncClient) -> LateEvents:
            server = await load_history(client, users, bar.update)
            return await count_late_events(client, server, keyed(checked.rows)) if server.users else LateEvents()

        return asyncio.run(_with_client(url, key, tenant, ask))


def _report_late(late: LateEvents) -> None:
    if late.by_metric:
        _say(
            f"More than {LATE_DAYS} days older than the user's newest event of the metric:"
            f" {_count(late.by_metric, 'event')} of {_count(len(late.by_metric_users), 'user')}. They count for"
            " totals and perpetual leaderboards, but for no streak and in no run of a repeating leaderboard."
        )
    if late.by_user:
        _say(
            f"More than {LATE_DAYS} days older than the user's newest event of another metric:"
            f" {_count(late.by_user, 'event')} of {_count(len(late.by_user_users), 'user')}. They count for no"
            " streak and in no run of a leaderboard by points or by streak."
        )


def _confirm_late() -> bool:
    try:
        click.confirm("Go on? (With --replay they count everywhere.)", abort=True, err=True)
    except click.Abort:
        _say("\nNothing was sent. Go on with --replay, so that they count everywhere, or with --yes.")
        return False
    return True


def _replay(url: str, key: str, tenant: str | None, users: list[str], patience_s: float) -> int:
    """Have the users' events replayed in the order of their time, and return the exit code."""
    with _bar(len(users), " users", "Replaying") as bar:

        async def run(client: httpx.AsyncClient) -> tuple[int, list[tuple[str, str]]]:
            return await replay(client, users, bar.update, patience_s)

        try:
            done, issues = asyncio.run(_with_client(url, key, tenant, run))
        except (SendingStopped, KeyboardInterrupt) as stopped:
            interrupted = isinstance(stopped, KeyboardInterrupt)
            _say(f"Stopped: {'interrupted' if interrupted else stopped}. The same import with --replay goes on.")
            return INTERRUPTED if interrupted else 1
    for user, reason in issues[:NAMED_MAX]:
        _say(f"user {user}: {reason}")
    click.echo(f"Replayed {_count(done, 'user')} of {len(users):,}.")
    return 1 if issues else 0


def _bar(total: int, unit: str, title: str, *, leave: bool = True) -> tqdm[NoReturn]:
    return tqdm(total=total, unit=unit, desc=title, file=sys.stderr, disable=None, leave=leave)


def _send(
    url: str, key: str, tenant: str | None, checked: Checked, what: str, *, skip_bad: bool, patience_s: float
) -> int:
    tally = Tally()
    good = len(checked.rows)
    began_s = stopwatch_s()
    problem = ""
    code = 0
    with tqdm(total=good, unit=" events", desc="Sending", file=sys.stderr, disable=None) as bar:

        def on_stored(events: int) -> None:
            bar.update(events)

        def on_wait(reason: str) -> None:
            bar.write(f"Waiting: {reason}", file=sys.stderr)

        async def run(client: httpx.AsyncClient) -> None:
            ready = batches(keyed(checked.rows), LANES)
            await send(client, ready, tally, on_stored=on_stored, on_wait=on_wait, patience_s=patience_s)

        try:
            asyncio.run(_with_client(url, key, tenant, run))
        except SendingStopped as stopped:
            where = "" if stopped.place is None else f"{checked.name(stopped.place)}: "
            problem, code = f"Stopped: {where}{stopped}.", 1
        except KeyboardInterrupt:
            problem, code = "Stopped.", INTERRUPTED
    took_s = stopwatch_s() - began_s
    _name_lines(checked, sorted(tally.refused), "Refused by the server")
    if problem:
        there = tally.stored + tally.replayed + tally.unsure
        _say(f"{problem} Stored for certain: {there:,} of {_count(good, 'event')}.")
        _say("It is safe to run the same import again: what is stored already counts once.")
        return code
    stored = f"{tally.stored:,} stored"
    if tally.unsure:
        stored += f", {tally.unsure:,} stored now or before (an answer was lost, and the events sent again)"
    if tally.replayed:
        stored += f", {tally.replayed:,} repeated (their idempotency keys were known, so they count once)"
    if tally.refused:
        stored += f", {len(tally.refused):,} refused"
    if checked.bad:
        stored += f", {_count(len(checked.bad), 'bad line')} left out"
    click.echo(f"Sent {what}: {stored}; {took_s:.1f} s, {good / took_s:,.0f} events/s.")
    return 1 if (tally.refused and not skip_bad) or checked.repeated else 0


def _check_files(
    files: list[str], format_: Format, metric: str | None, index: CatalogIndex, now_ms: int
) -> Checked:
    # Sorted, so that events of the same instant are sent in the same order however the files were named: their
    # content keys depend on it.
    checked = Checked(sorted(files))
    if twice := next((one for one, two in pairwise(checked.files) if one == two), None):
        raise StartError(f"{twice} is named twice.")
    for number in range(len(files)):
        _check_file(checked, number, format_, metric, index, now_ms)
    return checked


def _check_file(
    checked: Checked, number: int, format_: Format, metric: str | None, index: CatalogIndex, now_ms: int
) -> None:
    file = checked.files[number]
    with (
        click.open_file(file, "rb") as stream,
        tqdm(
            total=_size(stream),
            unit="B",
            unit_scale=True,
            desc="Checking",
            file=sys.stderr,
            disable=None,
            leave=False,
        ) as bar,
    ):
        try:
            for line, read in read_lines(_counted(stream, bar.update), format_, metric):
                _check_line(checked, place_of(number, line), read, index, now_ms)
        except StartError as error:
            raise error if len(checked.files) == 1 else StartError(f"{file}: {error}") from None


def _check_line(
    checked: Checked, place: int, read: BatchItem | RequestError, index: CatalogIndex, now_ms: int
) -> None:
    try:
        if isinstance(read, RequestError):
            raise read
        instant_ms = check_item(index, read, now_ms)
    except RequestError as error:
        checked.bad.append((place, error.message))
        return
    checked.rows.append(pack(instant_ms, place, read))
    if (first := checked.spellings.note(read, place)) is not None:
        checked.repeated.append((place, first))


def _counted(stream: IO[bytes], seen: Callable[[int], object]) -> Iterator[bytes]:
    for line in stream:
        seen(len(line))
        yield line


def _size(stream: IO[bytes]) -> int | None:
    """Return the size of a regular file in bytes, or None for a pipe or terminal."""
    try:
        found = os.fstat(stream.fileno())
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


async def _with_client(
    url: str, key: str, tenant: str | None, use: Callable[[httpx.AsyncClient], Awaitable[T]]
) -> T:
    async with open_client(url, key, tenant) as client:
        return await use(client)


def _warning(checked: Checked, found: Lookalike) -> tuple[int, str]:
    text = f"{found.field} {found.text!a}"
    if found.other is None:
        return found.place, f"{text} begins or ends with a blank, which is part of it"
    return (
        found.place,
        f"{text} looks like {found.other!a} of {checked.name(found.other_place)}, but is another one",
    )


def _name_lines(checked: Checked, lines: list[tuple[int, str]], kind: str) -> None:
    for place, reason in lines[:NAMED_MAX]:
        _say(f"{checked.name(place)}: {reason}")
    if lines:
        more = f" (the first {NAMED_MAX} are named)" if len(lines) > NAMED_MAX else ""
        _say(f"{kind}: {len(lines):,}{more}.")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _say(text: str) -> None:
    click.echo(text, err=True)
