"""Every plot looks as it did: the gallery's pictures against those in ``baseline``.

After a change that is meant, draw them anew by ``make baseline``, and look at them.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import newt_sc as nt
from docs._ext.gallery import DPI, draw, examples, gallery_examples, source

BASELINE = Path(__file__).parent / "baseline"
TOLERANCE = 8.0
"""Root mean square of the difference of grey values, 0 to 255; other versions of FreeType move
letters a little.
"""

UMAP = 30.0
"""The same for a UMAP, whose steps depend on the processor: the plot is there, with all its words.
"""

EXAMPLES = {
    f.__name__: f
    for functions in examples().values()
    for f in functions
    if f.__name__ != "network_html"
}


def difference(one: Path, other: Path) -> float:
    from PIL import Image

    a, b = (np.asarray(Image.open(path).convert("L"), dtype=float) for path in (one, other))
    height, width = max(a.shape[0], b.shape[0]), max(a.shape[1], b.shape[1])
    assert height - min(a.shape[0], b.shape[0]) <= 2, "another height"
    assert width - min(a.shape[1], b.shape[1]) <= 2, "another width"
    a, b = (
        np.pad(x, ((0, height - x.shape[0]), (0, width - x.shape[1])), constant_values=255)
        for x in (a, b)
    )
    return float(np.sqrt(np.mean((a - b) ** 2)))


@pytest.mark.parametrize("name", EXAMPLES)
def test_picture(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.png"
    draw(EXAMPLES[name], path, dpi=DPI)
    found = difference(BASELINE / f"{name}.png", path)
    assert found < (UMAP if name == "joint_map" else TOLERANCE), (
        f"{name} differs by {found:.1f}; the new picture is {path}"
    )


def test_every_plot_has_a_picture() -> None:
    assert [plot for plot, functions in examples().items() if not functions] == []
    assert {path.stem for path in BASELINE.glob("*.png")} == set(EXAMPLES)
    assert sorted(p for plots in gallery_examples.QUESTIONS.values() for p in plots) == sorted(
        nt.pl.__all__
    )
    assert max(path.stat().st_size for path in BASELINE.glob("*.png")) < 50_000


def test_a_change_is_seen(tmp_path: Path) -> None:
    def other() -> object:
        axes = EXAMPLES["target_reliability"]()
        axes[0].lines[0].set_visible(False)
        axes[0].collections[0].set_visible(False)
        return axes

    draw(other, tmp_path / "other.png", dpi=DPI)
    assert difference(BASELINE / "target_reliability.png", tmp_path / "other.png") > TOLERANCE


def test_code_to_copy_runs_as_it_stands() -> None:
    """What the page shows of an example draws the plot, below the two imports that it names."""
    import scanpy as sc

    text = source(EXAMPLES["gene_matching"])
    assert "return" not in text
    assert not text.startswith(" ")
    exec(text, {"nt": nt, "sc": sc})
    for name, function in EXAMPLES.items():
        compile(source(function), name, "exec")
        lines = source(function).splitlines()
        assert len(lines) <= 12, name
        assert max(map(len, lines)) <= 80, name  # what fits beside the contents


@pytest.mark.filterwarnings("ignore:.*targets have no vector:newt_sc.errors.NewtWarning")
def test_network_page(tmp_path: Path) -> None:
    (function,) = examples()["network_html"]
    function(tmp_path / "network.html")
    text = (tmp_path / "network.html").read_text(encoding="utf-8")
    assert "Gefitinib" in text
    assert not re.search(r"""(?:src|href)=["']?https?:""", text)
