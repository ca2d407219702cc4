"""Blocks of several modalities fused into one vector per gene."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import anndata as ad
import numpy as np
import pandas as pd

from newt_sc import _kernels, _keys, genes
from newt_sc._verb import Count, Number, Whole, checked
from newt_sc.genes._space import blocks_of, origin_of

if TYPE_CHECKING:
    from mudata import MuData

__all__ = ["fuse"]

WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"lineage": 0.7, "regulon": 0.7, "interaction": 0.7}
)
"""Weights of the modalities that alone tell least of a gene; the others weigh 1. Chosen by
cross-validation on disease genes (``docs/notes/encoders.md``)."""

_IDENTIFIERS = ("hgnc_id", "ensembl", "entrez", "uniprot")


@checked
def fuse(
    knowledge: MuData | ad.AnnData,
    *,
    method: Literal["spectral"] = "spectral",
    modalities: Sequence[str] | None = None,
    weights: Mapping[str, float] | None = None,
    n_comps: Count = 256,
    power: Number = 0.5,
    random_state: Whole = 0,
) -> ad.AnnData:
    """Combine several kinds of gene knowledge into one vector per gene.

    This is the quick, linear way: no training. :class:`newt_sc.models.NEWT` starts from it and
    learns how much each modality should count for each gene.

    ``spectral``: blocks with rows of length one are weighted, concatenated and reduced by PCA. A
    gene that a modality does not know has zeros there, which is the centre of that modality.

    Parameters
    ----------
    knowledge
        A MuData after :func:`newt_sc.pp.encode`, or a gene embedding whose ``obsm`` holds blocks,
        to fuse anew.
    method
        How to fuse.
    modalities
        Which modalities, in this order; all by default.
    weights
        Weight of each modality in the concatenation. A modality that is not named has weight 1. By
        default 0.7 for ``lineage``, ``regulon`` and ``interaction``. ``{}`` for equal weights.
    n_comps
        Dimensions of the fused vector; fewer where the blocks have fewer.
    power
        Exponent of the singular values of the PCA. 1 gives principal component scores, which are
        best for distinguishing genes. A smaller value gives the first components less weight, which
        is better for projecting cells (``docs/notes/encoders.md``).
    random_state
        Seed of the randomised SVD.

    Returns
    -------
    A gene embedding: ``obs_names`` the genes known to at least one modality, ``X`` their fused
    vectors (genes x ``n_comps``, float32), ``obsm[modality]`` the blocks (float32, NaN rows where
    the modality does not know the gene), ``obs["n_modalities"]`` and identifiers (``hgnc_id``,
    ``ensembl``, ``entrez``, ``uniprot``; empty for names that are no human symbol), and
    ``uns["newt"]`` with parameters, how many genes each modality knows and the bundle's manifest.

    Raises
    ------
    TypeError
        If ``knowledge`` is neither.
    KeyError
        If a modality, also of ``weights``, is not there or has no block.
    ValueError
        If ``method`` is not known, no modality is given, no gene has a vector or one occurs twice,
        ``n_comps`` is below 1, ``power`` below 0, or a weight is not a positive number.

    Examples
    --------
    >>> knowledge = nt.datasets.bundle("my_knowledge.tsv")  # doctest: +SKIP
    >>> nt.pp.encode(knowledge)  # doctest: +SKIP
    >>> embedding = nt.tl.fuse(knowledge)  # doctest: +SKIP
    """
    if not (isinstance(knowledge, ad.AnnData) or hasattr(knowledge, "mod")):
        msg = (
            f"knowledge is {type(knowledge).__name__}, expected a MuData or a gene embedding"
            " (AnnData)."
        )
        raise TypeError(msg)
    parts = _parts(blocks_of(knowledge), modalities, weights or {})
    weight = _weights(WEIGHTS if weights is None else weights, parts)
    every = pd.Index(sorted(set().union(*(index for index, _ in parts.values()))))
    if isinstance(knowledge, ad.AnnData):
        every = knowledge.obs_names  # in its own order
    whole = {name: _spread(*part, every) for name, part in parts.items()}
    known = np.column_stack([np.isfinite(block[:, 0]) for block in whole.values()])
    some = known.any(axis=1)
    if not some.any():
        msg = f"No gene has a finite vector in any of {list(whole)}."
        raise ValueError(msg)
    blocks = {name: block[some] for name, block in whole.items()}
    vectors = _kernels.fuse(
        [block * weight[name] for name, block in blocks.items()],
        n_comps,
        power=power,
        random_state=random_state,
    )
    out = ad.AnnData(vectors, obs=_identifiers(every[some]), obsm=blocks)
    out.obs["n_modalities"] = known[some].sum(axis=1)
    out.uns[_keys.EMBED] = {
        "params": {
            "method": method,
            "n_comps": int(vectors.shape[1]),
            "weights": weight,
            "power": float(power),
            "random_state": random_state,
        },
        "modalities": np.array(list(blocks), dtype=str),
        "n_genes": {name: int(known[:, i].sum()) for i, name in enumerate(blocks)},
    }
    manifest = knowledge.uns.get(_keys.BUNDLE) or origin_of(knowledge).get("manifest")
    if manifest:
        out.uns[_keys.EMBED]["manifest"] = manifest
    return out


def _parts(
    have: dict[str, tuple[pd.Index, Any]],
    modalities: Sequence[str] | None,
    weights: Mapping[str, float],
) -> dict[str, tuple[pd.Index, Any]]:
    """Genes and block of each modality that is asked for."""
    wanted = list(have) if modalities is None else modalities
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    missing = [name for name in [*wanted, *weights] if name not in have]
    if missing:
        msg = (
            f"No block for {missing}; there are blocks for {list(have)}. Run newt_sc.pp.encode"
            " first."
        )
        raise KeyError(msg)
    if not wanted:
        msg = (
            "No modality with a block: run newt_sc.pp.encode first, or name at least one in"
            " modalities."
        )
        raise ValueError(msg)
    for name in wanted:
        index = have[name][0]
        if not index.is_unique:
            msg = (
                f"{name!r} has genes more than once, such as {index[index.duplicated()][0]!r}: keep"
                " one row per gene."
            )
            raise ValueError(msg)
    return {name: have[name] for name in wanted}


def _weights(given: Mapping[str, float], names: Iterable[str]) -> dict[str, float]:
    weights = {name: float(given.get(name, 1.0)) for name in names}
    if not all(0 < value < np.inf for value in weights.values()):
        msg = (
            f"weights are {weights}, expected positive numbers. Leave a modality out by"
            " modalities=."
        )
        raise ValueError(msg)
    return weights


def _spread(index: pd.Index, block: Any, every: pd.Index) -> np.ndarray:
    """Block over all genes, NaN where the modality does not know a gene."""
    out = np.full((len(every), block.shape[1]), np.nan, dtype=np.float32)
    known = np.isfinite(block).all(axis=1)
    out[every.get_indexer(index)[known]] = np.asarray(block)[known]
    return out


def _identifiers(names: pd.Index) -> pd.DataFrame:
    """Look up identifiers of genes; empty for names that are no human symbol."""
    table = genes.table().set_index("symbol").reindex(names)
    table.index.name = None
    return table[list(_IDENTIFIERS)].fillna("").astype(str)
