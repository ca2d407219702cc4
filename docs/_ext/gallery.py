"""Draw every plot of ``newt_sc.pl`` for the page of the gallery, or as the pictures that the image
tests compare with.

python docs/_ext/gallery.py tests/pl/baseline
"""

from __future__ import annotations

import hashlib
import inspect
import sys
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

HEAD = """\
# Gallery

Every plot of {mod}`newt_sc.pl`, with the call that draws it. All take `ax=`, `show=` and
`return_fig=`, and save through matplotlib: `nt.pl.maps(..., return_fig=True).savefig("maps.pdf")`.
Colours are those of Okabe and Ito, and viridis, which colour-blind readers tell apart; markers
repeat what colours say where there are many groups. The data are small and made up: `cells`,
`compounds` and the others stand [at the end](#gallery-data).

"""
WORDS = {
    "attention_of_genes": "For some genes:",
    "lineage_spanning_tree": "The other tree, for stages that follow on each other:",
    "network_of_one": "One compound with what it is linked to:",
    "maps_of_numbers": "Coloured by numbers:",
}


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
    """Return the source of an example for the page."""
    text = inspect.getsource(function)
    return text.replace(" -> Any", "").replace("  # fmt: skip", "").rstrip()


def page(folder: Path) -> str:
    """Draw all examples into a folder and return the text of the page."""
    text = HEAD
    for plot, functions in examples().items():
        summary = (inspect.getdoc(getattr(nt.pl, plot)) or "").partition("\n")[0]
        text += (
            f"(gallery-{plot.replace('_', '-')})=\n## {plot}\n\n{{func}}`newt_sc.pl.{plot}`:"
            f" {summary}\n\n"
        )
        if plot == "network_html":
            text += (
                '<a href="../../gallery-network.html">Open the page</a>: find a compound by name,'
                " click on it.\n\n"
            )
            text += f"```python\n{source(functions[0])}\n```\n\n"
            continue
        for function in functions:
            name = function.__name__
            width, _ = draw(function, folder / f"{name}.png", dpi=160)
            if name in WORDS:
                text += f"{WORDS[name]}\n\n"
            options = f":alt: {plot}, drawn from made-up data\n:width: {round(width * 96)}px"
            text += f"```{{image}} {name}.png\n{options}\n```\n\n"
            text += f"```python\n{source(function)}\n```\n\n"
    code = (
        inspect.getsource(gallery_examples)
        .partition("# -- pictures")[0]
        .partition("from functools")
    )
    return (
        text + f"(gallery-data)=\n## The data\n\n```python\n{(code[1] + code[2]).rstrip()}\n```\n"
    )


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
        lines += [f"   :alt: {plot}, drawn from made-up data", "   :width: 60%", ""]
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
