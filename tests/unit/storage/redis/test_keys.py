"""Names of keys, which other releases and operators read."""

from __future__ import annotations

from podium.storage.redis.keys import GENERATION_MS, Keys, generation


def every_key(keys: Keys) -> list[str]:
    fixed = [keys.meta, keys.log, keys.cold, keys.names, keys.numbers, keys.due, keys.set_aside, keys.events]
    of_users = [keys.user("ann"), keys.undo("ann"), keys.idempotency(3, "ann")]
    of_boards = [keys.board("2:"), keys.distinct("2:"), keys.channel("2:"), *keys.beside_groups("2:")]
    return [*fixed, *of_users, *of_boards, keys.process("p"), keys.session("x")]


def test_all_keys_of_a_space_share_its_hash_tag() -> None:
    assert all(key.startswith("{abc}:") for key in every_key(Keys("abc")))


def test_no_two_things_share_a_key() -> None:
    found = every_key(Keys("abc"))
    assert len(set(found)) == len(found)


def test_keys_are_those_that_stores_hold() -> None:
    keys = Keys("abc")
    assert [keys.meta, keys.user("ann"), keys.board("2:20261123"), keys.idempotency(3, "ann")] == [
        "{abc}:meta",
        "{abc}:u:ann",
        "{abc}:b:2:20261123",
        "{abc}:i:3:ann",
    ]


def test_a_generation_is_a_week() -> None:
    assert [generation(ms) for ms in (0, GENERATION_MS - 1, GENERATION_MS)] == [0, 0, 1]
    assert GENERATION_MS == 7 * 24 * 3_600_000
