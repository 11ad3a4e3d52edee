"""Runs the tests of the scripts in web/ in Node's own test runner."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TESTS = sorted(Path(__file__).parent.glob("*.test.mjs"))


@pytest.mark.parametrize("tests", TESTS, ids=lambda path: path.name)
def test_scripts(tests: Path) -> None:
    node = shutil.which("node")
    if node is None and os.environ.get("CI") == "true":
        pytest.fail("node is missing: install the package nodejs")
    if node is None:
        pytest.skip("node is missing: install the package nodejs")
    run = subprocess.run([node, "--test", tests], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
