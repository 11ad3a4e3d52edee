"""Errors of Redis become sentences, and reasons that machines read."""

from __future__ import annotations

import hashlib

import pytest
from redis import exceptions

from podium.game.errors import Unavailable, WritesRefused
from podium.storage.redis.client import (
    AWAY,
    LIBRARY,
    SOURCE,
    BusyScriptError,
    DiskError,
    FunctionsRefusedError,
    NoReplicasError,
    _is_missing,
    unavailable,
)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (exceptions.OutOfMemoryError("OOM"), "memory"),
        (FunctionsRefusedError("OOM"), "functions"),
        (DiskError("MISCONF"), "disk"),
        (exceptions.ReadOnlyError("READONLY"), "read_only"),
        (exceptions.MasterDownError("MASTERDOWN"), "read_only"),
        (NoReplicasError("NOREPLICAS"), "replicas"),
        (exceptions.NoPermissionError("NOPERM"), "rights"),
    ],
)
def test_a_redis_that_takes_no_writes_says_why(error: Exception, reason: str) -> None:
    assert isinstance(error, AWAY)
    found = unavailable(error)
    assert isinstance(found, WritesRefused)
    assert found.reason == reason


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (exceptions.ConnectionError("refused to 10.0.0.1:6379"), "Redis is away"),
        (exceptions.TimeoutError("x"), "Redis is away"),
        (OSError("x"), "Redis is away"),
        (exceptions.AuthenticationError("WRONGPASS"), "Redis refuses the login of Podium"),
        (exceptions.BusyLoadingError("LOADING"), "Redis is loading its file"),
        (exceptions.MovedError("0 127.0.0.1:1"), "Redis is one node of a cluster, and Podium needs one Redis"),
        (exceptions.ConnectionError("ERR max number of clients reached"), "Redis takes no more connections"),
        (BusyScriptError("BUSY"), "Redis is busy with somebody's script"),
    ],
)
def test_a_redis_that_is_no_place_to_work_is_a_503_without_addresses(error: Exception, sentence: str) -> None:
    assert isinstance(error, AWAY)
    found = unavailable(error)
    assert (type(found), found.status) == (Unavailable, 503)
    assert str(found).startswith(sentence)
    assert "10.0.0.1" not in str(found)


def test_a_mistake_in_a_command_is_not_taken_for_an_absent_redis() -> None:
    assert not isinstance(exceptions.ResponseError("WRONGTYPE"), AWAY)


def test_a_library_is_named_by_its_text() -> None:
    template = SOURCE.replace(LIBRARY, "@LIBRARY@")
    assert f"podium_{hashlib.sha256(template.encode()).hexdigest()[:12]}" == LIBRARY
    assert f"name={LIBRARY}" in SOURCE.splitlines()[0]


def test_only_a_missing_function_has_the_library_loaded() -> None:
    assert _is_missing(exceptions.ResponseError("Function not found"))
    assert not _is_missing(exceptions.ResponseError("WRONGTYPE"))
    assert not _is_missing(b"Function not found")
