"""Formulae as MathML, which browsers draw themselves: no script, no font and no other host."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.writers.html5 import HTML5Translator

LOGGER = logging.getLogger(__name__)


def to_mathml(latex: str, node: nodes.Element, *, display: str) -> str:
    """Return a ``<math>`` element; what cannot be converted is a warning, and shown as it was
    written.
    """
    try:
        found = convert(latex.strip(), display=display)
    except Exception as error:
        LOGGER.warning(
            "no MathML for %r: %s: %s", latex, type(error).__name__, error, location=node
        )
        return f"<code>{html.escape(latex)}</code>"
    unknown = re.search(r"<m\w+>\\[A-Za-z]+</m\w+>", found)
    if unknown:
        LOGGER.warning("no MathML for a command of %r: %s", latex, unknown.group(), location=node)
    return found


def visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    """Write an inline formula."""
    self.body.append(to_mathml(node.astext(), node, display="inline"))
    raise nodes.SkipNode


def visit_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula of its own, with its number if it has one."""
    self.body.append(self.starttag(node, "div", CLASS="math-block"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({node["number"]})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append(to_mathml(node.astext(), node, display="block") + "</div>")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_html_math_renderer(
        "mathml", inline_renderers=(visit_inline, None), block_renderers=(visit_block, None)
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
