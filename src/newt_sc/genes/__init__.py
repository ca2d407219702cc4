"""Gene identifiers: the one place where genes are matched.

:func:`resolve` turns names of any common kind into approved human symbols, :func:`align` finds the
names of one object among the names of another. Both say what they did with every name, and why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from newt_sc._lazy import attach

if TYPE_CHECKING:
    from ._align import Alignment, align, require_overlap, warn_coverage
    from ._families import linked_targets, symbol_stem
    from ._lookup import nuisance, orthologs, release, table
    from ._resolve import resolve
    from ._sets import AlignedSets, align_sets, gene_sets, ranked_groups

__all__ = [
    "AlignedSets",
    "Alignment",
    "align",
    "align_sets",
    "gene_sets",
    "linked_targets",
    "nuisance",
    "orthologs",
    "ranked_groups",
    "release",
    "require_overlap",
    "resolve",
    "symbol_stem",
    "table",
    "warn_coverage",
]

__getattr__, __dir__, _ = attach(
    __name__,
    {
        "AlignedSets": "_sets",
        "Alignment": "_align",
        "align": "_align",
        "align_sets": "_sets",
        "gene_sets": "_sets",
        "linked_targets": "_families",
        "nuisance": "_lookup",
        "orthologs": "_lookup",
        "ranked_groups": "_sets",
        "release": "_lookup",
        "require_overlap": "_align",
        "resolve": "_resolve",
        "symbol_stem": "_families",
        "table": "_lookup",
        "warn_coverage": "_align",
    },
)
