"""What others see of the site: the card of a link, the index for programs, the notebook of a
tutorial.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("myst_nb", reason="Sphinx is not installed")

EXTENSIONS = Path(__file__).parents[2] / "docs" / "_ext"
CONF = f"""
import sys
sys.path.insert(0, {str(EXTENSIONS)!r})
extensions = ["myst_nb", "published"]
nb_execution_mode = "off"
html_static_path = ["_static"]
html_theme_options = {{}}
"""
INDEX = """# newt_sc

**One sentence & a half.** Another.

```{toctree}
tutorials/first
benchmarks/one
```
"""
NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "metadata": {}, "source": ["# First\n", "\n", "Do it. Then."]}
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from PIL import Image

    source = tmp_path_factory.mktemp("docs")
    for folder in ("_static", "tutorials", "benchmarks"):
        (source / folder).mkdir()
    (source / "conf.py").write_text(CONF)
    (source / "index.md").write_text(INDEX)
    (source / "benchmarks" / "one.md").write_text("# One\n\n- in a list\n\nIs it so? Yes.\n")
    (source / "tutorials" / "first.ipynb").write_text(json.dumps(NOTEBOOK))
    Image.new("RGB", (3000, 1000), "blue").save(source / "_static" / "demo.png")
    out = source / "_build"
    call = [sys.executable, "-W", "ignore", "-m", "sphinx", "-q", str(source), str(out)]
    done = subprocess.run([*call, "-D", "html_baseurl=https://a.org/"], stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr
    return out


def test_index_for_programs(built: Path) -> None:
    text = (built / "llms.txt").read_text(encoding="utf-8")
    assert text.startswith("# newt_sc\n\n> newt_sc places cells")
    assert "## Tutorials\n\n- [First](https://a.org/tutorials/first.html): Do it.\n" in text
    assert "## Benchmarks\n\n- [One](https://a.org/benchmarks/one.html): Is it so?\n" in text


def test_card_of_a_link(built: Path) -> None:
    from PIL import Image

    page = (built / "benchmarks" / "one.html").read_text(encoding="utf-8")
    assert '<meta property="og:title" content="One" />' in page
    assert '<meta property="og:image" content="https://a.org/_static/card.png" />' in page
    assert '<meta property="og:url" content="https://a.org/benchmarks/one.html" />' in page
    assert '<meta name="description" content="Is it so?" />' in page
    with Image.open(built / "_static" / "card.png") as card:
        assert card.size == (1200, 630)
        assert card.getpixel((5, 5)) == (255, 255, 255)
        assert card.getpixel((600, 315)) == (0, 0, 255)


def test_tutorial_offers_its_notebook(built: Path) -> None:
    page = (built / "tutorials" / "first.html").read_text(encoding="utf-8")
    assert page.count('href="../_downloads/tutorials/first.ipynb" download') == 1
    copied = json.loads((built / "_downloads" / "tutorials" / "first.ipynb").read_text())
    assert copied == NOTEBOOK
    assert "_downloads" not in (built / "index.html").read_text(encoding="utf-8")
