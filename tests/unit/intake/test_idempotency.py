"""Hashes that are stored: another release must find what this one wrote."""

from __future__ import annotations

from podium.intake.idempotency import event_hash, key_hash


def test_hashes_are_those_that_stores_hold() -> None:
    assert key_hash(1, "k") == "8494247828809064594"
    assert event_hash("ann", 1, "k") == "8a6cd87179d79e76"


def test_a_key_is_one_metrics_and_an_event_one_users() -> None:
    assert len({key_hash(1, "k"), key_hash(2, "k"), key_hash(1, "l")}) == 3
    assert len({event_hash("ann", 1, "k"), event_hash("ben", 1, "k"), event_hash("ann", 2, "k")}) == 3


def test_a_key_fits_into_a_set_of_integers() -> None:
    assert all(-(2**63) <= int(key_hash(1, str(n))) < 2**63 for n in range(1_000))
