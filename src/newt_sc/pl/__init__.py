"""One plot for each tool whose result a person would rather look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from newt_sc._lazy import attach

if TYPE_CHECKING:
    from ._gene_matching import gene_matching
    from ._maps import maps

__all__ = ["gene_matching", "maps"]

__getattr__, __dir__, _ = attach(__name__, {"gene_matching": "_gene_matching", "maps": "_maps"})
