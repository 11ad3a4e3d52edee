"""The pages say what is there: settings, dependencies, links."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily

from podium.cli import settings_page
from podium.settings import PREFIX, Settings
from podium.telemetry import metrics
from podium.telemetry.store_metrics import FAMILIES
from tests import architecture, endpoints

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")]
LINK = re.compile(r"(?:\]\(|(?:src|srcset|href)=\")([^)\s\"]+)")


def test_picture_of_the_rooms_is_drawn_from_the_imports() -> None:
    assert architecture.PAGE.read_text() == architecture.page(), "uv run python -m tests.architecture"


def test_api_page_lists_every_endpoint() -> None:
    assert endpoints.PAGE.read_text() == endpoints.page(), "uv run python -m tests.endpoints"


def test_settings_page_is_made_from_the_settings() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    assert page == settings_page.page(), "uv run python -m podium.cli.settings_page > docs/settings.md"


def test_settings_page_has_every_setting() -> None:
    rows = {row.split(" | ")[0]: row for row in settings_page.page().splitlines() if row.startswith("| `")}
    for field in msgspec.structs.fields(Settings):
        row = rows.pop(f"| `{PREFIX}{field.encode_name.upper()}`")
        assert ("| required |" in row) == field.required
        assert row.split(" | ")[3].strip(" |"), f"{field.encode_name} has no description"
    assert not rows


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["embedded"],
        *project["dependency-groups"]["dev"],
        *project["build-system"]["requires"],
    ]
    names = {re.findall(r"[A-Za-z0-9_.-]+", requirement)[0] for requirement in wanted} - {"podium"}
    page = (ROOT / "docs" / "dependencies.md").read_text()
    assert names == set(re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE))


def test_no_dependency_may_be_older_than_the_page_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    oldest = dict(
        re.findall(r"^([a-z0-9-]+)\S*?>=([0-9.]+)", requirement)[0]
        for requirement in project["project"]["dependencies"]
    )
    page = (ROOT / "docs" / "dependencies.md").read_text()
    section = page.partition("\n## Oldest versions\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([a-z0-9-]+) ([0-9.]+) \| ", section, re.MULTILINE)
    assert len(rows) >= 5
    for name, version in rows:
        assert [*map(int, oldest[name].split("."))] >= [*map(int, version.split("."))], name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    links = [link for link in LINK.findall(text) if not re.match(r"https?:|mailto:", link)]
    for link in links:
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in _anchors(target), f"{link}: there is no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_has_both_sides_of_a_conflict(page: Path) -> None:
    assert not re.search(r"^(<{7}|={7}|>{7})( |$)", page.read_text(), re.MULTILINE)


def test_every_test_that_a_page_names_is_there() -> None:
    named = {name for page in PAGES for name in re.findall(r"`(test_\w+\.py::test_\w+)`", page.read_text())}
    assert named
    there = {
        f"{path.name}::{name}"
        for path in (ROOT / "tests").glob("**/test_*.py")
        for name in re.findall(r"def (test_\w+)\(", path.read_text())
    }
    assert named <= there


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_metric_is_on_the_page_with_its_kind_and_labels() -> None:
    of_processes = {
        f"{family.name}_total" if family.type == "counter" else family.name: (
            family.type,
            tuple(getattr(one, "_labelnames", ())),
        )
        for one in vars(metrics).values()
        if isinstance(one, Counter | Gauge | Histogram)
        for family in one.describe()
    }
    of_stores = {
        f"{name}_total" if kind is CounterMetricFamily else name: (
            "counter" if kind is CounterMetricFamily else "gauge",
            labels,
        )
        for name, (kind, _, labels) in FAMILIES.items()
    }
    page = (ROOT / "docs" / "operations.md").read_text()
    rows = re.findall(r"^\| `(podium_\w+)` \| (\w+) \|([^|]*)\| [^|]+ \|$", page, re.MULTILINE)
    listed = {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert listed == of_processes | of_stores
    for name, (kind, _) in listed.items():
        assert name.endswith("_total") == (kind == "counter"), f"{name}: counters alone end with _total"
