"""The picture of the packages in docs/architecture.md, drawn from the code's own imports.

``uv run python -m tests.architecture`` writes it anew; tests/unit/test_docs.py fails where it is out of date.
"""

from __future__ import annotations

import re
from pathlib import Path

import grimp

PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
BEGIN, END = "<!-- packages: made by tests/architecture.py -->\n", "<!-- packages end -->\n"


def package_imports() -> dict[str, set[str]]:
    """Return, by package, the packages that it imports."""
    graph = grimp.build_graph("podium", exclude_type_checking_imports=True)
    found: dict[str, set[str]] = {}
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            above, below = _package(importer), _package(imported)
            if above and below and above != below:
                found.setdefault(above, set()).add(below)
    return found


def _package(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] != "__main__" else ""


def _reaches(imports: dict[str, set[str]], start: str, end: str) -> bool:
    """Return whether a package imports another by way of a third one."""
    return any(mid == end or _reaches(imports, mid, end) for mid in imports.get(start, ()))


def picture() -> str:
    """Return the Mermaid flowchart: an arrow is "imports". It is left out where a longer way says the same, as
    the picture would be black with arrows."""
    imports = package_imports()
    lines = ["```mermaid", "flowchart TB"]
    for above in sorted(imports):
        direct = imports[above]
        nearest = (b for b in direct if not any(_reaches(imports, other, b) for other in direct if other != b))
        lines += [f"    {above} --> {below}" for below in sorted(nearest)]
    return "\n".join([*lines, "```", ""])


def page() -> str:
    """Return docs/architecture.md with the picture of now."""
    text = PAGE.read_text()
    return re.sub(f"(?<={re.escape(BEGIN)}).*?(?={re.escape(END)})", lambda _: picture(), text, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(page())
