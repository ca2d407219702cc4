"""Signatures in a gene space: signed scores, signed projections, weights against a background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from scipy import sparse
from scipy.special import ndtri

from ._plain import takes_arrays
from ._project import project

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["background_cosine", "list_weights", "project_signatures", "signed_scores"]


@takes_arrays
def signed_scores(X: sparse.csr_array) -> sparse.csr_array:
    """Rank the changes of each signature to signed normal scores.

    A change of absolute rank r among the n of its row becomes ``sign(x) Phi^-1((1 + r / (n + 1)) /
    2)``: signs stay, zero stays zero, sizes are those of a half-normal sample. Equal sizes share
    their mean rank.

    Parameters
    ----------
    X
        Signatures x genes. What is stored is what changed; zeros that are stored stay zero and
        count for nothing.

    Returns
    -------
    Array of the same shape, float32.

    Examples
    --------
    >>> from scipy import sparse
    >>> nt._kernels.signed_scores(sparse.csr_array([[2.0, -9.0, 0.0]])).toarray().astype(
    ...     float
    ... ).round(2).tolist()
    [[0.43, -0.97, 0.0]]
    """
    X = sparse.csr_array(X, dtype=np.float32, copy=True)
    X.eliminate_zeros()
    share = np.empty(X.data.size)
    _shares_of_rank(np.abs(X.data), X.indptr.astype(np.int64), share)
    X.data = np.copysign(ndtri((1 + share) / 2), X.data).astype(np.float32)
    return X


@numba.njit(nogil=True, cache=True)
def _shares_of_rank(
    size: NDArray[np.float32], indptr: NDArray[np.int64], out: NDArray[np.float64]
) -> None:
    """Rank of each value in its row, over the number of values and one.

    Equal values share their mean rank.
    """
    for i in range(len(indptr) - 1):
        start, n = indptr[i], indptr[i + 1] - indptr[i]
        row = size[start : start + n]
        order = np.argsort(row)
        first = 0
        while first < n:
            last = first
            while last + 1 < n and row[order[last + 1]] == row[order[first]]:
                last += 1
            for j in range(first, last + 1):
                out[start + order[j]] = (1 + (first + last) / 2) / (n + 1)
            first = last + 1


@takes_arrays
def project_signatures(
    X: sparse.csr_array, E: NDArray[np.floating]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    r"""Project signatures through a gene table, signed, and their up and down parts apart.

    Parameters
    ----------
    X
        Signatures x genes, finite: positive up, negative down, absent not changed or not measured.
    E
        Gene table, genes x d, finite.

    Returns
    -------
    ``X E / \|x\|`` with the Euclidean norm of each row, and the means of the vectors of its
    positive and of its negative genes weighted by ``\|x\|``; each signatures x d, float32. A row of
    nothing is NaN.

    Examples
    --------
    >>> from scipy import sparse
    >>> signed, up, down = nt._kernels.project_signatures(
    ...     sparse.csr_array([[3.0, -4.0]]), np.eye(2)
    ... )
    >>> signed.astype(float).round(2).tolist(), up.tolist(), down.tolist()
    ([[0.6, -0.8]], [[1.0, 0.0]], [[0.0, 1.0]])
    """
    X = sparse.csr_array(X, dtype=np.float32)
    up, down = X.maximum(0).tocsr(), (-X).maximum(0).tocsr()
    norm = np.sqrt(np.asarray(X.multiply(X).sum(axis=1), dtype=np.float64))
    parts = [(X, norm), (up, up.sum(axis=1)), (down, down.sum(axis=1))]
    signed, high, low = (_over(project(part, E), np.asarray(total)) for part, total in parts)
    return signed, high, low


def _over(sums: NDArray[np.float32], total: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total[:, None] > 0, sums / total[:, None], np.nan).astype(np.float32)


@takes_arrays
def background_cosine(
    U: NDArray[np.floating], rows: NDArray[np.intp] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Take mean and standard deviation of the cosines of each gene to all genes.

    Parameters
    ----------
    U
        Unit vectors, genes x d.
    rows
        Genes to tell it of; all by default.

    Returns
    -------
    The two, one value for each of ``rows``.

    Examples
    --------
    >>> U = nt._kernels.unit_rows(np.array([[1.0, 0.0], [0.0, 1.0]]))
    >>> mean, deviation = nt._kernels.background_cosine(U)
    >>> mean.tolist(), deviation.tolist()
    ([0.5, 0.5], [0.5, 0.5])
    """
    wide = np.asarray(U, dtype=np.float64)
    some = wide if rows is None else wide[rows]
    mean = some @ wide.mean(axis=0)
    square = np.einsum("ij,ij->i", some @ (wide.T @ wide / len(wide)), some)
    return mean, np.sqrt(np.maximum(square - mean * mean, 0))


@takes_arrays
def list_weights(
    X: sparse.csr_array,
    U: NDArray[np.floating],
    *,
    mean: NDArray[np.floating],
    deviation: NDArray[np.floating],
) -> sparse.csr_array:
    """Weight the genes of lists by how much alike they are.

    The weight of a gene is ``clip((c - mean) / deviation, 0, 1)``, with c its mean cosine to the
    genes of the list, itself among them, weighted as ``X`` says.

    Parameters
    ----------
    X
        Lists x genes, not negative.
    U
        Unit vectors, genes x d.
    mean, deviation
        Of the cosines of each gene to the background, as :func:`background_cosine` tells them. A
        gene whose deviation is zero has no weight.

    Returns
    -------
    Weights in the places of ``X``, float32.

    References
    ----------
    Chen et al. (2024), Nature Communications 15:1853 (FRoGS).

    Examples
    --------
    >>> from scipy import sparse
    >>> U = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> mean, deviation = nt._kernels.background_cosine(U)
    >>> nt._kernels.list_weights(
    ...     sparse.csr_array([[1.0, 1.0, 0.0, 0.0]]), U, mean=mean, deviation=deviation
    ... ).toarray().round(2).tolist()
    [[1.0, 1.0, 0.0, 0.0]]
    """
    X = sparse.csr_array(X, dtype=np.float32)
    center = np.nan_to_num(_over(project(X, U), np.asarray(X.sum(axis=1))))
    row, column = X.nonzero()
    cosine = (center @ np.asarray(U, dtype=np.float32).T)[row, column]
    sd = deviation[column]
    z = np.divide(cosine - mean[column], sd, out=np.zeros(sd.shape), where=sd > 0)
    return sparse.csr_array((np.clip(z, 0, 1).astype(np.float32), (row, column)), shape=X.shape)
