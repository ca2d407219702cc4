"""Principal components with a functional prior on the genes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import LinearOperator, eigsh

from ._moments import nearest_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Blend", "blend", "smoother"]


@dataclass(frozen=True)
class Blend:
    """Loadings of a blended PCA.

    Attributes
    ----------
    loadings
        Genes x components, float64: the components of cells are ``(X - mean) @ loadings``.
    variance
        Variance of each component over the cells.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(50, 4))
    >>> found = nt.kernels.blend(
    ...     np.cov(X.T),
    ...     lambda T: T.T @ np.cov(X.T) @ T,
    ...     np.eye(4),
    ...     known=np.ones(4, dtype=bool),
    ...     alpha=0.2,
    ...     beta=0.0,
    ...     n_comps=2,
    ... )
    >>> found.loadings.shape, found.variance.shape
    ((4, 2), (2,))
    """

    loadings: NDArray[np.float64]
    variance: NDArray[np.float64]


def smoother(E: NDArray[np.floating], known: NDArray[np.bool_], n_neighbors: int) -> sparse.csr_array:
    """Matrix W so that ``X @ W`` is expression averaged over each gene's nearest genes.

    Parameters
    ----------
    E
        Gene table, genes x d.
    known
        Which genes have a row in ``E``; the others are left as they are.
    n_neighbors
        Nearest genes by cosine, the gene itself apart.

    Returns
    -------
    Sparse array of genes x genes; column j averages the neighbours of gene j.

    Examples
    --------
    >>> W = nt.kernels.smoother(np.eye(3), np.ones(3, dtype=bool), 1)
    >>> W.shape
    (3, 3)
    """
    n_genes = E.shape[0]
    at = np.flatnonzero(known)
    k = min(n_neighbors, at.size - 1)
    rest = np.flatnonzero(~known) if k > 0 else np.arange(n_genes)
    if k <= 0:
        return sparse.csr_array(sparse.eye_array(n_genes))
    near = at[nearest_rows(E[at], k)]
    rows = np.concatenate([near.ravel(), rest])
    cols = np.concatenate([np.repeat(at, k), rest])
    data = np.concatenate([np.full(near.size, 1 / k), np.ones(rest.size)])
    return sparse.csr_array((data, (rows, cols)), shape=(n_genes, n_genes))


def blend(
    covariance: NDArray[np.float64] | LinearOperator,
    gram: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    E: NDArray[np.floating],
    *,
    known: NDArray[np.bool_],
    alpha: float,
    beta: float,
    n_comps: int,
    n_neighbors: int = 15,
    random_state: int = 0,
) -> Blend:
    """PCA of cells with a functional prior on the genes.

    With X centred, Y = X E and S = X W (expression averaged over each gene's nearest genes in E):
    ``P = PCA[(1 - beta) X + beta S]; Z = PCA[sqrt(1 - alpha) P / |P|, sqrt(alpha) Y / |Y|]``, ``|.|`` the Frobenius
    norm, rescaled by ``|P| / sqrt(1 - alpha)``. All of it is linear in X, so only the covariance of the genes is needed
    and the result is one matrix of loadings. With ``alpha = beta = 0`` these are the loadings of PCA.

    Parameters
    ----------
    covariance
        Covariance of the genes over the cells: an array of genes x genes, or an operator.
    gram
        Takes T of genes x t and gives ``T.T @ covariance @ T``.
    E
        Gene table, genes x d, finite; rows of genes that are not known are ignored.
    known
        Which genes have a row in ``E``.
    alpha
        Weight of the projection Y, 0 <= alpha < 1.
    beta
        Weight of the smoothed expression S, 0 <= beta <= 1.
    n_comps
        Number of components, less than the number of genes.
    n_neighbors
        Nearest genes that S averages.
    random_state
        Seed of the solver's first vector.

    Returns
    -------
    The loadings and the variance of each component, largest first. In each component the loading of the largest
    absolute value is positive.

    Examples
    --------
    >>> C = np.diag([3.0, 2.0, 1.0])
    >>> plain = nt.kernels.blend(
    ...     C, lambda T: T.T @ C @ T, np.eye(3), known=np.ones(3, dtype=bool), alpha=0.0, beta=0.0, n_comps=2
    ... )
    >>> plain.variance.round(3).tolist()  # those of PCA
    [3.0, 2.0]
    """
    n_genes = E.shape[0]
    prior = np.where(known[:, None], E, 0).astype(np.float64)
    mix: sparse.csr_array | None = None
    if beta > 0:
        identity = sparse.eye_array(n_genes, format="csr")
        mix = sparse.csr_array((1 - beta) * identity + beta * smoother(prior, known, n_neighbors))
    variance, vectors = top(covariance, mix, n_comps, random_state)
    loadings = vectors if mix is None else mix @ vectors
    if alpha > 0:
        both = np.hstack([loadings, prior])
        inner = gram(both)
        size_p = np.sqrt(max(np.trace(inner[:n_comps, :n_comps]), 0))
        size_y = np.sqrt(max(np.trace(inner[n_comps:, n_comps:]), 0))
        if size_p > 0 and size_y > 0:
            scale = np.repeat([1.0, np.sqrt(alpha / (1 - alpha)) * size_p / size_y], [n_comps, prior.shape[1]])
            variance, rotation = leading(inner * scale * scale[:, None], n_comps)
            loadings = (both * scale) @ rotation
    largest = np.abs(loadings).argmax(axis=0)
    sign = np.sign(loadings[largest, np.arange(loadings.shape[1])])
    return Blend(loadings * np.where(sign == 0, 1, sign), variance)


def leading(matrix: NDArray[np.float64], k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Largest eigenvalues, not below 0, and vectors of a symmetric array, largest first."""
    n = matrix.shape[0]
    values, vectors = linalg.eigh((matrix + matrix.T) / 2, subset_by_index=(n - k, n - 1))
    return np.maximum(values[::-1], 0), vectors[:, ::-1]


def top(
    covariance: NDArray[np.float64] | LinearOperator, mix: sparse.csr_array | None, k: int, random_state: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Largest eigenvalues and vectors of ``mix.T @ covariance @ mix``."""
    n = covariance.shape[0]
    if isinstance(covariance, np.ndarray):
        mixed = covariance if mix is None else mix.T @ (mix.T @ covariance.T).T
        if n <= 512 or k > n // 4:
            return leading(mixed, k)
        operator = (mixed + mixed.T) / 2
    else:
        operator = covariance
        if mix is not None:
            operator = LinearOperator(
                (n, n), matvec=lambda v: mix.T @ covariance.matvec(mix @ v.ravel()), dtype=np.float64
            )
    first = np.random.default_rng(random_state).standard_normal(n)
    values, vectors = eigsh(operator, k=k, v0=first)
    order = np.argsort(-values)
    return np.maximum(values[order], 0), vectors[:, order]
