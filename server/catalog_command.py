"""The command ``podium catalog``: the catalog as a file."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import click
import httpx
import msgspec
import yaml

from server.core.errors import StartError
from server.features.catalog.api import SCHEMA_PATH
from server.features.catalog.plan import Plan
from server.features.catalog.schema import json_schema
from server.importing.command import DEFAULT_URL, DEV_FILE, find_server

TIMEOUT_S = 60.0
CHANGED = 2
"""Exit code of ``diff`` where something differs; 1 is for errors."""
SHOWN_MAX = 60
"""Characters of a value in a plan."""
_SIGNS = {"create": ("+", "green"), "update": ("~", "yellow"), "archive": ("-", "red")}


class _Loader(yaml.SafeLoader):
    """YAML 1.2's numbers and no dates: 18:00 is a time of day and not 1080, and the server reads dates itself."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if not tag.endswith((":timestamp", ":int", ":float"))]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)

_url = click.option("--url", help=f"Where Podium is.  [default: {DEFAULT_URL}]")
_key = click.option(
    "--key",
    envvar="PODIUM_API_KEY",
    show_envvar=True,
    help=f"An admin key: its environment is meant. Without one, that of a running `podium dev` from {DEV_FILE}.",
)
_file = click.argument("file", type=click.File("r", encoding="utf-8"))
_prune = click.option("--prune", is_flag=True, help="Archive what a section of the file doesn't name.")
_yes = click.option("--yes", is_flag=True, help="Don't ask.")


@click.group()
def catalog() -> None:
    """The catalog as a file: metrics, leaderboards, streak, points, achievements, settings."""


@catalog.command("export")
@_url
@_key
def export_(url: str | None, key: str | None) -> None:
    """Print the catalog as YAML."""
    base, _ = server = find_server(url, key)
    click.echo(f"# yaml-language-server: $schema={base.rstrip('/')}{SCHEMA_PATH}")
    click.echo(yaml.safe_dump(_ask(server, "GET", ""), allow_unicode=True, sort_keys=False), nl=False)


@catalog.command()
@_file
@_prune
@_url
@_key
def diff(file: Any, prune: bool, url: str | None, key: str | None) -> None:
    """Say what `apply` would change. Exit code: 0 nothing, 2 something, 1 it can't be applied."""
    plan = _plan(find_server(url, key), "/plan", _read(file), prune)
    _show(plan)
    sys.exit(1 if plan.issues else CHANGED if plan.changes else 0)


@catalog.command()
@_file
@_prune
@_yes
@_url
@_key
def apply(file: Any, prune: bool, yes: bool, url: str | None, key: str | None) -> None:
    """Bring the catalog to FILE ("-": standard input), after showing what changes. All of it or nothing.

    A section that FILE leaves out stays as it is. Applied again it changes nothing.
    """
    server, document = find_server(url, key), _read(file)
    if _agreed(_plan(server, "/plan", document, prune), yes):
        _ask(server, "PUT", "", document, prune=prune)
        click.echo("Applied.")


@catalog.command()
@click.option("--from", "source", required=True, help="The environment to copy from.")
@_prune
@_yes
@_url
@_key
def copy(source: str, prune: bool, yes: bool, url: str | None, key: str | None) -> None:
    """Copy another environment's catalog into that of the key, after showing what changes.

    Users are not touched.
    """
    server = find_server(url, key)
    wanted = {"from": source, "prune": prune}
    if _agreed(msgspec.convert(_ask(server, "POST", "/copy", wanted), Plan), yes):
        _ask(server, "POST", "/copy", {**wanted, "apply": True})
        click.echo("Copied.")


@catalog.command()
def schema() -> None:
    """Print the JSON Schema of the file, for editors; the server has it at /catalog.schema.json."""
    click.echo(json.dumps(json_schema(), indent=2))


def _read(file: Any) -> Any:
    try:
        found = yaml.load(file, Loader=_Loader)  # noqa: S506 # made from SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StartError(f"{file.name} is not YAML: {error}") from None
    if not isinstance(found, dict):
        raise StartError(f"{file.name} must hold sections: metrics, leaderboards, …")
    found.pop("$schema", None)
    return found


def _plan(server: tuple[str, str], path: str, document: Any, prune: bool) -> Plan:
    return msgspec.convert(_ask(server, "POST", path, document, prune=prune), Plan)


def _agreed(plan: Plan, yes: bool) -> bool:
    _show(plan)
    if plan.issues:
        raise SystemExit(1)
    if not plan.changes:
        return False
    if not yes:
        click.confirm("Apply?", abort=True)
    return True


def _show(plan: Plan) -> None:
    for change in plan.changes:
        sign, color = _SIGNS[change.action]
        click.secho(f"{sign} {change.section} {change.item}".rstrip(), fg=color)
        for field in change.fields if change.action == "update" else ():
            click.echo(f"    {field.field}: {_short(field.before)} → {_short(field.after)}")
    for issue in plan.issues:
        click.secho(
            f"! {' '.join(filter(None, (issue.section, issue.item)))}: {issue.message}", fg="red", err=True
        )
    if not plan.changes and not plan.issues:
        click.echo("Nothing to change.")


def _short(value: Any) -> str:
    text = "–" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 1] + "…"


def _ask(server: tuple[str, str], method: str, path: str, body: Any = None, *, prune: bool = False) -> Any:
    """The decoded answer of ``/admin/v1/catalog``; ``StartError`` with the server's sentence otherwise."""
    url, key = server
    try:
        reply = httpx.request(
            method,
            f"{url.rstrip('/')}/admin/v1/catalog{path}",
            params={"prune": "true"} if prune else {},
            json=body,
            headers={"X-API-KEY": key},
            timeout=TIMEOUT_S,
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise StartError(f"{url} does not answer: {error}") from None
    try:
        answered = reply.json()
    except ValueError:
        answered = {}
    if reply.is_error or not isinstance(answered, dict):
        reason = answered.get("error", reply.reason_phrase) if isinstance(answered, dict) else reply.reason_phrase
        raise StartError(f"{url} answered {reply.status_code}: {reason}")
    return answered
