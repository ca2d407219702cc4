"""Networks of genes, as a modality of knowledge holds them: one feature a partner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from ._bundle import canonical_symbols

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["partner_graph", "partner_symbols"]


def partner_symbols(mod: AnnData) -> pd.Series:
    """Approved symbol of the gene that each feature is."""
    sources = mod.var["source"].astype(str)
    raw = [
        name.removeprefix(f"{source}|") for name, source in zip(mod.var_names, sources, strict=True)
    ]
    return canonical_symbols(pd.Index(sorted(set(raw))), protein_coding_only=False)[raw]


def partner_graph(mod: AnnData, features: NDArray[np.bool_]) -> sparse.csr_array:
    """Genes x genes, ones, symmetric."""
    coo = sparse.coo_array(mod.X != 0)  # of any type of numbers, which scipy has not all
    to = np.where(features, mod.obs_names.get_indexer(partner_symbols(mod)), -1)[coo.col]
    keep = (to >= 0) & (to != coo.row)
    ends = np.concatenate([coo.row[keep], to[keep]]), np.concatenate([to[keep], coo.row[keep]])
    A = sparse.csr_array((np.ones(ends[0].size, np.int32), ends), shape=(mod.n_obs, mod.n_obs))
    A.sum_duplicates()
    A.data[:] = 1
    return A
