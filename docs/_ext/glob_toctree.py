"""A toctree of globs that is simply not there while nothing matches, instead of a warning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sphinx.directives.other import TocTree
from sphinx.util import docname_join
from sphinx.util.matching import patfilter

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx


class GlobTocTree(TocTree):
    """``toctree`` that drops, where ``:glob:`` is set, the patterns that match no page."""

    def run(self) -> list[nodes.Node]:
        if "glob" in self.options:
            self.env.note_reread()
            found = [
                entry
                for entry in self.content
                if "*" not in entry
                or any(patfilter(self.env.found_docs, docname_join(self.env.docname, entry)))
            ]
            if not found:
                return []
        return super().run()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("toctree", GlobTocTree, override=True)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
