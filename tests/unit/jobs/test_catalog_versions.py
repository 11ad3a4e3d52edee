from __future__ import annotations

from podium.jobs.catalog_versions import unneeded

VERSIONS = [(1, 100), (2, 200), (3, 300), (4, 400)]


def test_unneeded() -> None:
    assert unneeded(VERSIONS, []) == [1, 2, 3]
    assert unneeded([], [5]) == []
    assert unneeded(VERSIONS, [250]) == [1, 3]
    assert unneeded(VERSIONS, [200]) == [3]  # 2 may not have been in force yet
    assert unneeded(VERSIONS, [50, 1_000]) == [1, 2, 3]
