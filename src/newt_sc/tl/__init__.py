"""The verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from newt_sc._lazy import attach

if TYPE_CHECKING:
    from ._compare_sets import compare_sets
    from ._embed import embed
    from ._embed_signatures import embed_signatures
    from ._explain import explain
    from ._fuse import fuse
    from ._joint_map import joint_map
    from ._lineage import lineage, lineage_programs
    from ._map_to_reference import map_to_reference, save_reference
    from ._mechanism import mechanism
    from ._nearest_genes import nearest_genes
    from ._pharmacology_network import pharmacology_network
    from ._pool_signatures import pool_signatures
    from ._predict_targets import predict_targets
    from ._rank_sets import rank_sets
    from ._repurpose import repurpose
    from ._score_programs import score_programs

__all__ = [
    "compare_sets",
    "embed",
    "embed_signatures",
    "explain",
    "fuse",
    "joint_map",
    "lineage",
    "lineage_programs",
    "map_to_reference",
    "mechanism",
    "nearest_genes",
    "pharmacology_network",
    "pool_signatures",
    "predict_targets",
    "rank_sets",
    "repurpose",
    "save_reference",
    "score_programs",
]

_ELSEWHERE = {"lineage_programs": "_lineage", "save_reference": "_map_to_reference"}
__getattr__, __dir__, _ = attach(__name__, {name: f"_{name}" for name in __all__} | _ELSEWHERE)
