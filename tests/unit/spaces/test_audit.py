"""Rows of the audit log as they are written."""

from __future__ import annotations

from typing import Any

from podium.spaces.audit import Entry, erased_name, forget, write


class Statements:
    """A connection that remembers what it was asked for."""

    def __init__(self, status: str = "") -> None:
        self.rows: list[Any] = []
        self.args: tuple[Any, ...] = ()
        self._status = status

    async def executemany(self, _: str, rows: list[Any]) -> None:
        self.rows = rows

    async def execute(self, _: str, *args: Any) -> str:
        self.args = args
        return self._status


async def written(*entries: Entry, reason: str = "") -> list[Any]:
    connection: Any = Statements()
    await write(connection, 7, "ci (k)", entries, reason)
    rows: list[Any] = connection.rows
    return rows


async def test_an_entry_says_who_did_what_to_which_item() -> None:
    assert await written(Entry("create", "metric", "m", None, {"key": "words"})) == [
        (7, "ci (k)", "create", "metric", "m", None, {"key": "words"})
    ]


async def test_a_reason_stands_beside_what_is_after_and_changes_no_entry() -> None:
    gone, given = Entry("delete", "metric", "m", {"key": "words"}), Entry("give", "points", "ann", None, {"n": 5})
    rows = await written(gone, given, reason="asked for")
    assert [row[-1] for row in rows] == [{"reason": "asked for"}, {"n": 5, "reason": "asked for"}]
    assert (gone.after, given.after) == (None, {"n": 5})


async def test_an_erased_user_is_known_only_to_who_knows_the_id() -> None:
    assert erased_name("ann") == erased_name("ann") != erased_name("ben")
    assert "ann" not in erased_name("ann")
    for status, any_ in (("UPDATE 0", False), ("UPDATE 10", True)):
        connection: Any = Statements(status)
        assert await forget(connection, 7, "ann") is any_
        assert connection.args == (7, "ann", erased_name("ann"))
