"""The pages of benchmarks: a question, a short table, a verdict and a command stand before the
folds, and the short tables repeat the figures of the whole ones.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from benchmarks import _common, _pages
from tests._for_each import for_each

if TYPE_CHECKING:
    from pathlib import Path

PAGES = {path.stem: path for path in sorted(_pages.DOCS.glob("*.md"))}
HEADER = ["method", "all", "half"]
ROWS = [
    ["NEWT", "0.831 (0.823 to 0.840)", "0.5"],
    ["shuffled", "0.248", "0.2"],
    ["PCA", "0.722 (0.709 to 0.733)", "–"],
    ["&emsp;weighted", "0.701", "**0.61**"],
]
COMPARE = _pages.Compare(
    {"all": "all genes", "half": "half of them"},
    "NEWT",
    "shuffled",
    {"PCA": "PCA", "&emsp;weighted": "weighted PCA"},
)


def open_text(page: str) -> str:
    """Return what a reader sees before a fold is opened."""
    return re.sub(r"<details>.*?</details>|<!--.*?-->", "", page, flags=re.DOTALL)


@for_each(PAGES)
def test_page_says_first_what_matters(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    assert page.count("<details>") == page.count("</details>")
    seen = open_text(page)
    blocks = [block.strip() for block in seen.split("\n\n") if block.strip()]
    assert blocks[0].startswith("# ")
    assert blocks[1].endswith("?")
    rows = sum(line.startswith("|") for line in seen.splitlines())
    assert 4 <= rows <= 25
    (verdict,) = (block for block in blocks if block.startswith("**"))
    command = next(block for block in blocks if block.startswith("Run it: `"))
    assert "make bench-" in command
    tables = [i for i, block in enumerate(blocks) if block.startswith("|")]
    assert tables[0] < blocks.index(verdict) < blocks.index(command)


def test_pages_are_as_the_writer_would_lay_them_out(tmp_path: Path) -> None:
    """So that the next run changes figures only, and a short table cannot say something else."""
    for path in PAGES.values():
        page = path.read_text(encoding="utf-8")
        again = tmp_path / path.name
        again.write_text(page, encoding="utf-8")
        for name, text in _pages.sections(page).items():
            if not name.endswith("-short") and "\n|" in text:
                _pages.write(again, name, *_pages.read(text))
        assert again.read_text(encoding="utf-8") == page


def test_every_page_is_in_one_of_five_groups() -> None:
    text = (_pages.DOCS.parent / "benchmarks.md").read_text(encoding="utf-8")
    table = text.partition("| question |")[2].partition("\n\n")[0]
    assert len(re.findall(r"^\| \*\*[^|]+\*\* \| \| \|$", table, re.M)) == 5
    found = re.findall(r"benchmarks/([\w-]+)\.md", table)
    assert sorted(found) == sorted(PAGES)


def test_short_table_compares() -> None:
    text = COMPARE.table(HEADER, ROWS)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[:4]]
    assert rows[0] == ["quantity", "ours", "control", "best alternative"]
    assert rows[2] == ["all genes", "**0.831** (0.823 to 0.840)", "0.248", "0.722, PCA"]
    assert rows[3] == ["half of them", "**0.5**", "0.2", "0.61, weighted PCA"]
    assert text.endswith("*Ours*: `NEWT`. *Control*: `shuffled`.")


@pytest.mark.parametrize("gone", [0, 1])
def test_no_short_table_where_a_row_is_missing(gone: int) -> None:
    assert COMPARE.table(HEADER, ROWS[:gone] + ROWS[gone + 1 :]) == ""


def test_an_alternative_that_was_not_run_is_passed_over() -> None:
    assert "0.701, weighted PCA" in COMPARE.table(HEADER, ROWS[:2] + ROWS[3:])
    assert "0.722, PCA" in COMPARE.table(HEADER, ROWS[:3])


def test_some_rows_and_columns() -> None:
    text = _pages.Pick((2, 0), (0, 1)).table(HEADER, ROWS)
    assert [line.split("|")[1].strip() for line in text.splitlines()[2:]] == ["PCA", "NEWT"]
    assert "0.5" not in text
    assert _pages.Pick((9,), (0,)).table(HEADER, ROWS) == ""


@pytest.mark.parametrize("n", [3, _pages.OPEN_ROWS + 1])
@pytest.mark.parametrize("above", ["", "## Each tree\n\nMore.", "Each pair:"])
def test_section_is_read_back(n: int, above: str) -> None:
    header, rows = ["a", "b"], [["x|y", str(i)] for i in range(n)]
    text = _pages.section("of nothing", above, header, rows, "Notes.\n\n- one\n- two\n\nRun: now.")
    assert text.startswith("<details>") == (n > _pages.OPEN_ROWS)
    assert ("How this was measured" in text) == (n <= _pages.OPEN_ROWS)
    read = _pages.read(text)
    assert read[1:] == (header, rows, "Notes.\n\n- one\n- two\n\nRun: now.")
    assert _pages.section("of nothing", *read) == text


def test_report_writes_both_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_common, "DOCS", tmp_path)
    monkeypatch.setitem(_pages.LAYOUTS, "made", _pages.Layout("All methods", COMPARE))
    _common.report("made", "Made up", HEADER, ROWS, "Notes.")
    page = (tmp_path / "made.md").read_text(encoding="utf-8")
    assert set(_pages.sections(page)) == {"made-short", "made"}
    assert page.index("<!-- begin made-short -->") < page.index("<summary>All methods (4 rows)")
    assert "Run: " in page.partition("<details>")[2]
    assert "Run: " in capsys.readouterr().out
    rows = [[*row[:1], "0.9", "0.9"] for row in ROWS]
    _common.report("made", "Made up", HEADER, rows, "Notes.")
    again = (tmp_path / "made.md").read_text(encoding="utf-8")
    assert "**0.9**" in again
    assert "0.831" not in again
    _common.report("made", "Made up", HEADER, rows[1:], "Notes.")  # ours was not run
    assert _pages.sections((tmp_path / "made.md").read_text("utf-8"))["made-short"].strip() == ""
