"""A data folder: one holder at a time, files whole or not at all, ports that stay."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from podium.game.errors import EmbeddedError
from podium.storage.embedded.folder import HOST, DataFolder, port_problem


def test_a_folder_has_one_holder_at_a_time(tmp_path: Path) -> None:
    with DataFolder(tmp_path / "new" / "data") as held:
        with pytest.raises(EmbeddedError, match=r"in use by another podium \(process \d+\)"):
            DataFolder(held.path).open()
        held.close()
        DataFolder(held.path).open().close()


def test_a_folder_reached_by_a_link_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    with DataFolder(tmp_path / "data"), pytest.raises(EmbeddedError, match="in use"):
        DataFolder(tmp_path / "link").open()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedError, match="is not a folder"):
        DataFolder(tmp_path / "file").open()


def test_a_file_is_read_as_written_and_is_its_owners_alone(tmp_path: Path) -> None:
    with DataFolder(tmp_path) as folder:
        assert folder.read("x.json", dict[str, int]) is None
        folder.write("x.json", {"a": 1})
        assert folder.read("x.json", dict[str, int]) == {"a": 1}
        assert stat.S_IMODE((tmp_path / "x.json").stat().st_mode) == 0o600
        assert not list(tmp_path.glob("*.new"))


def test_a_damaged_file_names_itself_and_the_way_out(tmp_path: Path) -> None:
    with DataFolder(tmp_path) as folder:
        (tmp_path / "ports.json").write_text("{")
        with pytest.raises(EmbeddedError, match=r"ports\.json is damaged .* restore it from a backup"):
            folder.port("web", None)


def test_a_server_comes_back_on_its_port_where_that_is_free(tmp_path: Path) -> None:
    with DataFolder(tmp_path) as folder, socket.socket() as taken:
        taken.bind((HOST, 0))
        former = folder.port("web", None)
        folder.remember_port("web", former)
        assert folder.port("web", None) == former
        folder.remember_port("web", taken.getsockname()[1])
        assert folder.port("web", None) != taken.getsockname()[1]


def test_a_port_that_was_asked_for_is_had_or_refused(tmp_path: Path) -> None:
    with DataFolder(tmp_path) as folder, socket.socket() as taken:
        taken.bind((HOST, 0))
        port = taken.getsockname()[1]
        with pytest.raises(EmbeddedError, match=f"Port {port} for web is taken by another program"):
            folder.port("web", port)


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_a_port_that_does_not_exist(port: int) -> None:
    assert port_problem(port) == "does not exist"
