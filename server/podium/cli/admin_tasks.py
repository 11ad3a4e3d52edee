"""The commands' work on the stores: migrate, manage keys, accounts and environments, rebuild, resend."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from podium.cli.start_checks import check_stores, connect, connect_migrated
from podium.clock import system_clock
from podium.console import accounts
from podium.game.errors import StartError, Unavailable, Unprocessable
from podium.game.users.rules import EMAIL_MAX
from podium.settings import Settings
from podium.spaces import audit, store
from podium.spaces.audit import Entry
from podium.spaces.origins import change_origins, check_origins
from podium.storage.postgres import schema
from podium.storage.postgres.migrate import migrate
from podium.storage.postgres.pool import AWAY, Connection

if TYPE_CHECKING:
    from podium.services import Services
    from podium.spaces.space import Space
    from podium.writebehind.rebuild import Rebuilt

_ACTOR = "podium, at the command line"
"""The actor in the audit log: anyone who has the database's password."""


async def migrate_and_prepare(database_url: str, report: Callable[[str], None] = lambda _: None) -> str:
    """Migrate, and create the first space if there is none. Return a sentence about the result.

    ``report`` gets the name of each migration before it runs.

    Raises:
        StartError: As ``connect``; the database isn't Podium's, or a newer release's; or a migration failed.
    """
    connection = await connect(database_url)
    try:
        has = await schema.found(connection)
    finally:
        await connection.close()
    if problem := schema.foreign(has) or schema.ahead(has):
        raise StartError(problem)
    try:
        await migrate(database_url, report)
    except (*AWAY, asyncpg.PostgresError) as error:
        raise StartError(f"the database can't be migrated: {error}") from error
    connection = await connect_migrated(database_url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE spaces IN EXCLUSIVE MODE")
            if not await store.load_spaces(connection):
                await store.create_space(connection, now_ms=system_clock())
                return "The database is ready, with one production space. Next: podium keys create --name NAME"
    finally:
        await connection.close()
    return "The database is ready."


async def create_key(database_url: str, name: str, space: str | None, capabilities: Sequence[str]) -> str:
    """Create a key of a space (by public id; None: production) and return it. It is shown only once."""
    connection = await connect_migrated(database_url)
    try:
        space_id = await _space_id(connection, space)
        async with connection.transaction():
            key = await store.create_key(connection, space_id, name, tuple(capabilities))
            what = {"name": name, "capabilities": list(capabilities)}
            await _record(connection, space_id, Entry("create", "key", store.key_prefix(key), None, what))
        return key
    finally:
        await connection.close()


async def list_spaces(database_url: str) -> list[str]:
    """Return the spaces of all environments, a line each."""
    connection = await connect_migrated(database_url)
    try:
        rows = await store.load_spaces(connection)
    finally:
        await connection.close()
    return [
        f"{row.environment:12}  {row.tenant:20}  {row.public_id}{'  archived' if row.archived else ''}"
        for row in rows
    ]


async def create_environment(database_url: str, name: str) -> str:
    """Create an environment and return its first admin key.

    Raises:
        StartError: The name is malformed or taken, or there are too many environments.
    """
    if not re.fullmatch(store.ENVIRONMENT_PATTERN, name):
        raise StartError("the name must be like staging: small letters, digits, hyphens")
    connection = await connect_migrated(database_url)
    try:
        return (await store.create_environment(connection, name, _ACTOR, system_clock())).key
    except Unprocessable as error:
        raise StartError(f"{name}: {error.message}") from None
    finally:
        await connection.close()


async def create_account(database_url: str, email: str, name: str, role: str, space: str | None) -> str:
    """Create a console account and return its password.

    Raises:
        StartError: The e-mail address is malformed, or has an account already.
    """
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
        raise StartError("the e-mail must be like ana@example.com")
    if len(email) > EMAIL_MAX:
        raise StartError(f"the e-mail must have at most {EMAIL_MAX} characters")
    try:
        async with _changing_accounts(database_url) as connection:
            space_id = await _space_id(connection, space)
            password = await accounts.create(connection, space_id, email, name, role)
            what = {"name": name, "role": role}
            await _record(connection, space_id, Entry("create", "console account", email, None, what))
            return password
    except asyncpg.UniqueViolationError:
        raise StartError(f"there is an account {email} already") from None


async def list_accounts(database_url: str) -> list[str]:
    """Return the console accounts, a line each, the oldest first. The last sign-in is read from the audit log."""
    connection = await connect_migrated(database_url)
    try:
        rows = await connection.fetch(
            "SELECT email, role, environment, a.created_at, last.at, disabled_at, name FROM console_accounts a"
            " JOIN spaces s ON s.id = space_id LEFT JOIN LATERAL (SELECT max(at) AS at FROM audit_log l"
            " WHERE l.space_id = a.space_id AND item = email AND kind = 'console account' AND action = 'sign in'"
            " AND at BETWEEN a.created_at AND coalesce(disabled_at, 'infinity')) last ON true"
            " ORDER BY a.created_at, email"
        )
    finally:
        await connection.close()
    return [
        f"{email:30}  {role:8}  {environment:12}  {created:%Y-%m-%d}  "
        f"{f'signed in {last:%Y-%m-%d %H:%M}' if last else 'never signed in':26}  "
        f"{'disabled  ' if disabled else ''}{name}"
        for email, role, environment, created, last, disabled, name in rows
    ]


async def set_account_role(database_url: str, email: str, role: str) -> str:
    """Change the role of a console account and return the former one.

    Raises:
        StartError: There is no such account.
    """
    async with _changing_accounts(database_url) as connection:
        done = _found(await accounts.set_role(connection, email, role), email)
        entry = Entry("set role", "console account", done.email, {"role": done.detail}, {"role": role})
        await _record(connection, done.space_id, entry)
    return done.detail


async def reset_account_password(database_url: str, email: str) -> str:
    """Give a console account a new password and return it.

    Raises:
        StartError: There is no such account.
    """
    async with _changing_accounts(database_url) as connection:
        done = _found(await accounts.reset_password(connection, email), email)
        await _record(connection, done.space_id, Entry("reset password", "console account", done.email))
    return done.detail


async def disable_account(database_url: str, email: str) -> None:
    """Disable a console account.

    Raises:
        StartError: There is no such account.
    """
    async with _changing_accounts(database_url) as connection:
        done = _found(await accounts.disable(connection, email), email)
        entry = Entry("disable", "console account", done.email, {"disabled": False}, {"disabled": True})
        await _record(connection, done.space_id, entry)


async def enable_account(database_url: str, email: str) -> str:
    """Enable a disabled console account and return its new password.

    Raises:
        StartError: There is no disabled account with this e-mail address, or an enabled one too.
    """
    try:
        async with _changing_accounts(database_url) as connection:
            done = _found(await accounts.enable(connection, email), email, "disabled account")
            entry = Entry("enable", "console account", done.email, {"disabled": True}, {"disabled": False})
            await _record(connection, done.space_id, entry)
    except asyncpg.UniqueViolationError:
        raise StartError(f"there is an account {email} that works already") from None
    return done.detail


@asynccontextmanager
async def _changing_accounts(database_url: str) -> AsyncIterator[Connection]:
    """Open a connection with a transaction, so that changes and their audit rows are stored together."""
    connection = await connect_migrated(database_url)
    try:
        async with connection.transaction():
            yield connection
    finally:
        await connection.close()


def _found(done: accounts.Changed | None, email: str, what: str = "account") -> accounts.Changed:
    if done is None:
        raise StartError(f"there is no {what} {email}")
    return done


async def list_keys(database_url: str, space: str | None) -> list[str]:
    """Return the keys of a space (by public id; None: production), a line each, the oldest first."""
    connection = await connect_migrated(database_url)
    try:
        space_id = await _space_id(connection, space)
        rows = await connection.fetch(
            "SELECT prefix, capabilities, created_at, used_at, revoked_at,"
            " CASE WHEN user_id IS NULL THEN name ELSE $2 || ' of ' || user_id END"
            " FROM api_keys LEFT JOIN key_uses ON key_id = id WHERE space_id = $1 ORDER BY created_at, prefix",
            space_id,
            store.APPLICATION_KEY,
        )
    finally:
        await connection.close()
    return [
        f"{prefix}  {','.join(may):17}  {created:%Y-%m-%d}  "
        f"{f'used {used:%Y-%m-%d %H:%M}' if used else 'never used':21}  {'revoked  ' if revoked else ''}{name}"
        for prefix, may, created, used, revoked, name in rows
    ]


async def revoke_key(database_url: str, prefix: str) -> None:
    """Revoke a key.

    Raises:
        StartError: No key has this prefix, or it is revoked already.
    """
    connection = await connect_migrated(database_url)
    try:
        async with connection.transaction():
            row = await _revoke(connection, prefix)
            entry = Entry("revoke", "key", store.key_prefix(prefix), _audit_value(row))
            await _record(connection, row["space_id"], entry)
            await store.announce(connection)
    finally:
        await connection.close()


async def rotate_key(database_url: str, prefix: str) -> str:
    """Revoke a key and return a new one with the same name and capabilities.

    Raises:
        StartError: No key has this prefix, or it is revoked already.
    """
    connection = await connect_migrated(database_url)
    try:
        async with connection.transaction():
            row = await _revoke(connection, prefix)
            space_id, may = row["space_id"], row["capabilities"]
            if row["user_id"] is not None:
                key = (await store.create_application_key(connection, space_id, row["user_id"], may)).key
            else:
                key = await store.create_key(connection, space_id, row["name"], may)
            after = {**_audit_value(row), "prefix": store.key_prefix(key)}
            entry = Entry("rotate", "key", store.key_prefix(prefix), _audit_value(row), after)
            await _record(connection, space_id, entry)
            return key
    finally:
        await connection.close()


async def _record(connection: Connection, space_id: int, entry: Entry) -> None:
    """Write one row of the audit log."""
    await audit.write(connection, space_id, _ACTOR, [entry])


def _audit_value(key: Any) -> dict[str, object]:
    """Return a key's row for the audit log. A user's key has ``userId``, by which erasing the user finds it."""
    what = {"prefix": key["prefix"], "capabilities": key["capabilities"]}
    return {**what, "name": key["name"]} if key["user_id"] is None else {**what, "userId": key["user_id"]}


async def _revoke(connection: Connection, prefix: str) -> Any:
    rows = await connection.fetch(
        "UPDATE api_keys SET revoked_at = now() WHERE prefix = $1 AND revoked_at IS NULL"
        " RETURNING space_id, prefix, name, capabilities, user_id",
        store.key_prefix(prefix),
    )
    if len(rows) != 1:
        raise StartError(f"there is no key {store.key_prefix(prefix)} that is not revoked")
    return rows[0]


async def change_space_origins(
    database_url: str, space: str | None, add: Sequence[str], remove: Sequence[str]
) -> tuple[str, ...]:
    """Add and remove origins of a space (by public id; None: production), and return the new list.

    Raises:
        StartError: An origin is malformed, or there would be too many.
    """
    connection = await connect_migrated(database_url)
    try:
        space_id = await _space_id(connection, space)
        gone = set(check_origins("--remove", remove))
        added = check_origins("--add", add)
        return await change_origins(
            connection, space_id, "podium origins", lambda before: [*(set(before) - gone), *added]
        )
    except Unprocessable as error:
        raise StartError(error.message) from None
    finally:
        await connection.close()


async def rebuild_spaces(settings: Settings, space: str | None, report: Callable[[str], None]) -> None:
    """Rebuild one space, or all, and report the result of each. A progress bar is shown if stderr is a terminal.

    Raises:
        StartError: A store is unavailable, or another process rebuilds a space; the spaces before that one are
            rebuilt.
    """
    from podium.services import open_services
    from podium.writebehind.eviction import idle_before
    from podium.writebehind.rebuild import rebuild

    await check_stores(settings, tolerate_outage=False)
    one: Space | None = None
    try:
        async with open_services(settings) as services:
            for one in await _chosen(services, space):
                # Log lines are written above the bar; otherwise they would break its line.
                with (
                    tqdm(unit="row", desc=f"rebuild {one.public_id}", unit_scale=True, disable=None) as bar,
                    logging_redirect_tqdm(),
                ):

                    def advance(done: int, total: int, bar: Any = bar) -> None:
                        bar.total = total
                        bar.update(done - bar.n)

                    done = await rebuild(
                        services.pool,
                        services.redis,
                        one,
                        services.clock,
                        cold_before_ms=idle_before(services.clock(), settings.evict_after),
                        progress=advance,
                        force=True,
                    )
                if done is not None:  # always, with ``force``
                    report(_rebuilt(one, done))
    except Unavailable as error:
        name = f"space {one.public_id}" if one is not None else "anything"
        raise StartError(f"cannot rebuild {name}: {error}") from error


def _rebuilt(space: Space, done: Rebuilt) -> str:
    saved = f"{done.flushed:,} events that Postgres did not have yet were saved first"
    # Redis was restored from an older copy than Postgres has seen, so its log can't be applied after Postgres's.
    lost = (
        f"; {done.lost:,} entries of the log did not continue what Postgres has, and are lost" if done.lost else ""
    )
    return f"Space {space.public_id} is rebuilt, with {done.users:,} users; {saved}{lost}."


async def list_rejected(settings: Settings, space: str | None, report: Callable[[str], None]) -> None:
    """Report the items that Postgres refused, one line of JSON each.

    Raises:
        StartError: A store is unavailable, or there is no such space.
    """
    from podium.services import open_services
    from podium.writebehind.rejected import read_rejected

    try:
        await check_stores(settings, tolerate_outage=False)
        async with open_services(settings) as services:
            for one in await _chosen(services, space):
                last = 0
                while entries := await read_rejected(services.pool, one.id, last):
                    for entry in entries:
                        fields = {"space": one.public_id, **entry._asdict()}
                        report(msgspec.json.encode(fields).decode())
                    last = entries[-1].id
    except Unavailable as error:
        raise StartError(f"cannot list: {error}") from error


async def resend_rejected(settings: Settings, space: str | None, report: Callable[[str], None]) -> int:
    """Write the rejected items to Postgres again and report the result. Return how many are still refused.

    Raises:
        StartError: A store is unavailable, or there is no such space.
    """
    from podium.services import open_services
    from podium.writebehind.rejected import resend

    written = refused = 0
    try:
        await check_stores(settings, tolerate_outage=False)
        async with open_services(settings) as services:
            for one in await _chosen(services, space):
                async for entry, problem in resend(services.pool, services.redis, one):
                    written += not problem
                    refused += bool(problem)
                    if problem:
                        report(f"item {entry.id} of {entry.user_id}: {problem}")
    except Unavailable as error:
        raise StartError(f"cannot go on: {error}; {written:,} items were written") from error
    report(f"{written:,} items were written, {refused:,} are still refused.")
    return refused


async def _chosen(services: Services, space: str | None) -> list[Space]:
    """Return the space with that public id, or all spaces."""
    await services.directory.refresh()
    found = [one for one in services.directory.spaces.values() if space in (None, one.public_id)]
    if not found:
        raise StartError(f"there is no space {space}" if space else "there is no space yet: run podium migrate")
    return found


async def _space_id(connection: Connection, space: str | None) -> int:
    for row in await store.load_spaces(connection):
        if row.public_id == space or (space is None and row.environment == "production"):
            return row.id
    raise StartError(f"there is no space {space}" if space else "there is no space yet: run podium migrate")
