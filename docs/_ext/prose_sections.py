"""How napoleon sets the sections "Returns" and "Attributes" of our docstrings.

napoleon takes every line at the left margin of a numpy-style "Returns" section for a type. Ours say
in sentences what is returned and written; the type stands in the signature. And of "Attributes" it
would make an object each, though several may share a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sphinx.ext.napoleon import NumpyDocstring

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def _parse_returns_section(self: NumpyDocstring, section: str) -> list[str]:
    text = self._dedent(self._consume_to_next_section())
    if text[:1] == [":"]:  # sphinx_autodoc_typehints' own hint that no type follows
        text = text[1:]
    lines = self._format_block(":returns: ", text)
    return [*lines, ""] if lines and lines[-1] else lines


def _parse_attributes_section(self: NumpyDocstring, section: str) -> list[str]:
    return self._format_fields("Attributes", self._consume_fields())


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    NumpyDocstring._parse_returns_section = _parse_returns_section
    NumpyDocstring._parse_attributes_section = _parse_attributes_section
    return {"parallel_read_safe": True, "parallel_write_safe": True}
