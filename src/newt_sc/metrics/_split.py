"""Splits of genes that never change, and what the tasks share."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from newt_sc import _kernels, genes
from newt_sc.genes._align import require_overlap

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = [
    "HOLDOUT",
    "N_FOLDS",
    "fold_of",
    "hashed",
    "unit_or_mean",
    "vectors_of",
    "within",
]

N_FOLDS = 5
"""Folds that the hash of a gene's symbol puts it in."""

HOLDOUT = 0
"""The fold that is never looked at while choices are made."""


def hashed(names: Iterable[str]) -> NDArray[np.uint64]:
    """Hash names, the same on every machine and in every year."""
    digests = [
        int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big") for name in names
    ]
    return np.array(digests, dtype=np.uint64)


def fold_of(symbols: Iterable[str]) -> NDArray[np.intp]:
    """Fold of each gene, 0 to 4, by the hash of its symbol."""
    return (hashed(symbols) % np.uint64(N_FOLDS)).astype(np.intp)


def within(symbols: Iterable[str], chosen: Iterable[str] | None) -> NDArray[np.bool_]:
    """Which of the approved symbols are among the genes chosen; all if none were chosen."""
    symbols = list(symbols)
    if chosen is None:
        return np.ones(len(symbols), dtype=bool)
    chosen = [chosen] if isinstance(chosen, str) else list(chosen)
    found = genes.align(chosen, symbols, organism="human")
    require_overlap(found, chosen, symbols, what="genes")
    inside = np.zeros(len(symbols), dtype=bool)
    inside[found.index[found.index >= 0]] = True
    return inside


def vectors_of(embedding: AnnData, names: Iterable[str]) -> NDArray[np.float64]:
    """Vectors of genes by name (symbols or Entrez ids), centred, NaN rows where there is none.

    Raises
    ------
    ValueError
        If ``X`` is no dense matrix of numbers, has infinite values, or no row without NaN.
    GeneMatchError
        If no gene has a vector.
    """
    X = embedding.X
    if not isinstance(X, np.ndarray) or X.ndim != 2 or 0 in X.shape or X.dtype.kind not in "biuf":
        msg = (
            f"The embedding has X of type {type(X).__name__}: expected a dense array of numbers,"
            " genes x dimensions."
        )
        raise ValueError(msg)
    if np.isinf(X).any():
        msg = "The embedding has infinite values: remove those genes, or make their rows NaN."
        raise ValueError(msg)
    names = list(names)
    found = genes.align(names, embedding.obs_names, organism="human")
    require_overlap(found, names, embedding.obs_names, what="the task")
    out = np.full((len(names), X.shape[1]), np.nan)
    has = found.index >= 0
    out[has] = X[found.index[has]]
    known = ~np.isnan(out).any(axis=1)
    out[~known] = np.nan
    if np.isnan(out[:, 0]).all():
        msg = "No gene of the task has a vector free of NaN in the embedding."
        raise ValueError(msg)
    # Cosines and widths of kernels depend on where zero is; the hold-out must not tell.
    told = known & (fold_of(names) != HOLDOUT)
    out -= out[told if told.any() else known].mean(axis=0)
    return out


def unit_or_mean(X: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of length one; NaN rows become the mean of the others."""
    known = ~np.isnan(X).any(axis=1)
    unit = _kernels.unit_rows(X)
    unit[~known] = unit[known].mean(axis=0)
    return unit
