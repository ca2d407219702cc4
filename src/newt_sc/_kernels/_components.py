"""Principal components, turned into the space of gene vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

from ._blockwise import nearest_rows
from ._plain import takes_arrays

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["GeneAxes", "gene_axes", "held_out_error", "nearest_isometry", "principal_axes"]

_LEAST_SD = 1e-3  # of a gene, so that a constant one does not divide by zero


@dataclass(frozen=True)
class GeneAxes:
    """Where the principal components of some cells point in the space of gene vectors.

    Attributes
    ----------
    rotation
        Components x d, float64, with orthonormal rows: cells are ``scores @ rotation``.
    directions
        Components x d: each component's loadings through the gene vectors, weighted by its
        variance.
    alignment
        Length of ``directions`` over the length expected if the gene vectors were shuffled over the
        genes. About 1 means that the vectors know nothing of how these genes vary together.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> V = np.linalg.qr(rng.normal(size=(30, 3)))[0]
    >>> nt._kernels.gene_axes(
    ...     V, np.ones(3), sd=np.ones(30), E=rng.normal(size=(30, 8))
    ... ).rotation.shape
    (3, 8)
    """

    rotation: NDArray[np.float64]
    directions: NDArray[np.float64]
    alignment: float


@takes_arrays
def principal_axes(
    covariance: NDArray[np.float64] | LinearOperator, n_comps: int, *, random_state: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Principal axes of genes, from their covariance.

    Parameters
    ----------
    covariance
        Genes x genes, an array or an operator.
    n_comps
        How many, less than the number of genes.
    random_state
        Seed of the iterative solver's first vector.

    Returns
    -------
    Loadings of genes x components, with orthonormal columns, and the variance of each component,
    largest first. In each component the loading of largest absolute value is positive.

    Examples
    --------
    >>> loadings, variance = nt._kernels.principal_axes(np.diag([3.0, 2.0, 1.0]), 2)
    >>> variance.round(3).tolist()
    [3.0, 2.0]
    """
    n = covariance.shape[0]
    if isinstance(covariance, np.ndarray) and (n <= 512 or n_comps > n // 4):
        values, vectors = linalg.eigh(covariance, subset_by_index=(n - n_comps, n - 1))
    else:
        first = np.random.default_rng(random_state).standard_normal(n)
        try:
            values, vectors = eigsh(covariance, k=n_comps, v0=first)
        except ArpackError:  # nothing varies, so every direction is as good
            values, vectors = np.zeros(n_comps), np.eye(n, n_comps)
    order = np.argsort(-values)
    loadings = vectors[:, order]
    sign = np.sign(loadings[np.abs(loadings).argmax(axis=0), np.arange(n_comps)])
    return loadings * np.where(sign == 0, 1, sign), np.maximum(values[order], 0)


@takes_arrays
def nearest_isometry(matrix: NDArray[np.floating]) -> NDArray[np.float64]:
    """Matrix with orthonormal rows nearest to another.

    It is the polar factor of the other, the orthogonal Procrustes solution.

    Parameters
    ----------
    matrix
        m x n, with m not above n.

    Returns
    -------
    m x n, float64. Small singular values count as much as large ones, so that no direction is lost.

    Examples
    --------
    >>> nt._kernels.nearest_isometry(np.array([[2.0, 0.0, 0.0], [0.0, 0.5, 0.0]])).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    left, _, right = linalg.svd(np.asarray(matrix, dtype=np.float64), full_matrices=False)
    return np.asarray(left @ right)


@takes_arrays
def gene_axes(
    loadings: NDArray[np.floating],
    variance: NDArray[np.floating],
    *,
    sd: NDArray[np.floating],
    E: NDArray[np.floating],
) -> GeneAxes:
    """Turn principal components into the space of gene vectors, as near to it as an isometry comes.

    With V the loadings of k components, s their standard deviations and E the vectors of those
    genes that have one, centred over them, ``T = diag(s^2 / s_1^2) (V / sqrt(sd))' E``. The
    rotation is the polar factor of T. As it is an isometry, distances between cells stay exactly
    those of the components, while the axes become those of E, the same for every data set.
    Components count by their variance, since it is the large ones that must be turned well; genes
    are scaled between raw and standardised values, since strong genes would decide alone otherwise.

    Parameters
    ----------
    loadings
        Genes x components.
    variance
        Of each component.
    sd
        Standard deviation of each gene over the cells; below 0.001 it counts as that.
    E
        Gene vectors, genes x d; NaN in rows of genes that have none.

    Returns
    -------
    The rotation of at most as many components as the vectors span directions of; of further ones
    nothing is known.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> V = np.linalg.qr(rng.normal(size=(30, 3)))[0]
    >>> axes = nt._kernels.gene_axes(
    ...     V, np.array([3.0, 2.0, 1.0]), sd=np.ones(30), E=rng.normal(size=(30, 8))
    ... )
    >>> np.allclose(axes.rotation @ axes.rotation.T, np.eye(3))
    True
    """
    known = np.isfinite(E).all(axis=1)
    rows = E[known].astype(np.float64)
    rows -= rows.mean(axis=0)
    weighted = loadings[known] / np.sqrt(np.maximum(sd[known], _LEAST_SD))[:, None]
    through = weighted.T @ rows
    # The rank is that of the loadings' images, before variances make the last of them small.
    kept = int(np.linalg.matrix_rank(through)) if through.size else 0
    relative = (variance / max(float(variance[0]), np.finfo(float).tiny))[:, None]
    directions = (relative * through)[:kept]
    n, length = len(rows), float(np.einsum("ij,ij->", rows, rows))
    weights = (weighted * relative[:, 0])[:, :kept]
    # Over all permutations of centred rows a gene meets itself with length / n and another one with
    # -length / n(n - 1).
    expected = (
        length
        / max(n - 1, 1)
        * float(((weights**2).sum(axis=0) - weights.sum(axis=0) ** 2 / max(n, 1)).sum())
    )
    found = float(np.linalg.norm(directions))
    alignment = found / np.sqrt(expected) if expected > 0 else 1.0
    return GeneAxes(nearest_isometry(directions), directions, float(alignment))


@takes_arrays
def held_out_error(
    X: NDArray[np.floating], tried: Sequence[int], *, n_neighbors: int = 15, random_state: int = 0
) -> NDArray[np.float64]:
    """How badly the components of half of the genes predict the other half.

    This is told for several numbers of components.

    Parameters
    ----------
    X
        Cells x genes, in memory.
    tried
        Numbers of components, ascending, the last less than the number of cells and half the number
        of genes.
    n_neighbors
        Cells that predict a cell: the nearest other ones.
    random_state
        Seed of the split.

    Returns
    -------
    Squared error for each of ``tried`` as a share of the variance, over both halves.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(60, 40))
    >>> nt._kernels.held_out_error(X, [2, 4]).shape
    (2,)
    """
    centred = np.asarray(X - X.mean(axis=0), dtype=np.float64)
    n, k = len(X), min(n_neighbors, len(X) - 1)
    genes = np.random.default_rng(random_state).permutation(X.shape[1])
    error = np.zeros(len(tried))
    for half, other in ((genes[::2], genes[1::2]), (genes[1::2], genes[::2])):
        known, target = centred[:, half], centred[:, other]
        if n < half.size:  # of the two covariances the smaller one
            left, square = principal_axes(known @ known.T, tried[-1], random_state=random_state)
            scores = left * np.sqrt(square)
        else:
            scores = (
                known @ principal_axes(known.T @ known, tried[-1], random_state=random_state)[0]
            )
        for i, n_comps in enumerate(tried):
            near = nearest_rows(scores[:, :n_comps], k)
            mean = sparse.csr_array(
                (np.full(near.size, 1 / k), near.ravel(), np.arange(0, near.size + 1, k)), (n, n)
            )
            error[i] += ((target - mean @ target) ** 2).sum()
    return error / max(float((centred**2).sum()), np.finfo(float).tiny)
