"""The one home of slot names: where newt_sc writes in AnnData and MuData."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

EMBED: Final = "newt"
"""``uns`` key of :func:`newt_sc.tl.embed`."""

X_EMBED: Final = "X_newt"
"""``varm`` and ``obsm`` key of :func:`newt_sc.tl.embed`."""

GENES: Final = "newt_genes"
"""``uns`` and ``var`` key of :func:`newt_sc.pp.map_genes`."""

SIGNATURES: Final = "newt_signatures"
"""``uns`` key of :func:`newt_sc.pp.signatures`."""

EMBED_SIGNATURES: Final = "newt_embed_signatures"
"""``uns`` key of :func:`newt_sc.tl.embed_signatures`."""

BLOCK: Final = "X_block"
"""``obsm`` key, in each modality of a knowledge MuData, of the spectral block of
:func:`newt_sc.pp.encode`.
"""

ENCODE: Final = "newt_encode"
"""``uns`` key of :func:`newt_sc.pp.encode`."""

BUNDLE: Final = "newt_bundle"
"""``uns`` key that holds the manifest of a knowledge bundle."""

ATTENTION: Final = "attention"
"""``obsm`` key of a gene embedding that holds the weight of each modality, a DataFrame of genes x
modalities.
"""

PRESENT: Final = "newt_present"
"""``obsm`` key, in the aligned genes of :class:`newt_sc.models.NEWT`, of which modality knows which
gene.
"""

ROW: Final = "newt_row"
"""``obsm`` key, there too, of the position of each gene."""

BLOCK_SOURCES: Final = "newt_sources"
"""``uns`` key there, too, of where the modalities' blocks are."""

BLOCK_KEY: Final = "newt_block_key"
"""``uns`` key there, too, of the ``obsm`` key of blocks."""

L1000: Final = "newt_l1000"
"""``uns`` key of :func:`newt_sc.datasets.l1000`."""

PACKED: Final = "newt_packed"
"""``uns`` key of an embedding that is packed into whole numbers: their scales."""

EXPLAIN: Final = "newt_explain"
"""``uns`` key of :func:`newt_sc.tl.explain`."""

TARGETS: Final = "newt_targets"
"""``uns`` and ``obsm`` key of :func:`newt_sc.tl.predict_targets`: predictions of targets."""

PROGRAMS: Final = "newt_programs"
"""``uns`` and ``obsm`` key of :func:`newt_sc.tl.score_programs`: scores of gene programs in cells.
"""

LINEAGE: Final = "newt_lineage"
"""``uns`` key of :func:`newt_sc.tl.lineage`."""

MAPPING: Final = "newt_mapping"
"""``uns`` key, and prefix of ``obs`` columns, of :func:`newt_sc.tl.map_to_reference`."""

JOINT: Final = "newt_joint"
"""``uns`` key of :func:`newt_sc.tl.joint_map`."""

SIDE: Final = "newt_side"
"""``obs`` column of :func:`newt_sc.tl.joint_map`: the side that a cell is of."""

OTHER_SIDE: Final = "newt_other_side"
"""``obs`` column there, too: the share of a cell's neighbours from the other side."""

SEPARATOR: Final = "; "
"""What stands between the groups below a branch in the tables of :func:`newt_sc.tl.lineage`."""


NETWORK: Final = "newt_network"
"""``uns``, ``obsp`` and, with a suffix, ``obs`` key of :func:`newt_sc.tl.pharmacology_network`."""

MECHANISM: Final = "newt_mechanism"
"""``uns`` and ``obs`` key of :func:`newt_sc.tl.mechanism`."""


def loadings(slot: str) -> str:
    """``varm`` key of what new cells are multiplied by, beside the ``obsm`` key of ``tl.embed``."""
    return f"{slot}_loadings"


def mean(slot: str) -> str:
    """``var`` column of what new cells are centred on before."""
    return f"{slot}_mean"


def written(
    data: Any, key: str | None, own: str, entry: str, verb: str = "", *more: str
) -> dict[str, Any]:
    """Get what a verb of ``tl`` wrote into ``uns``; the verb is named by its own key, or given.

    Raises
    ------
    KeyError
        If it wrote nothing under this key, or not this entry and what more is asked for.
    """
    info: Any = data.uns.get(key or own) if isinstance(key, str | None) else None
    if not isinstance(info, Mapping) or not {entry, *more} <= info.keys():
        verb = verb or own.removeprefix("newt_")
        msg = f"No {verb} in adata.uns[{key or own!r}]: run newt_sc.tl.{verb} first."
        raise KeyError(msg)
    return dict(info)
