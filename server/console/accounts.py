"""Console accounts: people with an e-mail, a password and a role."""

from __future__ import annotations

import asyncio
import secrets
from typing import Literal, NamedTuple
from uuid import uuid4

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from server.backends.postgres.pool import Connection, PoolConnection

Role = Literal["viewer", "support", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "support", "admin")
"""Each may do what those before it may."""
PASSWORD_BYTES = 18

_hasher = PasswordHasher()
_NOBODY = _hasher.hash("nobody")
"""Checked where there is no such account, so that an answer takes as long."""


class Account(NamedTuple):
    """An account that is not disabled."""

    id: str
    space_id: int
    email: str
    name: str
    role: Role


async def create(connection: Connection | PoolConnection, space_id: int, email: str, name: str, role: str) -> str:
    """A new account; its password. ``UniqueViolationError`` where the e-mail has one."""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    await connection.execute(
        "INSERT INTO console_accounts (id, space_id, email, name, role, hash) VALUES ($1, $2, $3, $4, $5, $6)",
        uuid4(),
        space_id,
        email,
        name,
        role,
        _hasher.hash(password),
    )
    return password


async def disable(connection: Connection | PoolConnection, email: str) -> int | None:
    """Disable an account; the space that it was for, None where there is none."""
    found: int | None = await connection.fetchval(
        "UPDATE console_accounts SET disabled_at = now() WHERE lower(email) = lower($1) AND disabled_at IS NULL"
        " RETURNING space_id",
        email,
    )
    return found


async def get(connection: PoolConnection, id_: str) -> Account | None:
    """The account of an id; None without one, or one that is disabled."""
    row = await connection.fetchrow(
        "SELECT id::text, space_id, email, name, role FROM console_accounts WHERE id = $1 AND disabled_at IS NULL",
        id_,
    )
    return Account(*row) if row is not None else None


async def check(connection: PoolConnection, email: str, password: str) -> Account | None:
    """The account with this e-mail and password; None without one. It takes as long either way."""
    row = await connection.fetchrow(
        "SELECT id::text, space_id, email, name, role, hash FROM console_accounts"
        " WHERE lower(email) = lower($1) AND disabled_at IS NULL",
        email,
    )
    good = await asyncio.to_thread(_verify, _NOBODY if row is None else row["hash"], password)
    return Account(*tuple(row)[:5]) if good and row is not None else None


def _verify(hash_: str, password: str) -> bool:
    try:
        return _hasher.verify(hash_, password)
    except (VerificationError, InvalidHashError):
        return False
