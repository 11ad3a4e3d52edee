"""Commands that talk to Postgres, as a shell calls them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
import structlog
from click.testing import CliRunner

from podium.cli.main import main


@pytest.fixture
def environment(database_url: str, redis_url: str) -> dict[str, str]:
    return {"PODIUM_DATABASE_URL": database_url, "PODIUM_REDIS_URL": redis_url, "PODIUM_LOG_LEVEL": "error"}


async def podium(environment: dict[str, str], *words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr. In a thread: a command runs a loop of its own."""
    with own_logs():
        done = await asyncio.to_thread(CliRunner(env=environment).invoke, main, words)
    return done.exit_code, done.stdout, done.stderr


@contextmanager
def own_logs() -> Iterator[None]:
    """Undo in the end how a command set up the logs: other tests of this process capture theirs."""
    configure, root = structlog.configure, logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def without_cache(**options: Any) -> None:
        configure(**{**options, "cache_logger_on_first_use": False})

    with patch.object(structlog, "configure", without_cache):
        try:
            yield
        finally:
            structlog.reset_defaults()
            root.handlers[:] = handlers
            root.setLevel(level)


@pytest.mark.usefixtures("space_id")
async def test_origins(environment: dict[str, str]) -> None:
    add = ["--add", "https://b.example", "--add", "http://localhost:3000"]
    assert await podium(environment, "origins", *add) == (0, "http://localhost:3000\nhttps://b.example\n", "")
    change = ["--add", "https://a.example", "--remove", "https://b.example"]
    listed = "http://localhost:3000\nhttps://a.example\n"
    assert await podium(environment, "origins", *change) == (0, listed, "")
    code, out, err = await podium(environment, "origins", "--add", "a.example/path")
    assert (code, out) == (1, "")
    assert "--add[0] must be like" in err
    assert await podium(environment, "origins") == (0, listed, "")
    code, _, err = await podium(environment, "origins", "--space", "nowhere")
    assert code == 1
    assert "there is no space nowhere" in err


async def test_a_command_before_the_first_migration_says_what_to_do(environment: dict[str, str]) -> None:
    code, out, err = await podium(environment, "origins")
    assert (code, out) == (1, "")
    assert "podium migrate" in err


@pytest.mark.usefixtures("space_id")
async def test_keys(environment: dict[str, str]) -> None:
    code, key, _ = await podium(environment, "keys", "create", "--name", "backend", "--can", "read")
    prefix = key.partition(".")[0]
    assert code == 0
    code, rotated, _ = await podium(environment, "keys", "rotate", prefix)
    assert code == 0
    assert rotated != key
    assert (await podium(environment, "keys", "revoke", rotated.strip()))[0] == 0  # the whole key will do
    code, listed, _ = await podium(environment, "keys", "list")
    assert code == 0
    assert [line.split()[0] for line in listed.splitlines()] == [prefix, rotated.partition(".")[0]]
    assert all("read" in line and "revoked  backend" in line for line in listed.splitlines())
    assert key.strip().partition(".")[2] not in listed
    code, _, err = await podium(environment, "keys", "revoke", prefix)
    assert (code, f"there is no key {prefix}" in err) == (1, True)


@pytest.mark.usefixtures("space_id")
async def test_environments_and_accounts(environment: dict[str, str]) -> None:
    code, key, _ = await podium(environment, "environments", "create", "staging")
    assert (code, key.count(".")) == (0, 1)
    code, listed, _ = await podium(environment, "environments", "list")
    assert [line.split()[:2] for line in listed.splitlines()] == [
        ["production", "default"],
        ["staging", "default"],
    ]
    for name, word in (("staging", "already"), ("Bad Name", "small letters")):
        code, _, err = await podium(environment, "environments", "create", name)
        assert (code, word in err) == (1, True), name
    code, password, _ = await podium(
        environment, "users", "create", "--email", "ana@example.com", "--role", "viewer"
    )
    assert (code, len(password.strip()) >= 20) == (0, True)
    for email, word in (
        ("ANA@example.com", "already"),
        ("ana", "like ana@example.com"),
        (f"a@{'b' * 3_000}", "at most 320"),
    ):
        code, _, err = await podium(environment, "users", "create", "--email", email)
        assert (code, word in err) == (1, True), email
    assert (await podium(environment, "users", "disable", "Ana@example.com"))[0] == 0
    code, listed, _ = await podium(environment, "users", "list")
    assert (code, "viewer" in listed, "disabled" in listed, password.strip() in listed) == (0, True, True, False)
    code, _, err = await podium(environment, "users", "disable", "ana@example.com")
    assert (code, "there is no account" in err) == (1, True)
