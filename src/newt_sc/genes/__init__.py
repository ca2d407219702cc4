"""Gene identifiers: the one place where genes are matched.

:func:`resolve` turns names of any common kind into approved human symbols, :func:`align` finds the
names of one object among the names of another. Both say what they did with every name, and why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from newt_sc._lazy import attach

if TYPE_CHECKING:
    from ._align import Alignment, align
    from ._lookup import nuisance, orthologs, table
    from ._resolve import resolve
    from ._sets import gene_sets

__all__ = ["Alignment", "align", "gene_sets", "nuisance", "orthologs", "resolve", "table"]

__getattr__, __dir__, _ = attach(
    __name__,
    {
        "Alignment": "_align",
        "align": "_align",
        "gene_sets": "_sets",
        "nuisance": "_lookup",
        "orthologs": "_lookup",
        "resolve": "_resolve",
        "table": "_lookup",
    },
)
