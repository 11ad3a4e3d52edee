"""constraints.txt fits pyproject.toml: every direct dependency is pinned, to a version that its range allows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WANTED = [
    Requirement(text)
    for text in (
        *PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"]["embedded"],
        *PROJECT["dependency-groups"]["dev"],
    )
    if not text.startswith("podium[")
]
LINES = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
PIN = re.compile(r"([a-z0-9-]+)==([0-9a-z.]+)( ; [a-z_]+ [!<>=]=? '[^']+')?")
"""Name, version, marker: no address, no hash, no option."""


@pytest.mark.parametrize("wanted", WANTED, ids=lambda wanted: wanted.name)
def test_every_direct_dependency_has_a_version_within_its_range(wanted: Requirement) -> None:
    pinned = {found[1]: Version(found[2]) for line in LINES if (found := PIN.fullmatch(line))}
    version = pinned.get(canonicalize_name(wanted.name))
    assert version is not None, f"{wanted.name} is not pinned: run .ci/constraints"
    assert version in wanted.specifier, f"{version} is outside of {wanted}: run .ci/constraints"


def test_lines_are_names_with_versions() -> None:
    assert [line for line in LINES if not PIN.fullmatch(line)] == []
