"""What others see of the site: the card of a shared link, the index that a program reads
(``llms.txt``), and the notebook behind each tutorial.
"""

from __future__ import annotations

import html
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

SUMMARY = (
    "newt_sc places cells of any data set, gene panel or species in one space, and ranks the"
    " likely targets of compounds, with the objects of scverse."
)
GROUPS = {
    "tutorials/": "Tutorials",
    "generated/gallery/": "Plots",
    "generated/api/": "Functions and classes",
    "methods/": "Methods",
    "benchmarks/": "Benchmarks",
    "notes/": "Notes on what was tried",
    "": "Guide",
}
CARD = (1200, 630)
"""Size of the picture that social networks show, in pixels."""


def first_sentence(doctree: nodes.document) -> str:
    """Return the first sentence of a page."""
    for paragraph in doctree.findall(nodes.paragraph):
        text = " ".join(paragraph.astext().split())
        if text and not isinstance(paragraph.parent, nodes.list_item | nodes.entry):
            return re.split(r"(?<=[.?!])\s", text, maxsplit=1)[0]
    return ""


def group(docname: str) -> str:
    """Return the heading of ``llms.txt`` under which a page stands."""
    return next(title for prefix, title in GROUPS.items() if docname.startswith(prefix))


def index(env: BuildEnvironment, base: str = "") -> str:
    """Return a plain list of all pages, grouped, each with its first sentence."""
    found: dict[str, list[str]] = {title: [] for title in [GROUPS[""], *GROUPS.values()]}
    for docname in sorted(env.found_docs - {"index"}):
        text = first_sentence(env.get_doctree(docname))
        title = env.titles[docname].astext()
        found[group(docname)].append(f"- [{title}]({base}{docname}.html): {text}".rstrip(": "))
    parts = [f"## {title}\n\n" + "\n".join(lines) for title, lines in found.items() if lines]
    return "\n\n".join(["# newt_sc", f"> {SUMMARY}", *parts]) + "\n"


def card(picture: Path, out: Path) -> None:
    """Draw the picture of a shared link: that of the demo on white."""
    from PIL import Image

    with Image.open(picture) as found:
        drawn = found.convert("RGB")
    drawn.thumbnail((CARD[0] - 60, CARD[1] - 60))
    whole = Image.new("RGB", CARD, "white")
    whole.paste(drawn, ((CARD[0] - drawn.width) // 2, (CARD[1] - drawn.height) // 2))
    whole.save(out)


def add_to_page(
    app: Sphinx,
    pagename: str,
    _: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Add what a shared link shows, and to a tutorial its notebook."""
    if doctree is None:
        return
    text = first_sentence(app.env.get_doctree(pagename)) or SUMMARY
    base = app.config.html_baseurl
    picture = f"{base}_static/card.png" if base else context["pathto"]("_static/card.png", 1)
    told = {
        "og:type": "website",
        "og:site_name": "newt_sc",
        "og:title": app.env.titles[pagename].astext(),
        "og:description": SUMMARY if pagename == "index" else text,
        "og:image": picture,
        "og:image:alt": "Two halves of 700 blood cells that share no gene, in one map",
        "twitter:card": "summary_large_image",
    }
    if base:
        told["og:url"] = f"{base}{pagename}.html"
    tags = [
        f'<meta {"name" if key.startswith("twitter") else "property"}="{key}"'
        f' content="{html.escape(value)}" />'
        for key, value in told.items()
    ]
    tags.append(f'<meta name="description" content="{html.escape(told["og:description"])}" />')
    context["metatags"] = "\n".join([context.get("metatags", ""), *tags])
    if app.env.doc2path(pagename).suffix == ".ipynb":
        address = context["pathto"](f"_downloads/{pagename}.ipynb", 1)
        link = (
            f'<p class="notebook-download"><a href="{address}" download>Download this notebook</a>'
            "</p>"
        )
        context["body"] = context["body"].replace("</h1>", f"</h1>\n{link}", 1)


def write(app: Sphinx, error: Exception | None) -> None:
    """Write the index, the card and the notebooks beside the pages."""
    if error or app.builder.format != "html":
        return
    out, source = Path(app.outdir), Path(app.srcdir)
    (out / "llms.txt").write_text(index(app.env, app.config.html_baseurl), encoding="utf-8")
    card(source / "_static" / "demo.png", out / "_static" / "card.png")
    for docname in app.env.found_docs:
        path = Path(app.env.doc2path(docname))
        if path.suffix == ".ipynb":
            target = out / "_downloads" / f"{docname}.ipynb"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("html-page-context", add_to_page)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
