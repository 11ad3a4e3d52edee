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
    """Those that stand in files of their own are imported when they are asked for: they need half of the server,
    and every process would wait for it at its start."""

    _elsewhere = ("catalog", "import")

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, sorted."""
        return sorted([*super().list_commands(ctx), *self._elsewhere])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name."""
        if cmd_name == "import":
            from podium.cli.importing.command import import_

            return import_
        if cmd_name == "catalog":
            from podium.cli.catalog import catalog

            return catalog
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; what stops a command is one sentence on stderr and exit code 1, never a stack trace."""
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
    help="Folder that keeps everything between runs.",
)
@click.option("--no-demo", is_flag=True, help="Empty catalog, no traffic, no demo page.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Web processes.")
def dev(port: int, data: Path, no_demo: bool, workers: int) -> None:
    """Run everything here: Valkey, Postgres, web, worker, and a demo to look at."""
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
    """Write to Postgres what was accepted, rebuild Redis where it is needed, and do what is due."""
    from podium import worker as worker_process

    settings = _settings()
    _check(settings)
    _run(worker_process.serve(settings))


@main.command()
def migrate() -> None:
    """Bring the database to this release, and make the first space if there is none."""
    from podium.cli import admin_tasks

    def report(name: str) -> None:
        click.echo(f"Applying {name}")

    click.echo(_run(admin_tasks.migrate_and_prepare(_settings().database_url, report)))


@main.command()
def check() -> None:
    """Look at the settings and both stores as a start does, and say what is wrong; ends with 1 if anything is."""
    from podium.cli.start_checks import check_stores

    for warning in _run(check_stores(_settings(), patient=False)):
        click.echo(f"Warning: {warning}")
    click.echo("Podium can work with these stores.")


@main.group()
def keys() -> None:
    """Keys of the API."""


@keys.command("create")
@click.option("--name", required=True, help="What the key is for; it shows in the audit log.")
@click.option("--space", default=None, help="Public id of the space; default: the production space.")
@click.option(
    "--can",
    "capabilities",
    multiple=True,
    type=click.Choice(["admin", "read", "events:write", "achievements:complete"]),
    default=["admin"],
    show_default=True,
    help="What the key may do; can be given more than once.",
)
def create_key(name: str, space: str | None, capabilities: tuple[str, ...]) -> None:
    """Make a key and print it, once: only its hash is kept."""
    from podium.cli import admin_tasks

    click.echo(_run(admin_tasks.create_key(_settings().database_url, name, space, capabilities)))


@keys.command("list")
@click.option("--space", default=None, help="Public id of the space; default: the production space.")
def list_keys(space: str | None) -> None:
    """Print the keys of a space, one a line: prefix, what it may do, since when, last use (UTC), name.

    Revoked ones too. A use shows within a minute.
    """
    from podium.cli import admin_tasks

    for line in _run(admin_tasks.list_keys(_settings().database_url, space)):
        click.echo(line)


@keys.command("revoke")
@click.argument("prefix")
def revoke_key(prefix: str) -> None:
    """Take a key back, by its PREFIX (what stands before the dot); it is refused within a second."""
    from podium.cli import admin_tasks

    _run(admin_tasks.revoke_key(_settings().database_url, prefix))
    click.echo(f"Revoked {prefix}.")


@keys.command("rotate")
@click.argument("prefix")
def rotate_key(prefix: str) -> None:
    """Put a new key in the place of one, by its PREFIX, and print it, once. The old one is refused within a
    second."""
    from podium.cli import admin_tasks

    click.echo(_run(admin_tasks.rotate_key(_settings().database_url, prefix)))


@main.command()
@click.option("--space", default=None, help="Public id of the space; default: the production space.")
@click.option("--add", multiple=True, metavar="ORIGIN", help="Like https://app.example.com; more than once.")
@click.option("--remove", multiple=True, metavar="ORIGIN", help="Can be given more than once.")
def origins(space: str | None, add: tuple[str, ...], remove: tuple[str, ...]) -> None:
    """Change which pages may talk to a space, and print the list, one origin a line."""
    from podium.cli import admin_tasks

    for origin in _run(admin_tasks.change_space_origins(_settings().database_url, space, add, remove)):
        click.echo(origin)


@main.command()
@click.option("--space", default=None, help="Public id of the space; default: every space.")
@click.option("--yes", is_flag=True, help="Don't ask.")
def rebuild(space: str | None, yes: bool) -> None:
    """Empty Redis and fill it again from Postgres, after saving there what was not flushed yet.

    Events are refused with 503 meanwhile. Ends with 130 if it is stopped: a worker then begins anew.
    """
    from podium.cli import admin_tasks

    settings = _settings()
    if not yes:
        click.confirm("Events are refused with 503 until Redis is filled again. Rebuild?", abort=True)
    interrupt_by_sigterm()
    try:
        _run(admin_tasks.rebuild_spaces(settings, space, click.echo))
    except KeyboardInterrupt:
        click.echo("podium: stopped; a worker fills the space that was begun, or run it again", err=True)
        sys.exit(INTERRUPTED)


@main.group()
def rejected() -> None:
    """Items that were accepted and that Postgres refused."""


@rejected.command("list")
@click.option("--space", default=None, help="Public id of the space; default: every space.")
def list_rejected(space: str | None) -> None:
    """Print the items, one a line of JSON: when, whose, what (game/records.py), and why it was refused."""
    from podium.cli import admin_tasks

    _run(admin_tasks.list_rejected(_settings(), space, click.echo))


@rejected.command("resend")
@click.option("--space", default=None, help="Public id of the space; default: every space.")
def resend_rejected(space: str | None) -> None:
    """Write the items to Postgres after all, once what was wrong is mended; those that are refused again stay.

    Ends with 1 if there are such.
    """
    from podium.cli import admin_tasks

    sys.exit(1 if _run(admin_tasks.resend_rejected(_settings(), space, click.echo)) else 0)


ROLES = click.Choice(["viewer", "support", "admin"])
ROLES_HELP = "viewer looks, support helps users, admin may do everything."


@main.group()
def users() -> None:
    """People who sign in to the console."""


@users.command("create")
@click.option("--email", required=True, help="What they sign in with.")
@click.option("--name", default="", help="What the audit log calls them; default: the e-mail.")
@click.option("--role", type=ROLES, default="support", show_default=True, help=ROLES_HELP)
@click.option("--space", default=None, help="Public id of the space; default: the production space.")
def create_user(email: str, name: str, role: str, space: str | None) -> None:
    """Make an account and print its password, once."""
    from podium.cli import admin_tasks

    click.echo(_run(admin_tasks.create_account(_settings().database_url, email, name or email, role, space)))


@users.command("list")
def list_users() -> None:
    """Print the accounts, one a line: e-mail, role, environment, since when, last sign-in (UTC), name."""
    from podium.cli import admin_tasks

    for line in _run(admin_tasks.list_accounts(_settings().database_url)):
        click.echo(line)


@users.command("set-role")
@click.argument("email")
@click.option("--role", required=True, type=ROLES, help=ROLES_HELP)
def set_user_role(email: str, role: str) -> None:
    """Give an account another role; it holds at once, where somebody is signed in too."""
    from podium.cli import admin_tasks

    before = _run(admin_tasks.set_account_role(_settings().database_url, email, role))
    click.echo(f"{email} was {before} and is {role}.")


@users.command("reset-password")
@click.argument("email")
def reset_user_password(email: str) -> None:
    """Print a new password of an account, once, and sign it out everywhere."""
    from podium.cli import admin_tasks

    click.echo(_run(admin_tasks.reset_account_password(_settings().database_url, email)))


@users.command("disable")
@click.argument("email")
def disable_user(email: str) -> None:
    """Sign an account out everywhere and let it in no more."""
    from podium.cli import admin_tasks

    _run(admin_tasks.disable_account(_settings().database_url, email))
    click.echo(f"Disabled {email}.")


@users.command("enable")
@click.argument("email")
def enable_user(email: str) -> None:
    """Let a disabled account in again and print its new password, once."""
    from podium.cli import admin_tasks

    click.echo(_run(admin_tasks.enable_account(_settings().database_url, email)))


@main.group()
def environments() -> None:
    """Environments: production, staging, development, each behind its own keys."""


@environments.command("list")
def list_environments() -> None:
    """Print the spaces of each environment, one a line: environment, tenant, public id."""
    from podium.cli import admin_tasks

    for line in _run(admin_tasks.list_spaces(_settings().database_url)):
        click.echo(line)


@environments.command("create")
@click.argument("name")
def create_environment(name: str) -> None:
    """Make the environment NAME, like staging, and print its first admin key, once.

    It begins empty: podium catalog copy --from production --key KEY.
    """
    from podium.cli import admin_tasks

    click.echo(_run(admin_tasks.create_environment(_settings().database_url, name)))


def _check(settings: Settings) -> None:
    """Log what is not as it should be about the stores; ``StartError`` where waiting won't mend it."""
    from podium.cli.start_checks import check_stores

    for warning in _run(check_stores(settings, patient=True)):
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
