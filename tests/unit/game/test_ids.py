"""Ids and the characters that names may hold."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.game import ids
from podium.game.errors import Unprocessable


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**74 - 1))
def test_uuid7_is_one_and_sorts_by_time(at_ms: int, bits: int) -> None:
    made = uuid.UUID(ids.uuid7(at_ms, bits))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == at_ms
    assert str(made) == ids.uuid7(at_ms, bits)


@pytest.mark.parametrize("bad", ["", "x" * 256, "a\nb", "a\x00", "\ud800", "a\x7f"])
def test_check_id_refuses(bad: str) -> None:
    with pytest.raises(Unprocessable, match=r"^user\.id must"):
        ids.check_id("user.id", bad)


@pytest.mark.parametrize("good", ["1", "x" * 255, "ана", "a b/c{d}", "😀"])
def test_check_id_accepts(good: str) -> None:
    assert ids.check_id("user.id", good) == good


@pytest.mark.parametrize("bad", ["", "a b", "ä", "x" * 101, "a\n"])
def test_check_key_refuses(bad: str) -> None:
    with pytest.raises(Unprocessable):
        ids.check_key("key", bad)
