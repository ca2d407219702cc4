"""Code on the pages fits into 72 columns, so that it is read without scrolling."""

from __future__ import annotations

import re
from pathlib import Path

from tests._for_each import for_each

DOCS = Path(__file__).parents[2] / "docs"
COLUMNS = 72
PAGES = {
    path.name: path
    for path in sorted([*DOCS.glob("*.md"), *DOCS.glob("methods/*.md")])
    if path.name not in ("cli.md", "tutorials.md")
}


def long_lines(page: str) -> list[str]:
    """Return the lines of code that are longer; messages, which wrap, are no code."""
    blocks = re.findall(r"^```(python|bash|console)\n(.*?)^```", page, flags=re.M | re.S)
    return [line for _, block in blocks for line in block.splitlines() if len(line) > COLUMNS]


@for_each(PAGES)
def test_code_fits(path: Path) -> None:
    assert long_lines(path.read_text(encoding="utf-8")) == []


def test_what_is_found() -> None:
    line = "x" * (COLUMNS + 1)
    assert long_lines(f"{line}\n\n```python\n{line}\nx\n```\n\n```text\n{line}\n```\n") == [line]
