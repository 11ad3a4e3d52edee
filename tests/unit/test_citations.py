"""Every page that the code and the docs cite is in the repository, and has the heading that is cited."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("server", "tests", "loadtest", "web", "docs", "deploy", "examples")
SUFFIXES = {
    ".py",
    ".pyi",
    ".sql",
    ".lua",
    ".js",
    ".mjs",
    ".ts",
    ".tsx",
    ".css",
    ".html",
    ".md",
    ".toml",
    ".yaml",
    ".yml",
}
INSTALLED = {"node_modules", "__pycache__", "dist"}

CITATION = re.compile(r"(?<![\w/.-])docs/([\w./-]+\.md)(?:#([\w-]+))?")
MODULE = re.compile(r"(?<![\w/.-])((?:[a-z]\w*/)+\w+\.(?:py|lua))\b")
# Written so that this file doesn't name them itself.
OUTSIDE = re.compile(
    r"(?<![\w-])(?:contract|design|realtime|style)[.]md\b|\bspecs/\w+[.]md\b"
    r"|\b[Dd]esign [d]ecisions?\b|\([s]ections? \d"
)


def _texts() -> list[Path]:
    below = [path for folder in FOLDERS for path in (ROOT / folder).glob("**/*") if path.suffix in SUFFIXES]
    files = [*ROOT.glob("*.md"), *ROOT.glob("*.toml"), ROOT / ".ci" / "run", *below]
    return sorted(path for path in files if path.is_file() and not INSTALLED & set(path.relative_to(ROOT).parts))


TEXTS = _texts()


def test_every_cited_page_and_heading_is_there() -> None:
    wrong = []
    cited = set()
    for path in TEXTS:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for page, anchor in CITATION.findall(line):
                cited.add(page)
                if not (ROOT / "docs" / page).is_file() or (
                    anchor and anchor not in anchors(ROOT / "docs" / page)
                ):
                    wrong.append(f"{path.relative_to(ROOT)}:{number}: docs/{page}{anchor and '#'}{anchor}")
    assert not wrong
    assert {"http-api.md", "live-protocol.md"} <= cited


def test_every_cited_module_is_there() -> None:
    package = ROOT / "server" / "podium"
    bases = (ROOT, ROOT / "server", package, package / "storage" / "redis")
    assert not [
        f"{path.relative_to(ROOT)}:{number}: {module}"
        for path in TEXTS
        if path.is_relative_to(package) and path.suffix in {".py", ".lua"}
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for module in MODULE.findall(line)
        if not any((base / module).is_file() for base in (*bases, path.parent))
    ]


def test_no_page_is_cited_that_is_not_in_the_repository() -> None:
    assert not [
        f"{path.relative_to(ROOT)}:{number}: {found[0]}"
        for path in TEXTS
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (found := OUTSIDE.search(line))
    ]


def test_every_decision_has_its_headings_and_a_row_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    pages = sorted(folder.glob("[0-9]*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text()
        title = re.match(r"# (\d+)\. (.+)\n", text)
        assert title is not None, page.name
        assert int(title[1]) == int(page.name[:4])
        assert f"| {title[1]} | [{title[2]}]({page.name}) |" in index
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert headings[:3] == ["Context", "Decision", "Consequences"], page.name
        assert headings[3:] in ([], ["Rejected"], ["Measured"], ["Rejected", "Measured"]), page.name


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors that GitHub gives to a page's headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return frozenset(re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings)


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [("400 or 422", "400-or-422"), ('Groups: "A vs B"', "groups-a-vs-b"), ("`a` and b", "a-and-b")],
)
def test_anchors(tmp_path: Path, heading: str, anchor: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n\n```\n# no heading\n```\n\n## {heading}\n")
    assert anchors(page) == {"title", anchor}
