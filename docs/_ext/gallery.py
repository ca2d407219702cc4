"""Draw every plot of ``newt_sc.pl`` for the page of the gallery, or as the pictures that the image
tests compare with.

python docs/_ext/gallery.py tests/pl/baseline
"""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

import newt_sc as nt

sys.path.insert(0, str(Path(__file__).parent))
import gallery_examples

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

DPI = 60
"""Of the pictures that are compared."""

THUMBNAIL = (164, 140)
"""Width and height of the pictures at the top of the page, in pixels."""

HEAD = """\
# Gallery

Every plot of {mod}`newt_sc.pl`, by the question that it answers, with the code that draws it.
Copy the code as it stands, below these two lines:

```python
import newt_sc as nt
import scanpy as sc
```

All data are real, and nothing has to be downloaded. Cells are the 700 blood cells of
{func}`scanpy.datasets.pbmc68k_reduced`. Two data sets are halves of them that share no cell and
no gene. Compounds are those of {func}`newt_sc.datasets.l1000`, mostly the first few hundred, to be
quick. Genes have the vectors of {func}`newt_sc.datasets.embedding`.

All plots take `ax=`, `show=` and `return_fig=`, and save through matplotlib:
`nt.pl.lineage(cells, return_fig=True).savefig("lineage.pdf")`. Colours are those of Okabe and
Ito, and viridis, which colour-blind readers tell apart. To draw cells in a UMAP, use scanpy:
`sc.pl.embedding(cells, "umap", color=["bulk_labels", "CD3D"])`.

"""
WORDS = {
    "attention_of_genes": "For some genes:",
    "gene_map_of_sets": "Sets of genes on the map:",
    "lineage_spanning_tree": "The other tree, for stages that follow on each other:",
    "map_to_reference_sankey": "Clusters by the labels that their cells got:",
    "network_of_one": "One compound with what it is linked to:",
    "rank_sets_running": "Where in the ranking the first sets stand:",
    "targets_waterfall": "All targets, with the known ones marked:",
}
PICTURES = {"network_html": "network_of_one"}
"""The thumbnail of what is no picture itself."""


def examples() -> dict[str, list[Callable[[], Any]]]:
    """Return the functions that draw an example of each plot, by the name of the plot."""
    names = sorted(nt.pl.__all__, key=len)
    found: dict[str, list[Callable[[], Any]]] = {name: [] for name in nt.pl.__all__}
    for name, function in vars(gallery_examples).items():
        fitting = [plot for plot in names if name == plot or name.startswith(f"{plot}_")]
        if inspect.isfunction(function) and fitting:
            found[fitting[-1]].append(function)
    for functions in found.values():
        functions.sort(key=lambda function: len(function.__name__))
    return found


def draw(function: Callable[[], Any], path: Path, *, dpi: int) -> tuple[float, float]:
    """Draw an example as it looks without any setting of one's own; return its size in inches."""
    import matplotlib.pyplot as plt

    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.use("Agg")
        mpl.rcParams["text.hinting"] = "none"
        warnings.simplefilter("ignore")
        axes = function()
        figure = (axes[0] if isinstance(axes, list) else axes).figure
        figure.savefig(path, dpi=dpi, metadata={"Software": None})
        width, height = figure.get_size_inches()
        plt.close(figure)
    return float(width), float(height)


def source(function: Callable[..., Any]) -> str:
    """Return the code of an example as one copies it: its body, without ``return``."""
    body = inspect.getsource(function).partition(":\n")[2]
    text = textwrap.dedent(body).replace("return ", "").replace("  # fmt: skip", "").rstrip()
    return text.replace(", path)", ', "network.html")')


def thumbnail(picture: Path, path: Path) -> None:
    """Make a small picture on a white ground, all of one size, so that they stand in rows."""
    from PIL import Image

    with Image.open(picture) as full:
        small = full.convert("RGB")
    small.thumbnail(THUMBNAIL, Image.Resampling.LANCZOS)
    ground = Image.new("RGB", THUMBNAIL, "white")
    ground.paste(small, tuple((a - b) // 2 for a, b in zip(THUMBNAIL, small.size, strict=True)))
    ground.save(path, optimize=True)


def anchor(plot: str) -> str:
    """Return the label of a plot's section."""
    return f"gallery-{plot.replace('_', '-')}"


def section(plot: str, functions: list[Callable[[], Any]], widths: dict[str, int]) -> str:
    """Return the text on one plot: what it is for, its pictures and their code."""
    summary = (inspect.getdoc(getattr(nt.pl, plot)) or "").split("\n\n")[0].replace("\n", " ")
    summary = re.sub(r":(?:py:)?(\w+):`", r"{\1}`", summary)
    text = f"({anchor(plot)})=\n### {plot}\n\n{{func}}`newt_sc.pl.{plot}`: {summary}\n\n"
    if plot == "network_html":
        text += (
            '<a href="../../gallery-network.html">Open the page</a>: find a compound by name,'
            " click on it.\n\n"
        )
        return text + f"```python\n{source(functions[0])}\n```\n\n"
    for function in functions:
        name = function.__name__
        if name in WORDS:
            text += f"{WORDS[name]}\n\n"
        options = f":alt: {plot}, drawn by the code below\n:width: {widths[name]}px"
        text += f"```{{image}} {name}.png\n{options}\n```\n\n"
        text += f"```python\n{source(function)}\n```\n\n"
    return text


def page(folder: Path) -> str:
    """Draw all examples into a folder and return the text of the page."""
    found, widths, text = examples(), {}, HEAD
    (folder / "small").mkdir(exist_ok=True)
    for function in (one for functions in found.values() for one in functions):
        if (name := function.__name__) != "network_html":
            width, _ = draw(function, folder / f"{name}.png", dpi=160)
            widths[name] = round(width * 96)
            thumbnail(folder / f"{name}.png", folder / "small" / f"{name}.png")
    for question, plots in gallery_examples.QUESTIONS.items():
        text += f"**{question}**\n\n"
        for plot in plots:
            picture = PICTURES.get(plot, found[plot][0].__name__)
            text += f"[![{plot}](small/{picture}.png)](#{anchor(plot)})\n"
        text += "\n"
    for question, plots in gallery_examples.QUESTIONS.items():
        text += f"## {question}\n\n"
        text += "".join(section(plot, found[plot], widths) for plot in plots)
    return text


def write(app: Sphinx, config: Config) -> None:
    """Write the page and its pictures, unless those that are there are of the same code."""
    folder = Path(app.srcdir) / "generated" / "gallery"
    extra = Path(app.srcdir) / "generated" / "extra"
    stamp = folder / "stamp"
    sources = [
        *sorted(Path(inspect.getfile(nt.pl)).parent.glob("*.py")),
        Path(__file__).parent / "gallery_examples.py",
    ]
    state = hashlib.sha256(
        b"".join(path.read_bytes() for path in [*sources, Path(__file__)])
    ).hexdigest()
    if stamp.exists() and stamp.read_text() == state:
        return
    folder.mkdir(parents=True, exist_ok=True)
    extra.mkdir(parents=True, exist_ok=True)
    text = page(folder)
    gallery_examples.network_html(extra / "gallery-network.html")
    (folder / "index.md").write_text(text, encoding="utf-8")
    stamp.write_text(state)


def show(
    app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]
) -> None:
    """Put the first picture of a plot on its page of the API."""
    plot = name.removeprefix("newt_sc.pl.")
    if what == "function" and plot != name and plot != "network_html" and examples().get(plot):
        picture = examples()[plot][0].__name__
        lines += ["", ".. rubric:: Picture", "", f".. image:: /generated/gallery/{picture}.png"]
        lines += [f"   :alt: {plot}, drawn from real data", "   :width: 60%", ""]
        lines += [f"From :ref:`the gallery <gallery-{plot.replace('_', '-')}>`, with the code.", ""]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("config-inited", write)
    app.connect("autodoc-process-docstring", show, priority=900)  # after napoleon
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def main() -> None:
    """Draw the pictures that the image tests compare with."""
    from PIL import Image

    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for functions in examples().values():
        for function in functions:
            if function.__name__ != "network_html":
                path = folder / f"{function.__name__}.png"
                draw(function, path, dpi=DPI)
                Image.open(path).convert("L").save(
                    path, optimize=True
                )  # small, and what is compared


if __name__ == "__main__":
    main()
