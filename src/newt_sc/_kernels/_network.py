"""Similarity of compounds, what it would be by chance, and labels in groups of a graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ._pairs import whitening
from ._plain import takes_arrays
from ._spectral import unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "null_similarities",
    "top_pairs",
    "whitened",
]


@takes_arrays
def whitened(X: NDArray[np.floating], power: float) -> NDArray[np.float64]:
    """Standardise columns and whiten them in part, see :func:`whitening`.

    Parameters
    ----------
    X
        Rows x columns, finite.
    power
        Exponent.

    Returns
    -------
    Array of the same shape.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> nt._kernels.whitened(X, -0.25).shape
    (50, 3)
    """
    mean, sd, white = whitening(X, power)
    out: NDArray[np.float64] = ((np.asarray(X, dtype=np.float64) - mean) / sd) @ white
    return out


@takes_arrays
def null_similarities(
    parts: Sequence[NDArray[np.float64]],
    moments: Sequence[tuple[float, float]],
    *,
    n_permutations: int,
    random_state: int = 0,
) -> Iterator[NDArray[np.float64]]:
    """Similarities of rows whose columns were permuted, each on its own.

    They tell what rows share when columns are independent.

    Every column keeps its values, so the null has the same whitening, tails and number of columns
    as the data; what it lacks is that columns go together.

    Parameters
    ----------
    parts
        Matrices of the same rows, any columns.
    moments
        Mean and standard deviation to scale the cosines of each part by, before their mean is
        taken.
    n_permutations
        How often.
    random_state
        Seed.

    Yields
    ------
    Similarities of the pairs above the diagonal, in the order of ``numpy.triu_indices(n, 1)``.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(5, 20))
    >>> next(nt._kernels.null_similarities([X], [(0.0, 1.0)], n_permutations=1)).shape
    (10,)
    """
    rng = np.random.default_rng(random_state)
    above = np.triu_indices(len(parts[0]), 1)
    for _ in range(n_permutations):
        total = np.zeros(len(above[0]))
        for X, (mean, sd) in zip(parts, moments, strict=True):
            U = unit_rows(rng.permuted(X, axis=0))
            total += ((U @ U.T)[above] - mean) / sd
        yield total / len(parts)


@takes_arrays
def top_pairs(
    S: NDArray[np.floating], allowed: NDArray[np.bool_], n_neighbors: int
) -> NDArray[np.bool_]:
    """Keep the most similar pairs of each row.

    Parameters
    ----------
    S
        Similarities, n x n, symmetric.
    allowed
        Pairs to choose from, n x n, symmetric.
    n_neighbors
        Pairs of each row to keep; one that either of its rows keeps stays.

    Returns
    -------
    Symmetric mask, n x n.

    Examples
    --------
    >>> S = np.array([[1.0, 0.9, 0.1], [0.9, 1.0, 0.2], [0.1, 0.2, 1.0]])
    >>> nt._kernels.top_pairs(S, ~np.eye(3, dtype=bool), 1).astype(int).tolist()
    [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    """
    if not allowed.any():
        return allowed.copy()
    ranked = np.where(allowed, S, -np.inf)
    k = min(n_neighbors, len(S))
    best = np.argpartition(-ranked, k - 1, axis=1)[:, :k]
    keep = np.zeros(S.shape, dtype=bool)
    np.put_along_axis(keep, best, True, axis=1)
    keep &= allowed
    return keep | keep.T
