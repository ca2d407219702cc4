"""File formats to and from AnnData, DataFrames and dicts.

Text is read as a stream, gzip is recognised by its first bytes, and a file that is not what its
format asks for raises :class:`newt_sc.errors.FormatError` with the line. Files are written next to
their place and renamed when complete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from newt_sc._lazy import attach

if TYPE_CHECKING:
    from ._compounds import read_drugbank_targets, read_repurposing_hub
    from ._edges import read_edges, read_regulons
    from ._embedding import read_embedding, write_embedding
    from ._gaf import read_gaf
    from ._gct import read_gct, read_gctx, write_gctx
    from ._gmt import read_gmt, write_gmt
    from ._network import write_cytoscape, write_graphml, write_network_html
    from ._newick import read_newick
    from ._ontology import propagate_annotations, read_obo
    from ._signature_sets import read_signature_sets
    from ._string import read_string

__all__ = [
    "propagate_annotations",
    "read_drugbank_targets",
    "read_edges",
    "read_embedding",
    "read_gaf",
    "read_gct",
    "read_gctx",
    "read_gmt",
    "read_newick",
    "read_obo",
    "read_regulons",
    "read_repurposing_hub",
    "read_signature_sets",
    "read_string",
    "write_cytoscape",
    "write_embedding",
    "write_gctx",
    "write_gmt",
    "write_graphml",
    "write_network_html",
]

__getattr__, __dir__, _names = attach(
    __name__,
    attributes={
        "propagate_annotations": "_ontology",
        "read_drugbank_targets": "_compounds",
        "read_edges": "_edges",
        "read_embedding": "_embedding",
        "read_gaf": "_gaf",
        "read_gct": "_gct",
        "read_gctx": "_gct",
        "read_gmt": "_gmt",
        "read_newick": "_newick",
        "read_obo": "_ontology",
        "read_regulons": "_edges",
        "read_repurposing_hub": "_compounds",
        "read_signature_sets": "_signature_sets",
        "read_string": "_string",
        "write_cytoscape": "_network",
        "write_embedding": "_embedding",
        "write_gctx": "_gct",
        "write_gmt": "_gmt",
        "write_graphml": "_network",
        "write_network_html": "_network",
    },
)
