"""Console accounts: people with an e-mail, a password and a role."""

from __future__ import annotations

import asyncio
import secrets
from functools import cache
from hashlib import sha256
from typing import Literal, NamedTuple
from uuid import uuid4

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from podium.console.stores import soon
from podium.storage.postgres.pool import Connection, Pool, PoolConnection

Role = Literal["viewer", "support", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "support", "admin")
"""Each may do what those before it may."""
PASSWORD_BYTES = 18

_hasher = PasswordHasher()


class Account(NamedTuple):
    """An account that is not disabled. ``mark`` changes with its password: sessions of before end."""

    id: str
    space_id: int
    email: str
    name: str
    role: Role
    mark: str


async def create(connection: Connection | PoolConnection, space_id: int, email: str, name: str, role: str) -> str:
    """A new account; its password. ``UniqueViolationError`` where the e-mail has one."""
    password, hash_ = _new_password()
    await connection.execute(
        "INSERT INTO console_accounts (id, space_id, email, name, role, hash) VALUES ($1, $2, $3, $4, $5, $6)",
        uuid4(),
        space_id,
        email,
        name,
        role,
        hash_,
    )
    return password


class Changed(NamedTuple):
    """An account that was changed: its space, its e-mail as it was made, and its new password or former role."""

    space_id: int
    email: str
    told: str = ""


async def disable(connection: Connection | PoolConnection, email: str) -> Changed | None:
    """Disable an account; None where there is none."""
    row = await connection.fetchrow(
        "UPDATE console_accounts SET disabled_at = now() WHERE lower(email) = lower($1) AND disabled_at IS NULL"
        " RETURNING space_id, email",
        email,
    )
    return Changed(*row) if row is not None else None


async def enable(connection: Connection | PoolConnection, email: str) -> Changed | None:
    """Have the account that was disabled last with an e-mail work again, with a new password; None where none is.

    ``UniqueViolationError`` where one works. With the old password, sessions of before would come back, too.
    """
    password, hash_ = _new_password()
    row = await connection.fetchrow(
        "UPDATE console_accounts SET disabled_at = NULL, hash = $2 WHERE id = (SELECT id FROM console_accounts"
        " WHERE lower(email) = lower($1) AND disabled_at IS NOT NULL ORDER BY disabled_at DESC LIMIT 1)"
        " RETURNING space_id, email",
        email,
        hash_,
    )
    return Changed(row[0], row[1], password) if row is not None else None


async def set_role(connection: Connection | PoolConnection, email: str, role: str) -> Changed | None:
    """Give an account another role; None where there is no account."""
    row = await connection.fetchrow(
        "UPDATE console_accounts a SET role = $2 FROM console_accounts b WHERE a.id = b.id"
        " AND lower(a.email) = lower($1) AND a.disabled_at IS NULL RETURNING a.space_id, a.email, b.role",
        email,
        role,
    )
    return Changed(*row) if row is not None else None


async def reset_password(connection: Connection | PoolConnection, email: str) -> Changed | None:
    """Give an account a new password, which ends its sessions; None where there is no account."""
    password, hash_ = _new_password()
    row = await connection.fetchrow(
        "UPDATE console_accounts SET hash = $2 WHERE lower(email) = lower($1) AND disabled_at IS NULL"
        " RETURNING space_id, email",
        email,
        hash_,
    )
    return Changed(row[0], row[1], password) if row is not None else None


_COLUMNS = "id::text, space_id, email, name, role, hash"


async def get(connection: PoolConnection, id_: str) -> Account | None:
    """The account of an id; None without one, or one that is disabled."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM console_accounts WHERE id = $1 AND disabled_at IS NULL",  # noqa: S608 - our own
        id_,
    )
    return _account(*row) if row is not None else None


async def check(pool: Pool, email: str, password: str) -> Account | None:
    """The account with this e-mail and password; None without one. It takes as long either way."""
    async with soon(pool) as connection:
        row = await connection.fetchrow(
            f"SELECT {_COLUMNS} FROM console_accounts"  # noqa: S608 - our own
            " WHERE lower(email) = lower($1) AND disabled_at IS NULL",
            email,
        )
    # Without the connection: this is made to take long.
    good = await asyncio.to_thread(_verify, None if row is None else row["hash"], password)
    return _account(*row) if row is not None and good else None


def _account(id_: str, space_id: int, email: str, name: str, role: Role, hash_: str) -> Account:
    return Account(id_, space_id, email, name, role, sha256(hash_.encode()).hexdigest()[:16])


def _new_password() -> tuple[str, str]:
    """A password and its hash."""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    return password, _hasher.hash(password)


@cache
def _nobody() -> str:
    """Checked where there is no such account. Made at the first sign-in: it takes as long as one."""
    return _hasher.hash("nobody")


def _verify(hash_: str | None, password: str) -> bool:
    nobody = _nobody()
    try:
        return _hasher.verify(nobody if hash_ is None else hash_, password) and hash_ is not None
    except (VerificationError, InvalidHashError):
        return False
