"""Which embedding and which genes of some data are used."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from newt_sc._warn import warn
from newt_sc.datasets._embedding import describe_embedding, resolve_embedding
from newt_sc.genes._space import Space

if TYPE_CHECKING:
    import anndata as ad

__all__ = ["DEFAULT_MASK", "HighlyVariable", "chosen_genes", "open_space"]

_Array = np.ndarray[Any, np.dtype[Any]]


class HighlyVariable:
    """Default of ``mask_var``: ``highly_variable`` where present, otherwise all genes."""

    def __repr__(self) -> str:
        return "'highly_variable' if present"


DEFAULT_MASK: Final = HighlyVariable()


def open_space(embedding: str | PathLike[str] | ad.AnnData) -> Space:
    """Read a gene embedding as a user names it."""
    read = resolve_embedding(embedding)
    return Space.of(read, describe_embedding(read, embedding))


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
