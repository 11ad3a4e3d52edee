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

from podium.console.stores import connection_within_limit
from podium.storage.postgres.pool import Connection, Pool, PoolConnection

Role = Literal["viewer", "support", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "support", "admin")
"""The roles, each of which includes the rights of those before it."""
PASSWORD_BYTES = 18

_hasher = PasswordHasher()


class Account(NamedTuple):
    """An account that is not disabled. ``mark`` changes with its password, which ends older sessions."""

    id: str
    space_id: int
    email: str
    name: str
    role: Role
    mark: str


async def create(connection: Connection | PoolConnection, space_id: int, email: str, name: str, role: str) -> str:
    """Create an account and return its password.

    Raises:
        UniqueViolationError: there is an account with this e-mail.
    """
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
    """An account that was changed. ``detail`` is its new password or its former role.

    ``email`` has the spelling with which the account was created.
    """

    space_id: int
    email: str
    detail: str = ""


async def disable(connection: Connection | PoolConnection, email: str) -> Changed | None:
    """Disable an account; return None where there is none."""
    row = await connection.fetchrow(
        "UPDATE console_accounts SET disabled_at = now() WHERE lower(email) = lower($1) AND disabled_at IS NULL"
        " RETURNING space_id, email",
        email,
    )
    return Changed(*row) if row is not None else None


async def enable(connection: Connection | PoolConnection, email: str) -> Changed | None:
    """Enable the account that was last disabled with this e-mail; return None where there is none.

    It gets a new password: with the old one, its former sessions would work again.

    Raises:
        UniqueViolationError: an account with this e-mail is enabled already.
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
    """Give an account another role; return None where there is no account."""
    row = await connection.fetchrow(
        "UPDATE console_accounts a SET role = $2 FROM console_accounts b WHERE a.id = b.id"
        " AND lower(a.email) = lower($1) AND a.disabled_at IS NULL RETURNING a.space_id, a.email, b.role",
        email,
        role,
    )
    return Changed(*row) if row is not None else None


async def reset_password(connection: Connection | PoolConnection, email: str) -> Changed | None:
    """Give an account a new password, which ends its sessions; return None where there is no account."""
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
    """Return the account with this id, None if there is none or it is disabled."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM console_accounts WHERE id = $1 AND disabled_at IS NULL",  # noqa: S608 - our own
        id_,
    )
    return _account(*row) if row is not None else None


async def check(pool: Pool, email: str, password: str) -> Account | None:
    """Return the account with this e-mail and password, or None.

    Both take equally long, so that the time does not tell which e-mails have accounts.
    """
    async with connection_within_limit(pool) as connection:
        row = await connection.fetchrow(
            f"SELECT {_COLUMNS} FROM console_accounts"  # noqa: S608 - our own
            " WHERE lower(email) = lower($1) AND disabled_at IS NULL",
            email,
        )
    # Hashing takes long on purpose: in a thread, and after the connection was given back.
    good = await asyncio.to_thread(_verify, None if row is None else row["hash"], password)
    return _account(*row) if row is not None and good else None


def _account(id_: str, space_id: int, email: str, name: str, role: Role, hash_: str) -> Account:
    return Account(id_, space_id, email, name, role, sha256(hash_.encode()).hexdigest()[:16])


def _new_password() -> tuple[str, str]:
    """Return a new password and its hash."""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    return password, _hasher.hash(password)


@cache
def _dummy_hash() -> str:
    """Return the hash to verify where there is no account. It is computed at the first sign-in, not at start."""
    return _hasher.hash("nobody")


def _verify(hash_: str | None, password: str) -> bool:
    dummy = _dummy_hash()
    try:
        return _hasher.verify(dummy if hash_ is None else hash_, password) and hash_ is not None
    except (VerificationError, InvalidHashError):
        return False
