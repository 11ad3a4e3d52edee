"""The command line's words: wrong ones are one sentence, and nothing is begun."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from podium.cli.main import main

STORES = {"PODIUM_REDIS_URL": "redis://127.0.0.1:1", "PODIUM_DATABASE_URL": "postgres://127.0.0.1:1/podium"}


def podium(*words: str, **environment: str | None) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    nothing = dict.fromkeys(STORES)
    done = CliRunner(env={**nothing, **environment}).invoke(main, words)
    return done.exit_code, done.stdout, done.stderr


def test_without_a_command_the_commands_are_listed() -> None:
    code, out, err = podium("--help")
    assert (code, err) == (0, "")
    for command in ("dev", "web", "worker", "migrate", "check", "keys", "import", "catalog", "users", "rebuild"):
        assert f"\n  {command} " in out


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("nothing",), "No such command 'nothing'"),
        (("dev", "--port", "0"), "--port"),
        (("dev", "--port", "65536"), "--port"),
        (("dev", "--workers", "0"), "--workers"),
        (("dev", "--workers", "many"), "--workers"),
        (("web", "--port", "80"), "No such option"),
        (("keys", "create"), "--name"),
        (("users", "create", "--name", "A"), "--email"),
        (("users", "create", "--email", "a@b.example", "--name", "A", "--role", "king"), "--role"),
        (("users", "set-role", "a@b.example"), "--role"),
        (("import",), "Missing argument"),
    ],
)
def test_a_wrong_word_is_named_and_nothing_begins(words: tuple[str, ...], named: str) -> None:
    code, out, err = podium(*words)
    assert (code, out) == (2, "")
    assert named in err


@pytest.mark.parametrize("command", ["web", "worker", "migrate", "check"])
def test_without_stores_a_command_says_which_setting_is_missing(command: str) -> None:
    code, out, err = podium(command)
    assert (code, out) == (1, "")
    assert err.startswith("podium: PODIUM_REDIS_URL must be set")
    assert err.count("\n") == 1


def test_a_wrong_setting_is_named_with_what_it_may_be() -> None:
    code, _, err = podium("check", **STORES, PODIUM_LOG_FORMAT="xml")
    assert code == 1
    assert "PODIUM_LOG_FORMAT" in err
    assert "Traceback" not in err


def test_an_import_of_a_file_that_is_not_there_sends_nothing() -> None:
    code, _, err = podium("import", "/nowhere/events.csv", "--url", "http://127.0.0.1:1", "--key", "x.y")
    assert code != 0
    assert "/nowhere/events.csv" in err
