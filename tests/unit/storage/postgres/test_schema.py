"""Which schema a database has, which one is needed, and what is said about it."""

from __future__ import annotations

import pytest

from podium.storage.postgres.schema import ahead, behind, foreign, migrations, needed, number_of


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [int(number_of(path)) for path in migrations()] == list(range(1, len(migrations()) + 1))
    assert needed() == number_of(migrations()[-1])


@pytest.mark.parametrize("path", migrations(), ids=lambda path: path.stem)
def test_a_migration_leaves_its_transaction_to_who_runs_it(path: object) -> None:
    lines = [line.strip().upper() for line in path.read_text().splitlines()]  # type: ignore[attr-defined]
    assert not {"BEGIN;", "COMMIT;", "ROLLBACK;"} & set(lines)
    assert not any("CONCURRENTLY" in line for line in lines if not line.startswith("--"))


def test_what_is_said_of_a_database() -> None:
    older, newer = f"{int(needed()) - 1:04}", f"{int(needed()) + 1:04}"
    assert "no tables of Podium yet" in behind(None)
    assert f"has schema {older}" in behind(older)
    assert (behind(needed()), behind(newer)) == ("", "")
    assert (ahead(None), ahead(older), ahead(needed())) == ("", "", "")
    assert f"newer than this release's {needed()}" in ahead(newer)


def test_another_applications_version_is_no_schema_of_ours() -> None:
    assert "another application" in foreign("ae1027a6acf")
    assert "another application" in behind("ae1027a6acf")
    assert foreign("0001") == foreign(None) == ""
