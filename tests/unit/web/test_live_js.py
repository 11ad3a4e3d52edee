"""Runs the tests of web/shared/live.js in Node's own test runner."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TESTS = Path(__file__).with_name("live.test.mjs")


def test_live_js() -> None:
    node = shutil.which("node")
    if node is None and os.environ.get("CI") == "true":
        pytest.fail("node is missing: install the package nodejs")
    if node is None:
        pytest.skip("node is missing: install the package nodejs")
    run = subprocess.run([node, "--test", TESTS], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
