"""One plot for each tool whose result a person would rather look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from newt_sc._lazy import attach

if TYPE_CHECKING:
    from ._attention import attention
    from ._compare_sets import compare_sets
    from ._gene_matching import gene_matching
    from ._joint_map import joint_map
    from ._lineage import lineage
    from ._maps import maps
    from ._network import network, network_html
    from ._targets import target_reliability, targets

__all__ = [
    "attention",
    "compare_sets",
    "gene_matching",
    "joint_map",
    "lineage",
    "maps",
    "network",
    "network_html",
    "target_reliability",
    "targets",
]

__getattr__, __dir__, _ = attach(
    __name__,
    {
        "attention": "_attention",
        "compare_sets": "_compare_sets",
        "gene_matching": "_gene_matching",
        "joint_map": "_joint_map",
        "lineage": "_lineage",
        "maps": "_maps",
        "network": "_network",
        "network_html": "_network",
        "target_reliability": "_targets",
        "targets": "_targets",
    },
)
