"""The look at built pages finds what it is there for, in Chromium."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from docs import check_pages

if TYPE_CHECKING:
    from pathlib import Path

needs_chromium = pytest.mark.skipif(not check_pages.chromium(), reason="Chromium is not installed")
STYLE = """
html { background: #fff; color: #222 }
html[data-theme="dark"] { background: #111; color: #ddd }
.faint { color: #aaa }
html[data-theme="dark"] .pale { color: #333 }
.scrolled { overflow-x: auto }
.broad { width: 600px }
@media (min-width: 1000px) { .broad { width: auto } }
"""
PAGES = {
    "good.html": "<p>Text.</p><div class='scrolled'><div style='width: 2000px'>wide</div></div>",
    "faint.html": "<p class='faint'>Text.</p>",
    "big.html": "<p style='font-size: 30px; color: #888'>Large text may be lighter.</p>",
    "pale.html": "<p class='pale'>Text.</p>",
    "hidden.html": "<p class='faint' style='display: none'>Text.</p>",
    "broad.html": "<p class='broad'>Text.</p>",
    "folded.html": "<details><summary>More</summary><p class='faint'>Text.</p></details>",
    "broken.html": "<script>missing()</script><script src='gone.js'></script>",
    "benchmarks/long.html": "<div style='height: 3000px'>Text.</div>",
    "benchmarks/folded.html": "<details><summary>All</summary>"
    "<div style='height: 3000px'>Text.</div></details>",
}
FAULTS = {
    "faint.html": ["contrast 2.32 of p.faint"] * 2,
    "pale.html": ["dark: contrast 1.49 of p.pale"] * 2,
    "broad.html": ["390 px, light: html is 600 px wide, 390 fit, by p.broad"],
    "folded.html": ["contrast 2.32 of p.faint"] * 2,
    "broken.html": ["console: Uncaught ReferenceError: missing", "console: cannot load .*gone.js"],
    "benchmarks/long.html": ["3000 px high, at most 2400"],
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    (out / "benchmarks").mkdir()
    for name, body in PAGES.items():
        (out / name).write_text(
            f"<!doctype html><html><head><style>{STYLE} body {{ margin: 0 }} p {{ margin: 0 }}"
            f"</style></head><body>{body}</body></html>",
            encoding="utf-8",
        )
    return out


@needs_chromium
def test_faults_are_found_and_nothing_else(site: Path) -> None:
    wrong = check_pages.check(site)
    found = {page: [line for line in wrong if line.startswith(f"{page}: ")] for page in PAGES}
    assert sorted(page for page, lines in found.items() if lines) == sorted(FAULTS)
    for page, expected in FAULTS.items():
        for text in expected:
            assert any(re.search(text, line) for line in found[page]), found[page]
    assert all("light" in line for line in found["faint.html"][:2])
    assert not any("light" in line for line in found["pale.html"])


@needs_chromium
def test_screenshots_and_their_list(site: Path, tmp_path: Path) -> None:
    from PIL import Image

    (site / "index.html").write_text(
        "<html><head></head><body style='margin: 0; height: 500px; background: red'>x</body></html>"
    )
    try:
        check_pages.screenshots(site, tmp_path)
    finally:
        (site / "index.html").unlink()
    names = sorted(path.name for path in tmp_path.glob("*.png"))
    assert names == [
        f"index-{width}-{theme}.png" for width in (1280, 390) for theme in ("dark", "light")
    ]
    told = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`: The landing page" in told for name in names)
    with Image.open(tmp_path / "index-390-light.png") as drawn:
        assert drawn.size == (390, 800)
        assert drawn.convert("RGB").getpixel((200, 300)) == (255, 0, 0)


def test_without_chromium_it_says_so(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check_pages, "chromium", lambda: "")
    monkeypatch.setattr("sys.argv", ["check_pages.py", str(site)])
    assert check_pages.main() == 0
    assert "Chromium is not installed" in capsys.readouterr().out
