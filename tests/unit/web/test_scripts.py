"""Runs the tests of the scripts in web/ in Node's own test runner."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from podium.app import web_folder
from podium.http.widget import join

TESTS = sorted(Path(__file__).parent.glob("*.test.mjs"))


SOURCE = re.compile(r'from "(?:\.\./){3}web/(?:shared|widget)/\w+\.js"')


def _run(*arguments: str | Path) -> str:
    """Run node; its output."""
    node = shutil.which("node")
    if node is None and os.environ.get("CI") == "true":
        pytest.fail("node is missing: install the package nodejs")
    if node is None:
        pytest.skip("node is missing: install the package nodejs")
    run = subprocess.run([node, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.mark.parametrize("tests", TESTS, ids=lambda path: path.name)
def test_scripts(tests: Path) -> None:
    _run("--test", tests)


@pytest.mark.parametrize("tests", TESTS, ids=lambda path: path.name)
def test_the_served_file_does_as_the_sources(tests: Path, tmp_path: Path) -> None:
    """The same tests on the one file that pages load."""
    (tmp_path / "served.mjs").write_bytes(join(web_folder()))
    script, replaced = SOURCE.subn('from "./served.mjs"', tests.read_text())
    assert replaced
    copy = tmp_path / tests.name
    copy.write_text(script)
    _run("--test", copy)


def test_the_served_file_says_what_the_sources_say(tmp_path: Path) -> None:
    """Every text of texts.js, blanks between the words included."""
    (tmp_path / "served.mjs").write_bytes(join(web_folder()))
    say = """
const [, file] = process.argv.slice(1);
const { Formatter, TEXTS } = await import(file);
const formatter = new Formatter(TEXTS, "en-US");
const said = Object.entries(TEXTS).flatMap(([name, text]) => typeof text === "string"
  ? [[name, text]] : [[name, text("a", "b", "c")], [name, text()]]);
const move = (...ranks) => formatter.move(...ranks);
said.push(["move", move(2, 3, "Dmitri"), move(2, 3), move(3, 2), move(null, 1)]);
process.stdout.write(JSON.stringify(said));
"""
    sources = _run("--input-type=module", "-e", say, "-", str(web_folder() / "widget" / "texts.js"))
    served = _run("--input-type=module", "-e", say, "-", str(tmp_path / "served.mjs"))
    assert json.loads(served) == json.loads(sources)
    assert "Dmitri passed you. You are down from rank 2 to 3." in sources


def test_a_server_that_renders_pages_imports_the_file_without_harm(tmp_path: Path) -> None:
    (tmp_path / "served.mjs").write_bytes(join(web_folder()))
    show = "const found = await import(process.argv[2]); console.log(Object.keys(found).join());"
    assert "PodiumLeaderboard" in _run("--input-type=module", "-e", show, "-", str(tmp_path / "served.mjs"))


def test_the_served_file_keeps_the_licence_in_its_first_line() -> None:
    """Pages copy it to other servers; every other comment is left out."""
    first, *rest = join(web_folder()).decode().splitlines()
    assert first.startswith("/*!")
    assert "SPDX-License-Identifier: Apache-2.0" in first
    assert not [line for line in rest if line.lstrip().startswith(("//", "/*"))]
