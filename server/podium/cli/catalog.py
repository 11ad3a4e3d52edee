"""The command ``podium catalog``: export, compare and apply the catalog as a YAML file."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, NamedTuple

import click
import httpx
import msgspec

from podium.api.catalog.admin import SCHEMA_PATH
from podium.api.catalog.plan import Plan, PlannedChange
from podium.api.catalog.schema import json_schema
from podium.api.catalog.yaml_file import read, write
from podium.cli.remote import DEFAULT_URL, DEV_FILE, TENANT_HELP, find_server, headers_of
from podium.game.errors import StartError

TIMEOUT_S = 60.0
CHANGED = 2
"""Exit code of ``diff`` if something differs; 1 is for errors."""
SHOWN_MAX = 200
"""Characters that are shown of a value in a plan."""
_SIGNS = {"create": ("+", "green"), "update": ("~", "yellow"), "archive": ("-", "red")}


class _Server(NamedTuple):
    """The server that a command calls: its URL, and the headers with key and tenant."""

    url: str
    headers: httpx.Headers


def _at_server(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options ``--url``, ``--key`` and ``--tenant`` to a command, which gets a ``_Server`` instead."""

    @wraps(command)
    def run(*args: Any, url: str | None, key: str | None, tenant: str | None, **kwargs: Any) -> None:
        base, key = find_server(url, key)
        command(_Server(base.rstrip("/"), headers_of(key, tenant)), *args, **kwargs)

    for option in (
        click.option("--tenant", help=TENANT_HELP),
        click.option(
            "--key",
            envvar="PODIUM_API_KEY",
            show_envvar=True,
            help=f"Admin key of the environment.  [default: the key of a running `podium dev`, from {DEV_FILE}]",
        ),
        click.option("--url", help=f"URL of the server.  [default: {DEFAULT_URL}]"),
    ):
        run = option(run)
    return run


_file = click.argument("file")
_prune = click.option("--prune", is_flag=True, help="Archive items that a section of the file doesn't name.")
_yes = click.option("--yes", is_flag=True, help="Don't ask.")


@click.group()
def catalog() -> None:
    """Manage the catalog as a file: metrics, leaderboards, streak, points, achievements, settings."""


@catalog.command("export")
@_at_server
def export_(server: _Server) -> None:
    """Print the catalog as YAML."""
    document = _ask(server, "GET", "")
    click.echo(f"# yaml-language-server: $schema={server.url}{SCHEMA_PATH}")
    click.echo(write(document), nl=False)


@catalog.command()
@_file
@_prune
@_at_server
def diff(server: _Server, file: str, prune: bool) -> None:
    """Show the changes that `apply` would make. Exit code: 0 none, 2 some, 1 the file can't be applied."""
    plan = _plan(server, _read(file), prune)
    _show(plan)
    sys.exit(1 if plan.issues else CHANGED if plan.changes else 0)


@catalog.command()
@_file
@_prune
@_yes
@_at_server
def apply(server: _Server, file: str, prune: bool, yes: bool) -> None:
    """Change the catalog to that of FILE ("-": standard input), after showing the changes. All or nothing.

    Sections that FILE leaves out stay as they are. Applying a file twice changes nothing more.
    """
    document = _read(file)
    if _agreed(_plan(server, document, prune), yes):
        _ask(server, "PUT", "", document, prune=prune)
        click.echo("Applied.")


@catalog.command()
@click.option("--from", "source", required=True, help="The environment to copy from.")
@_prune
@_yes
@_at_server
def copy(server: _Server, source: str, prune: bool, yes: bool) -> None:
    """Copy another environment's catalog into the key's environment, after showing the changes.

    Users are not changed.
    """
    wanted = {"from": source, "prune": prune}
    if _agreed(msgspec.convert(_ask(server, "POST", "/copy", wanted), Plan), yes):
        _ask(server, "POST", "/copy", {**wanted, "apply": True})
        click.echo("Copied.")


@catalog.command()
def schema() -> None:
    """Print the JSON Schema of the file, for editors. The server has it at /catalog.schema.json."""
    click.echo(json.dumps(json_schema(), indent=2))


def _read(file: str) -> dict[str, Any]:
    try:
        with click.open_file(file, encoding="utf-8") as stream:
            text = stream.read()
    except OSError as error:
        raise StartError(f"{file} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise StartError(f"{file} can't be read: it is not UTF-8.") from None
    return read(text, "Standard input" if file == "-" else file)


def _plan(server: _Server, document: Any, prune: bool) -> Plan:
    return msgspec.convert(_ask(server, "POST", "/plan", document, prune=prune), Plan)


def _agreed(plan: Plan, yes: bool) -> bool:
    _show(plan)
    if plan.issues:
        raise SystemExit(1)
    if not plan.changes:
        return False
    if not yes:
        archived = _count(plan, "archive")
        click.confirm(f"Apply, and archive {_items(archived)}?" if archived else "Apply?", abort=True)
    return True


def _show(plan: Plan) -> None:
    for change in plan.changes:
        _show_change(change)
    if plan.changes:
        counts = ((_count(plan, "create"), "create"), (_count(plan, "update"), "change"))
        done = [f"{count} to {verb}" for count, verb in (*counts, (_count(plan, "archive"), "archive")) if count]
        click.echo(f"\n{', '.join(done)}.")
    elif not plan.issues:
        click.echo("Nothing to change.")
    for issue in plan.issues:
        where = " ".join(filter(None, (issue.section, issue.item)))
        _say(f"! {where}: {issue.message}", "red", err=True)
    if plan.issues:
        click.echo(f"It can't be applied: {_items(len(plan.issues), 'problem')}. Nothing was changed.", err=True)


def _show_change(change: PlannedChange) -> None:
    sign, color = _SIGNS[change.action]
    values = {field.field: field for field in change.fields}
    line = f"{sign} {change.section} {change.item}".rstrip()
    name = values.get("name")
    if change.action != "update" and name is not None:
        called = name.after if change.action == "create" else name.before
        line += "" if called == change.item else f"  {_short(called)}"
    _say(line + ("  (will be archived)" if change.action == "archive" else ""), color)
    if change.action == "update":
        rows = [row for field in change.fields for row in _differences(field.field, field.before, field.after)]
        width = max((len(name) for name, _, _ in rows), default=0)
        for field_name, before, after in rows:
            _say(f"    {field_name:{width}}  {_short(before)} → {_short(after)}")


def _differences(name: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the parts of a value that differ: path, before, after."""
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            yield from _differences(f"{name}.{key}", before.get(key), after.get(key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for at, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _differences(f"{name}[{at}]", one, other)
    else:
        yield name, before, after


def _count(plan: Plan, action: str) -> int:
    return sum(change.action == action for change in plan.changes)


def _items(number: int, noun: str = "item") -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _say(line: str, color: str | None = None, *, err: bool = False) -> None:
    """Print a line, in colour on terminals unless NO_COLOR is set.

    Unprintable characters are escaped: names in the catalog could hold control sequences for the terminal.
    """
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in line)
    click.echo(click.style(shown, fg=color) if color and not os.environ.get("NO_COLOR") else shown, err=err)


def _short(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = "not set" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 1] + "…"


def _ask(server: _Server, method: str, path: str, body: Any = None, *, prune: bool = False) -> Any:
    """Call ``/admin/v1/catalog…`` and return the decoded answer.

    Raises:
        StartError: The server doesn't answer, or answers with an error, which the message repeats.
    """
    try:
        reply = httpx.request(
            method,
            f"{server.url}/admin/v1/catalog{path}",
            params={"prune": "true"} if prune else {},
            json=body,
            headers=server.headers,
            timeout=TIMEOUT_S,
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise StartError(f"{server.url} does not answer: {error}") from None
    try:
        answered = reply.json()
    except ValueError:
        answered = {}
    if reply.is_error or not isinstance(answered, dict):
        reason = answered.get("error", reply.reason_phrase) if isinstance(answered, dict) else reply.reason_phrase
        if reason == "Tenant-ID is required":
            reason += ": name the tenant with --tenant"
        raise StartError(f"{server.url} answered {reply.status_code}: {reason}")
    return answered
