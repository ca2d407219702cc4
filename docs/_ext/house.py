"""Draw the rooms of the package and the direction of imports, from the contract that import-linter
checks.

An SVG that takes its colours from the page, so that it can be read in light and in dark.
"""

from __future__ import annotations

import html
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx

WHAT = {
    "cli": "verbs on files",
    "_demo": "the first picture",
    "get": "tables from results",
    "pl": "plots",
    "tl": "verbs",
    "pp": "inputs made ready",
    "metrics": "how good is it",
    "models": "what is learned",
    "datasets": "shipped and fetched",
    "genes": "identifiers, in one place",
    "io": "file formats",
    "_kernels": "arrays in, arrays out",
}
WIDTH, ROW, GAP = 560, 46, 14


def layers() -> list[list[str]]:
    """Return the rooms of each floor, top to bottom, without what serves them all."""
    contract = tomllib.loads(
        (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    )
    (found,) = (c for c in contract["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    return [[room.strip(" ()") for room in layer.split("|")] for layer in found["layers"]]


def drawing() -> str:
    """Return the SVG: one floor a layer, an arrow from each to the next, and what serves all of
    them at the side.
    """
    *floors, shared = layers()
    height = len(floors) * (ROW + GAP) + 4
    side = 120
    parts = []
    for i, rooms in enumerate(floors):
        y = 2 + i * (ROW + GAP)
        width = (WIDTH - side - GAP - 2 - 8 * (len(rooms) - 1)) / len(rooms)
        for j, room in enumerate(rooms):
            x = 2 + j * (width + 8)
            parts.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{ROW}" rx="6"/>')
            middle = x + width / 2
            parts.append(
                f'<text class="room" x="{middle:.1f}" y="{y + 20}">{html.escape(room)}</text>'
            )
            text = html.escape(WHAT.get(room, ""))
            parts.append(f'<text class="what" x="{middle:.1f}" y="{y + 36}">{text}</text>')
        if i:
            x = (WIDTH - side - GAP) / 2
            parts.append(f'<path d="M{x} {y - GAP + 1} V{y - 3} m-3 -4 l3 4 l3 -4"/>')
    x, top = WIDTH - side - 2, 2
    parts.append(
        f'<rect class="shared" x="{x}" y="{top}" width="{side}" height="{height - 4 - GAP}"'
        ' rx="6"/>'
    )
    for i, name in enumerate(["serve all:", *shared]):
        kind = "room" if i else "what"
        y = height / 2 + 22 * (i - len(shared) / 2)
        parts.append(
            f'<text class="{kind}" x="{x + side / 2}" y="{y:.1f}">{html.escape(name)}</text>'
        )
    return (
        f'<svg class="house" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="The rooms of'
        f' newt_sc: imports run from the upper floors down">{"".join(parts)}</svg>'
    )


class House(SphinxDirective):
    """Put the drawing into the page."""

    def run(self) -> list[nodes.Node]:
        """Return the drawing as raw HTML."""
        self.env.note_dependency(str(Path(__file__).parents[2] / "pyproject.toml"))
        return [nodes.raw("", drawing(), format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("house", House)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
