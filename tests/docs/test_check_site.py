"""The check of the built documentation finds what it is there for."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.check_site import check

GOOD = """\
<html><head><link rel="canonical" href="https://example.org/">\
<link rel="stylesheet" href="s.css?v=1"></head>
<body><h1 id="a b">x</h1><a href="#a%20b">.</a><a href="sub/">.</a>\
<a href="sub/index.html#there">.</a>
<a href="https://example.org">.</a><a href="mailto:a@b">.</a>\
<img src="data:image/png;base64,AA" alt="">
<script>const home = "https://example.org/page";</script></body></html>"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "s.css").write_text("a { background: url(data:image/svg+xml,1) }")
    (tmp_path / "index.html").write_text(GOOD)
    (tmp_path / "sub" / "index.html").write_text('<p id="there"></p><a href="../index.html">.</a>')
    return tmp_path


def test_good_site_is_silent(site: Path) -> None:
    assert check(site) == []


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="gone.html">.</a>', "dead link gone.html"),
        ('<a href="sub/index.html#gone">.</a>', "dead anchor sub/index.html#gone"),
        ('<a href="#gone">.</a>', "dead anchor #gone"),
        ('<img alt="" src="gone.png">', "dead link gone.png"),
        ('<img src="s.css">', "no alternative text for s.css"),
        ('<img alt="" src="https://example.org/a.png">', "loads https://example.org/a.png"),
        ('<img alt="" srcset="s.css 1x, //example.org/b.png 2x">', "loads //example.org/b.png"),
        ('<script src="//example.org/a.js"></script>', "loads //example.org/a.js"),
        (
            '<script>load("https://example.org/a.js?x=1")</script>',
            "loads https://example.org/a.js?x=1",
        ),
        ("<style>@import 'https://example.org/a.css'</style>", "loads https://example.org/a.css"),
        ('<link rel="stylesheet" href="https://example.org/f">', "loads https://example.org/f"),
    ],
)
def test_fault_is_found(site: Path, body: str, fault: str) -> None:
    (site / "bad.html").write_text(body)
    assert check(site) == [f"bad.html: {fault}"]


def test_style_sheet_and_empty_site(site: Path, tmp_path: Path) -> None:
    (site / "s.css").write_text("@font-face { src: url('https://example.org/f.woff2') }")
    assert check(site) == ["s.css: loads https://example.org/f.woff2"]
    (tmp_path / "none").mkdir()
    assert check(tmp_path / "none") != []
