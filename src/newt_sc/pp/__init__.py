"""Make inputs ready: identifiers, signatures from one's own data, blocks of knowledge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from newt_sc._lazy import attach

if TYPE_CHECKING:
    from ._encode import encode
    from ._gene_pairs import gene_pairs
    from ._map_genes import map_genes
    from ._shared_genes import shared_genes
    from ._signatures import signatures

__all__ = ["encode", "gene_pairs", "map_genes", "shared_genes", "signatures"]

__getattr__, __dir__, _ = attach(
    __name__,
    {
        "encode": "_encode",
        "gene_pairs": "_gene_pairs",
        "map_genes": "_map_genes",
        "shared_genes": "_shared_genes",
        "signatures": "_signatures",
    },
)
