"""Figures of README.md and docs/worth.md stand in tables, not in sentences.

``python tests/docs/test_numbers.py`` prints the counts.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NUMBER = r"(?<!\w)\.?\d+(?:[.,:-]\d+)*"  # .848, 1,170, 2026-11-29; not the 1000 of L1000
LIMITS = {"README.md": 3, "docs/worth.md": 3}


def numbers(page: str, *, tables: bool = False) -> float:
    """Return the numbers per 100 words, without code, targets of links and comments."""
    page = re.sub(r"^( *)(```+|~~~+).*?^\1\2", "", page, flags=re.M | re.S)
    page = re.sub(r"<!--.*?-->|(\{[\w:]+\})?`[^`]*`|\]\([^)]*\)", " ", page, flags=re.S)
    if not tables:
        page = re.sub(r"^ *\|.*$", "", page, flags=re.M)
    words = [word for word in page.split() if re.search(r"\w", word)]
    return 100 * len(re.findall(NUMBER, page)) / len(words)


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("one two 3 four", 25),
        ("on 2026-11-29 L1000 had 1,170", 40),
        ("at .848 [see](2.md) `x = 3` end\n\n```python\n4\n```\n", 25),
        ("a 1\n\n| b | 2 |\n", 50),
    ],
)
def test_what_is_counted(page: str, expected: float) -> None:
    assert numbers(page) == pytest.approx(expected)


def test_tables_count_when_asked() -> None:
    assert numbers("a b\n\n| c | 2 |\n", tables=True) == 25


@pytest.mark.parametrize("name", LIMITS)
def test_figures_stand_in_tables(name: str) -> None:
    assert numbers((ROOT / name).read_text(encoding="utf-8")) < LIMITS[name]


def test_few_figures_in_the_readme_at_all() -> None:
    assert numbers((ROOT / "README.md").read_text(encoding="utf-8"), tables=True) < 5


if __name__ == "__main__":
    for name in LIMITS:
        text = (ROOT / name).read_text(encoding="utf-8")
        print(f"{name}: {numbers(text):.1f}, with tables {numbers(text, tables=True):.1f}")
