"""Genes of some data beside a gene embedding: which are used, and which vectors they have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from newt_sc import _keys, genes
from newt_sc._warn import warn
from newt_sc.genes._annotated import align_var

if TYPE_CHECKING:
    import anndata as ad

__all__ = [
    "DEFAULT_MASK",
    "PRIVATE",
    "HighlyVariable",
    "align_genes",
    "chosen_genes",
    "gene_vectors",
]

_Array = np.ndarray[Any, np.dtype[Any]]
_Organism = Literal["auto", "human", "mouse"]


class HighlyVariable:
    """Default of ``mask_var``: ``highly_variable`` where present, otherwise all genes."""

    def __repr__(self) -> str:
        return "'highly_variable' if present"


DEFAULT_MASK: Final = HighlyVariable()

# Between laboratories cells are placed better by what each kind of knowledge says alone than by
# what the kinds share; within an experiment both do. Chosen on the development sets of the
# benchmarks "panels" and "mapping"; docs/benchmarks/vectors.md has the table.
PRIVATE: Final = 4.0


def chosen_genes(adata: ad.AnnData, mask_var: object) -> tuple[_Array, str]:
    """Which genes ``mask_var`` names, and what to call them."""
    if isinstance(mask_var, HighlyVariable):
        if "highly_variable" in adata.var:
            mask_var = "highly_variable"
        else:
            warn(
                "No highly_variable genes in adata.var: all genes are used, and housekeeping genes"
                " may dominate. Run sc.pp.highly_variable_genes first, or say mask_var=None."
            )
            mask_var = None
    if mask_var is None:
        return np.ones(adata.n_vars, dtype=bool), "all"
    if isinstance(mask_var, str):
        if mask_var not in adata.var:
            msg = f"mask_var {mask_var!r} is not in adata.var, which has {list(adata.var.columns)}."
            raise KeyError(msg)
        values, name = adata.var[mask_var].to_numpy(), mask_var
    else:
        if isinstance(mask_var, pd.Series) and not mask_var.index.equals(adata.var_names):
            msg = (
                "The index of mask_var is not adata.var_names. Reindex it, or give"
                " mask_var.to_numpy() if in order."
            )
            raise ValueError(msg)
        values, name = np.asarray(mask_var), "array"
    if values.shape != (adata.n_vars,) or values.dtype != bool:
        msg = (
            f"mask_var is {values.dtype} of shape {values.shape}, expected bool of shape"
            f" ({adata.n_vars},)."
        )
        raise ValueError(msg)
    if not values.any():
        msg = f"mask_var={name!r} selects no gene."
        raise ValueError(msg)
    return values, name


def gene_vectors(
    reference: ad.AnnData, modalities: Sequence[str] | None
) -> tuple[_Array, list[str]]:
    """Vectors of all genes of an embedding, fused or of some modalities, and which these are.

    Private dimensions of a model count :data:`PRIVATE` times among cells.
    """
    if modalities is None:
        vectors = np.array(reference.X, dtype=np.float32)
        vectors[:, vectors.shape[1] - _n_private(reference) :] *= PRIVATE
        return vectors, []
    wanted = [modalities] if isinstance(modalities, str) else list(modalities)
    have = [
        str(name)
        for name in reference.uns.get(_keys.EMBED, {}).get("modalities", list(reference.obsm))
    ]
    missing = [name for name in wanted if name not in have]
    if missing or not wanted:
        msg = f"modalities {missing or wanted} are not in the embedding, which has {have}."
        raise KeyError(msg)
    blocks = np.hstack([_centered(reference.obsm[name]) for name in wanted])
    absent = np.isnan(blocks).all(axis=1)
    blocks = np.nan_to_num(blocks)
    blocks[absent] = np.nan
    return blocks, wanted


def _n_private(reference: ad.AnnData) -> int:
    """How many of the last dimensions are private, by what the model wrote down."""
    made: Any = reference.uns.get(_keys.EMBED, {})
    params = made.get("params", {}) if isinstance(made, Mapping) else {}
    if not isinstance(params, Mapping) or params.get("method") != "newt":
        return 0
    n_private: int = min(max(int(params.get("n_private", 0)), 0), reference.n_vars)
    return n_private


def _centered(block: Any) -> _Array:
    """Block of a modality around its mean, which genes that it does not know get."""
    values = np.asarray(block, dtype=np.float32)
    known = np.isfinite(values).all(axis=1)
    return values - (
        values[known].mean(axis=0, dtype=np.float64).astype(np.float32) if known.any() else 0
    )


def align_genes(
    adata: ad.AnnData, reference: pd.Index, organism: _Organism, *, what: str = "adata"
) -> genes.Alignment:
    """Rows of the embedding, by what ``pp.map_genes`` found or otherwise by ``var_names``."""
    return align_var(adata, reference, organism=organism, what=what)
