"""Cells whose types raise modules of genes, and vectors that know the modules."""

from __future__ import annotations

from collections.abc import Sequence

import anndata as ad
import numpy as np
import pandas as pd

import newt_sc as nt

N_GENES, N_DIMS = 600, 16
TYPES = "ABCDEF"


def vectors(n_genes: int = N_GENES, *, seed: int = 0) -> ad.AnnData:
    """Vectors of real symbols: genes of one of six modules lie together."""
    rng = np.random.default_rng(seed)
    table = nt.genes.table()
    names = (
        table.loc[table["locus_group"] == "protein-coding gene", "symbol"]
        .iloc[: n_genes * 3 : 3]
        .tolist()
    )
    X = np.eye(len(TYPES), N_DIMS)[np.arange(n_genes) % len(TYPES)] + 0.2 * rng.standard_normal(
        (n_genes, N_DIMS)
    )
    return ad.AnnData(X.astype(np.float32), obs=pd.DataFrame(index=names))


def cells(
    embedding: ad.AnnData,
    types: Sequence[str],
    *,
    genes: slice | np.ndarray = slice(None),
    seed: int = 0,
    noise: float = 0.4,
    shift: np.ndarray | float = 0.0,
) -> ad.AnnData:
    """Cells on a log scale: a type raises its module, and each type its own module at another
    strength.
    """
    rng = np.random.default_rng(seed)
    kind = np.array(list(types))
    n = embedding.n_obs
    base = np.random.default_rng(99).uniform(1, 2, n)
    module = np.array(list(TYPES))[np.arange(n) % len(TYPES)]
    strength = dict(zip(TYPES, np.linspace(0.6, 1.6, len(TYPES)), strict=True))
    raised = np.array([strength.get(name, 0.0) for name in kind])[:, None] * (
        kind[:, None] == module
    )
    X = base + raised + shift + noise * rng.standard_normal((kind.size, n))
    adata = ad.AnnData(
        np.maximum(X, 0).astype(np.float32), var=pd.DataFrame(index=embedding.obs_names)
    )
    adata.obs_names = [f"{seed}-{i}" for i in range(kind.size)]
    adata.obs["type"] = pd.Categorical(kind)
    adata.obs["time"] = [float(ord(name) - ord("A")) for name in kind]
    return adata[:, genes].copy()


def panels(n_genes: int = N_GENES, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two halves of the genes."""
    genes = np.random.default_rng(seed).permutation(n_genes)
    return np.sort(genes[::2]), np.sort(genes[1::2])


def accuracy(adata: ad.AnnData, key: str = "newt_mapping_label") -> float:
    """Share of the cells that got their own type."""
    return float((adata.obs[key].astype(str) == adata.obs["type"].astype(str)).mean())
