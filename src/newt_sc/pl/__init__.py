"""One plot for each tool whose result a person would rather look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from newt_sc._lazy import attach

if TYPE_CHECKING:
    from ._attention import attention
    from ._calls import mechanism, repurpose
    from ._compare_sets import compare_sets
    from ._components import n_comps
    from ._gene_map import gene_map
    from ._gene_matching import gene_matching
    from ._joint_map import joint_map
    from ._lineage import lineage
    from ._mapping import map_to_reference
    from ._network import network, network_html
    from ._rank_sets import rank_sets
    from ._targets import target_reliability, targets

__all__ = [
    "attention",
    "compare_sets",
    "gene_map",
    "gene_matching",
    "joint_map",
    "lineage",
    "map_to_reference",
    "mechanism",
    "n_comps",
    "network",
    "network_html",
    "rank_sets",
    "repurpose",
    "target_reliability",
    "targets",
]

__getattr__, __dir__, _ = attach(
    __name__,
    {
        "attention": "_attention",
        "compare_sets": "_compare_sets",
        "gene_map": "_gene_map",
        "gene_matching": "_gene_matching",
        "joint_map": "_joint_map",
        "lineage": "_lineage",
        "map_to_reference": "_mapping",
        "mechanism": "_calls",
        "n_comps": "_components",
        "network": "_network",
        "network_html": "_network",
        "rank_sets": "_rank_sets",
        "repurpose": "_calls",
        "target_reliability": "_targets",
        "targets": "_targets",
    },
)
