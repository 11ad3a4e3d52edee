"""The ``podium`` command."""

from __future__ import annotations

import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click
import structlog
import uvloop

from podium.cli.stopping import INTERRUPTED, interrupt_by_sigterm
from podium.game.errors import StartError, Unavailable
from podium.settings import Settings, load
from podium.telemetry import logs

T = TypeVar("T")

log = structlog.get_logger(__name__)


class _Commands(click.Group):
    """The command group, which imports ``catalog`` and ``import`` lazily.

    Both import half of the server, and every web and worker process would pay for that at its start.
    """

    _lazy = ("catalog", "import")

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        return sorted([*super().list_commands(ctx), *self._lazy])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, or None."""
        if cmd_name == "import":
            from podium.cli.importing.command import import_

            return import_
        if cmd_name == "catalog":
            from podium.cli.catalog import catalog

            return catalog
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. An expected error becomes one sentence on stderr and exit code 1, without a
        traceback."""
        try:
            return super().invoke(ctx)
        except (StartError, Unavailable) as error:
            click.echo(f"podium: {error}", err=True)
            raise SystemExit(1) from None


@click.group(cls=_Commands)
@click.version_option(package_name="podium")
def main() -> None:
    """Podium: a self-hosted, real-time leaderboard and gamification server.

    Try it: podium dev. In production: podium migrate, then podium web and podium worker, configured by PODIUM_*
    environment variables (docs/settings.md).
    """


@main.command()
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(1, 65_535), help="Port of the server."
)
@click.option(
    "--data",
    default=".podium",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder for all data; it is kept between runs.",
)
@click.option("--no-demo", is_flag=True, help="Start with an empty catalog, no traffic and no demo page.")
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Number of web processes."
)
def dev(port: int, data: Path, no_demo: bool, workers: int) -> None:
    """Run Valkey, Postgres, web, worker and a demo on this machine."""
    from podium.cli.dev import run

    sys.exit(run(port=port, data=data, demo=not no_demo, workers=workers))


@main.command()
def web() -> None:
    """Serve HTTP and WebSocket."""
    from podium.cli.serve import serve

    settings = _settings()
    _check(settings)
    sys.exit(serve(settings))


@main.command()
def worker() -> None:
    """Flush accepted events to Postgres, rebuild Redis where needed, and run the timed jobs."""
    from podium import worker as worker_process

    settings = _settings()
    _check(settings)
    _run(worker_process.serve(settings))


@main.command()
def migrate() -> None:
    """Migrate the database to this release, and create the first space if there is none."""
    from podium.cli import admin_tasks

    def report(name: str) -> None:
        click.echo(f"Applying {name}")

    click.echo(_run(admin_tasks.migrate_and_prepare(_settings().database_url, report)))


@main.command()
def check() -> None:
    """Check the settings, Redis and Postgres as at start. Exits with 1 if something is wrong."""
    from podium.cli.start_checks import check_stores

    for warning in _run(check_stores(_settings(), tolerate_outage=False)):
        click.echo(f"Warning: {warning}")
    click.echo("Podium can work with these stores.")


@main.group()
def keys() -> None:
    """Manage API keys."""


@keys.command("create")
@click.option("--name", required=True, help="Purpose of the key; the audit log shows it.")
@click.option("--space", default=None, help="Public id of the space; default: the production space.")
@click.option(
    "--can",
    "capabilities",
    multiple=True,
    type=click.Choice(["admin", "read", "events:write", "achievements:complete"]),
    default=["admin"],
    show_default=True,
    help="Capability of the key; can be given more than once.",
)
def create_key(name: str, space: str | None, capabilities: tuple[str, ...]) -> None:
    """Create a key and print it. It can't be shown again: only its hash is kept."""
    from podium.cli import admin_tasks

    click.echo(_run(admin_tasks.create_key(_settings().database_url, name, space, capabilities)))


@keys.command("list")
@click.option("--space", default=None, help="Public id of the space; default: the production space.")
def list_keys(space: str | None) -> None:
    """Print the keys of a space, one a line: prefix, capabilities, creation date, last use (UTC), name.

    Revoked keys are listed too. A use shows within a minute.
    """
    from podium.cli import admin_tasks

    for line in _run(admin_tasks.list_keys(_settings().database_url, space)):
        click.echo(line)


@keys.command("revoke")
@click.argument("prefix")
def revoke_key(prefix: str) -> None:
    """Revoke the key with this PREFIX (the part before the dot). It is refused within a second."""
    from podium.cli import admin_tasks

    _run(admin_tasks.revoke_key(_settings().database_url, prefix))
    click.echo(f"Revoked {prefix}.")


@keys.command("rotate")
@click.argument("prefix")
def rotate_key(prefix: str) -> None:
    """Replace the key with this PREFIX by a new one, and print that. The old key is refused within a second."""
    from podium.cli import admin_tasks

    click.echo(_run(admin_tasks.rotate_key(_settings().database_url, prefix)))


@main.command()
@click.option("--space", default=None, help="Public id of the space; default: the production space.")
@click.option(
    "--add",
    multiple=True,
    metavar="ORIGIN",
    help="Origin to allow, like https://app.example.com; can be given more than once.",
)
@click.option("--remove", multiple=True, metavar="ORIGIN", help="Origin to remove; can be given more than once.")
def origins(space: str | None, add: tuple[str, ...], remove: tuple[str, ...]) -> None:
    """Change the browser origins that may call a space, and print them, one a line."""
    from podium.cli import admin_tasks

    for origin in _run(admin_tasks.change_space_origins(_settings().database_url, space, add, remove)):
        click.echo(origin)


@main.command()
@click.option("--space", default=None, help="Public id of the space; default: every space.")
@click.option("--yes", is_flag=True, help="Don't ask.")
def rebuild(space: str | None, yes: bool) -> None:
    """Rebuild Redis from Postgres, after flushing to Postgres what was not flushed yet.

    Events are refused with 503 meanwhile. Exits with 130 if interrupted; a worker then rebuilds the space.
    """
    from podium.cli import admin_tasks

    settings = _settings()
    if not yes:
        click.confirm("Events are refused with 503 until Redis is filled again. Rebuild?", abort=True)
    interrupt_by_sigterm()
    try:
        _run(admin_tasks.rebuild_spaces(settings, space, click.echo))
    except KeyboardInterrupt:
        click.echo("podium: interrupted; a worker will rebuild the space, or run the command again", err=True)
        sys.exit(INTERRUPTED)


@main.group()
def rejected() -> None:
    """Manage items that Podium accepted and Postgres refused."""


@rejected.command("list")
@click.option("--space", default=None, help="Public id of the space; default: every space.")
def list_rejected(space: str | None) -> None:
    """Print the items, one line of JSON each: time, user, record (game/records.py) and reason."""
    from podium.cli import admin_tasks

    _run(admin_tasks.list_rejected(_settings(), space, click.echo))


@rejected.command("resend")
@click.option("--space", default=None, help="Public id of the space; default: every space.")
def resend_rejected(space: str | None) -> None:
    """Write the items to Postgres again, once the cause is fixed.

    Items that are refused again stay in the list; the exit code is then 1.
    """
    from podium.cli import admin_tasks

    sys.exit(1 if _run(admin_tasks.resend_rejected(_settings(), space, click.echo)) else 0)


ROLES = click.Choice(["viewer", "support", "admin"])
ROLES_HELP = "viewer: read only; support: change users; admin: everything."


@main.group()
def users() -> None:
    """Manage accounts of the console."""


@users.command("create")
@click.option("--email", required=True, help="E-mail address to sign in with.")
@click.option("--name", default="", help="Name in the audit log; default: the e-mail address.")
@click.option("--role", type=ROLES, default="support", show_default=True, help=ROLES_HELP)
@click.option("--space", default=None, help="Public id of the space; default: the production space.")
def create_user(email: str, name: str, role: str, space: str | None) -> None:
    """Create an account and print its password. It can't be shown again."""
    from podium.cli import admin_tasks

    click.echo(_run(admin_tasks.create_account(_settings().database_url, email, name or email, role, space)))


@users.command("list")
def list_users() -> None:
    """Print the accounts, one a line: e-mail, role, environment, creation date, last sign-in (UTC), name."""
    from podium.cli import admin_tasks

    for line in _run(admin_tasks.list_accounts(_settings().database_url)):
        click.echo(line)


@users.command("set-role")
@click.argument("email")
@click.option("--role", required=True, type=ROLES, help=ROLES_HELP)
def set_user_role(email: str, role: str) -> None:
    """Change the role of an account, at once, also where it is signed in."""
    from podium.cli import admin_tasks

    before = _run(admin_tasks.set_account_role(_settings().database_url, email, role))
    click.echo(f"{email} was {before} and is {role}.")


@users.command("reset-password")
@click.argument("email")
def reset_user_password(email: str) -> None:
    """Give an account a new password, print it, and sign the account out everywhere."""
    from podium.cli import admin_tasks

    click.echo(_run(admin_tasks.reset_account_password(_settings().database_url, email)))


@users.command("disable")
@click.argument("email")
def disable_user(email: str) -> None:
    """Disable an account and sign it out everywhere."""
    from podium.cli import admin_tasks

    _run(admin_tasks.disable_account(_settings().database_url, email))
    click.echo(f"Disabled {email}.")


@users.command("enable")
@click.argument("email")
def enable_user(email: str) -> None:
    """Enable a disabled account and print its new password."""
    from podium.cli import admin_tasks

    click.echo(_run(admin_tasks.enable_account(_settings().database_url, email)))


@main.group()
def environments() -> None:
    """Manage environments (production, staging, …). Each has its own keys."""


@environments.command("list")
def list_environments() -> None:
    """Print the spaces of each environment, one a line: environment, tenant, public id."""
    from podium.cli import admin_tasks

    for line in _run(admin_tasks.list_spaces(_settings().database_url)):
        click.echo(line)


@environments.command("create")
@click.argument("name")
def create_environment(name: str) -> None:
    """Create the environment NAME, like staging, and print its first admin key.

    Its catalog is empty. To copy one: podium catalog copy --from production --key KEY.
    """
    from podium.cli import admin_tasks

    click.echo(_run(admin_tasks.create_environment(_settings().database_url, name)))


def _check(settings: Settings) -> None:
    """Check both stores before a server process starts, and log the warnings.

    Raises:
        StartError: A store can't be used, and waiting won't change that.
    """
    from podium.cli.start_checks import check_stores

    for warning in _run(check_stores(settings, tolerate_outage=True)):
        log.warning("start_warning", problem=warning)


def _settings() -> Settings:
    loaded = load(os.environ)
    logs.configure(loaded.log_level, loaded.log_format)
    return loaded


def _run(task: Coroutine[Any, Any, T]) -> T:
    try:
        return uvloop.run(task)
    except Exception as error:
        from podium.cli.start_checks import lost_store

        if (problem := lost_store(error)) is not None:
            raise problem from error
        raise
