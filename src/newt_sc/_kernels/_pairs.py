"""Ridge regression over pairs of two kernels.

The kernels of signatures, structures and gene vectors are here, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.linalg import lapack
from scipy.optimize import nnls
from scipy.sparse.csgraph import connected_components
from scipy.special import ndtri
from scipy.stats import rankdata

from ._plain import takes_arrays
from ._spectral import unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "PairRidge",
    "centered_cosine",
    "components",
    "cosine_rbf",
    "grouped_folds",
    "joined_groups",
    "kernel_weights",
    "normal_scores",
    "profile_cosine",
    "tanimoto",
    "whitening",
]

_FLAT = 1e-12
"""Standard deviation over mean up to which values are the same but for rounding."""

_PANEL = 64
"""Columns that LAPACK takes at once, where it has the memory to."""


@takes_arrays
def normal_scores(X: NDArray[np.floating]) -> NDArray[np.float64]:
    """Rank each row to normal scores, over what is measured in it.

    Parameters
    ----------
    X
        Signatures x genes; NaN where not measured.

    Returns
    -------
    Array of the same shape: ``Phi^-1((rank - 1/2) / n)`` with mean ranks of ties, 0 where not
    measured. A row whose measured values are all the same, or fewer than two, is NaN: it has no
    order.

    Examples
    --------
    >>> nt._kernels.normal_scores(np.array([[5.0, 1.0, np.nan, 3.0]])).round(2).tolist()
    [[0.97, -0.97, 0.0, 0.0]]
    """
    X = np.asarray(X, dtype=np.float64)
    known = ~np.isnan(X)
    n = known.sum(axis=1)
    ranks = rankdata(X, axis=1, nan_policy="omit") if not known.all() else rankdata(X, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        out: NDArray[np.float64] = np.asarray(ndtri((ranks - 0.5) / n[:, None]))
    out[~known] = 0
    filled = np.where(known, X, np.nan)
    flat = n < 2
    flat[~flat] = np.nanmax(filled[~flat], axis=1) == np.nanmin(filled[~flat], axis=1)
    out[flat] = np.nan
    return out


@takes_arrays
def whitening(
    X: NDArray[np.floating], power: float = -0.25
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Fit the standardisation of columns and their partial whitening.

    Parameters
    ----------
    X
        Rows x columns, finite.
    power
        Exponent of the regularised eigenvalues ``d + mean(d)`` of the correlation matrix: -0.5
        whitens, 0 does nothing.

    Returns
    -------
    Mean and standard deviation of the columns (1 where a column does not vary), and the symmetric
    matrix to multiply standardised rows by.

    Examples
    --------
    >>> mean, deviation, W = nt._kernels.whitening(np.random.default_rng(0).normal(size=(50, 3)))
    >>> W.shape, bool(np.allclose(W, W.T))
    ((3, 3), True)
    """
    X = np.asarray(X, dtype=np.float64)
    mean, sd = X.mean(axis=0), X.std(axis=0)
    sd = np.where(sd > _FLAT * np.abs(mean), sd, 1.0)
    Z = (X - mean) / sd
    values, vectors = np.linalg.eigh(Z.T @ Z / len(Z))
    values = np.maximum(values, 0)
    # A product of a matrix with itself takes half the time of another.
    half = vectors * (values + max(values.mean(), 1e-12)) ** (power / 2)
    return mean, sd, half @ half.T


@takes_arrays
def cosine_rbf(
    A: NDArray[np.floating], B: NDArray[np.floating], gamma: float
) -> NDArray[np.float64]:
    """Radial kernel on the cosine of unit rows: ``exp(-gamma (1 - cos))``.

    Parameters
    ----------
    A, B
        Unit rows, n x d and m x d.
    gamma
        Sharpness.

    Returns
    -------
    Array of n x m.

    Examples
    --------
    >>> nt._kernels.cosine_rbf(np.eye(2), np.eye(2), 1.0).round(3).tolist()
    [[1.0, 0.368], [0.368, 1.0]]
    """
    K: NDArray[np.float64] = np.exp(
        -gamma * (1 - np.asarray(A, dtype=np.float64) @ np.asarray(B, dtype=np.float64).T)
    )
    return K


@takes_arrays
def centered_cosine(
    X: NDArray[np.floating], rows: NDArray[np.integer] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Centre rows, then divide them by their length, so that products are cosines.

    Also tell which rows are known.

    Cosines depend on where zero is. Around the mean they do not: the same vector added to all rows
    changes nothing.

    Parameters
    ----------
    X
        Rows x dimensions; rows of NaN or zeros are not known and come out as zeros.
    rows
        Rows whose mean to centre on, of those that are known; all by default.

    Returns
    -------
    Unit rows (zeros where not known), and whether each row is known.

    Examples
    --------
    >>> U, known = nt._kernels.centered_cosine(np.array([[3.0, 1.0], [1.0, 1.0], [0.0, 0.0]]))
    >>> U.tolist(), known.tolist()
    ([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]], [True, True, False])
    """
    wide = np.asarray(X, dtype=np.float64)
    known = np.isfinite(wide).all(axis=1) & (wide != 0).any(axis=1)
    at = known if rows is None else np.asarray(rows)[known[rows]]
    mean = wide[at].mean(axis=0) if wide[at].size else np.zeros(wide.shape[1])
    out = np.zeros(wide.shape)
    out[known] = unit_rows(wide[known] - mean)
    return out, known


@takes_arrays
def tanimoto(A: NDArray[np.integer], B: NDArray[np.integer]) -> NDArray[np.float64]:
    """Tanimoto similarity of bit vectors.

    Parameters
    ----------
    A, B
        Bits, n x d and m x d.

    Returns
    -------
    Array of n x m; 0 where both are empty.

    Examples
    --------
    >>> nt._kernels.tanimoto(np.array([[1, 1, 0]]), np.array([[1, 0, 0], [1, 1, 0]])).tolist()
    [[0.5, 1.0]]
    """
    A, B = A.astype(np.float32), B.astype(np.float32)
    both = (A @ B.T).astype(np.float64)
    either = A.sum(axis=1)[:, None] + B.sum(axis=1)[None] - both
    out: NDArray[np.float64] = np.divide(both, either, out=np.zeros_like(both), where=either > 0)
    return out


@takes_arrays
def profile_cosine(Y: NDArray[np.floating]) -> NDArray[np.float64]:
    """Cosine of the columns of a non-negative matrix.

    Parameters
    ----------
    Y
        Rows x t.

    Returns
    -------
    Array of t x t; 0 with a column of zeros.

    Examples
    --------
    >>> nt._kernels.profile_cosine(np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])).round(2).tolist()
    [[1.0, 0.71, 0.71], [0.71, 1.0, 0.0], [0.71, 0.0, 1.0]]
    """
    U = unit_rows(np.asarray(Y, dtype=np.float64).T)
    return U @ U.T


@takes_arrays
def kernel_weights(
    features: Sequence[NDArray[np.floating]], target: NDArray[np.floating], use: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Non-negative weights of kernels that together predict a similarity of pairs.

    Parameters
    ----------
    features
        Kernels, n x n each.
    target
        Similarity to predict, n x n.
    use
        Pairs to learn from, n x n; only those above the diagonal count.

    Returns
    -------
    A weight for each kernel, by non-negative least squares on centred and scaled columns; they sum
    to 1, and are equal where nothing can be learned.

    Examples
    --------
    >>> target = np.array([[1.0, 0.8, 0.1], [0.8, 1.0, 0.2], [0.1, 0.2, 1.0]])
    >>> noise = np.array([[1.0, 0.1, 0.4], [0.1, 1.0, 0.3], [0.4, 0.3, 1.0]])
    >>> nt._kernels.kernel_weights([target, noise], target, np.ones(3, dtype=bool)).round(
    ...     2
    ... ).tolist()
    [1.0, 0.0]
    """
    rows, columns = np.nonzero(np.triu(use, 1))
    equal = np.full(len(features), 1 / len(features))
    if len(rows) < 2:
        return equal
    A = np.stack([feature[rows, columns] for feature in features], axis=1).astype(np.float64)
    y = np.asarray(target, dtype=np.float64)[rows, columns]
    A -= A.mean(axis=0)
    sd = A.std(axis=0)
    A /= np.where(sd > 0, sd, 1)
    # the normal equations: as many rows as kernels, whatever the number of pairs
    gram = A.T @ A + 1e-9 * len(A) * np.eye(A.shape[1])
    chol = np.linalg.cholesky(gram)
    weights, _ = nnls(chol.T, np.linalg.solve(chol, A.T @ (y - y.mean())))
    weights = np.where(sd > 0, weights / np.where(sd > 0, sd, 1), 0)
    return weights / weights.sum() if weights.sum() > 0 else equal


class PairRidge:
    """Kronecker kernel ridge regression.

    It scores all pairs of rows and columns from a row and a column kernel.

    Minimises the squared error of ``K A G`` to Y plus ``penalty`` times the norm of A in the
    product of both spaces (Pahikkala et al. 2013, Machine Learning 93:321). Both kernels are
    reduced once for all penalties and labels: G to its eigenvalues, K to a tridiagonal matrix,
    which takes a third of the time and serves as well.

    Parameters
    ----------
    K
        Kernel of rows, n x n, symmetric and positive semi-definite.
    G
        Kernel of columns, t x t, of the same kind.

    Examples
    --------
    >>> K, G = np.eye(3) + 0.5, np.eye(2) + 0.5
    >>> model = nt._kernels.PairRidge(K, G)
    >>> A = model.coefficients(model.project(np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])), 0.1)
    >>> (K @ A @ G).round(1).tolist()
    [[0.9, 0.0], [0.0, 0.9], [0.0, 0.0]]
    """

    def __init__(self, K: NDArray[np.floating], G: NDArray[np.floating]) -> None:
        values, self._P = np.linalg.eigh(np.asarray(G, dtype=np.float64))
        self._g = np.maximum(values, 0)
        # K = Q T Q': LAPACK leaves the reflectors that make Q below the diagonal of T.
        packed, self._diagonal, self._beside, self._tau, _ = lapack.dsytrd(
            np.asarray(K, dtype=np.float64), lower=1, lwork=_PANEL * len(K)
        )
        self._reflectors = np.asfortranarray(packed[1:, :-1])

    def project(self, Y: NDArray[np.floating]) -> NDArray[np.float64]:
        """Turn labels into both bases.

        Parameters
        ----------
        Y
            Labels, n x t.

        Returns
        -------
        Array of n x t.
        """
        return self._turn(np.asarray(Y, dtype=np.float64) @ self._P, "T")

    def coefficients(self, projected: NDArray[np.float64], penalty: float) -> NDArray[np.float64]:
        """Take A, n x t.

        Parameters
        ----------
        projected
            Labels as :meth:`project` gives them.
        penalty
            Ridge penalty, above 0.

        Returns
        -------
        Array of n x t.
        """
        # Each eigenvalue g of G has its own system, (g T + penalty) x = y. All go through one
        # elimination, row by row; its pivots are at least the penalty, for T has no eigenvalue
        # below 0 but for rounding.
        X, pivot = np.array(projected, dtype=np.float64, order="C"), np.empty(projected.shape)
        beside = self._beside[:, None] * self._g
        pivot[0] = np.maximum(self._g * self._diagonal[0] + penalty, penalty)
        for i in range(1, len(X)):
            step = beside[i - 1] / pivot[i - 1]
            pivot[i] = self._g * self._diagonal[i] + penalty - step * beside[i - 1]
            np.maximum(pivot[i], penalty, out=pivot[i])
            X[i] -= step * X[i - 1]
        X[-1] /= pivot[-1]
        for i in range(len(X) - 2, -1, -1):
            X[i] = (X[i] - beside[i] * X[i + 1]) / pivot[i]
        out: NDArray[np.float64] = self._turn(X, "N") @ self._P.T
        return out

    def _turn(self, X: NDArray[np.float64], how: str) -> NDArray[np.float64]:
        """Multiply by Q, or for ``"T"`` by its transpose; the first row and column are the unit."""
        out = np.array(X, order="F")
        if len(X) > 1:
            out[1:], _, _ = lapack.dormqr(
                "L", how, self._reflectors, self._tau, out[1:], lwork=_PANEL * X.shape[1]
            )
        return out


def joined_groups(*labels: Sequence[str]) -> NDArray[np.intp]:
    """Group rows that share a label in any of some lists; empty labels join nothing.

    Parameters
    ----------
    *labels
        Lists of equal length.

    Returns
    -------
    Group of each row, from 0.

    Examples
    --------
    >>> nt._kernels.joined_groups(["a", "b", "a"], ["", "x", "x"]).tolist()
    [0, 0, 0]
    """
    n = len(labels[0])
    rows, columns, n_labels = [], [], 0
    for part in labels:
        values = np.asarray(part, dtype=str)
        known = np.flatnonzero(values != "")
        found, code = np.unique(values[known], return_inverse=True)
        rows.append(known)
        columns.append(code + n_labels)
        n_labels += len(found)
    row, column = np.concatenate(rows), np.concatenate(columns)
    member = sparse.csr_array((np.ones(len(row)), (row, column)), shape=(n, n_labels))
    return components(member @ member.T)


@takes_arrays
def components(linked: NDArray[Any] | sparse.csr_array) -> NDArray[np.intp]:
    """Find the connected components of a graph.

    Parameters
    ----------
    linked
        Symmetric adjacency, n x n.

    Returns
    -------
    Number of each row's component, from 0.

    Examples
    --------
    >>> nt._kernels.components(np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=bool)).tolist()
    [0, 0, 1]
    """
    return np.asarray(
        connected_components(sparse.csr_array(linked), directed=False)[1], dtype=np.intp
    )


def grouped_folds(
    groups: NDArray[np.integer], n_folds: int = 5, *, random_state: int = 0
) -> NDArray[np.intp]:
    """Deal groups to folds, largest first, each to the fold with the fewest rows.

    Parameters
    ----------
    groups
        Group of each row.
    n_folds
        Number of folds.
    random_state
        Seed of the order of groups of one size.

    Returns
    -------
    Fold of each row; rows of a group share it.

    Examples
    --------
    >>> nt._kernels.grouped_folds(np.array([0, 0, 1, 2]), 2).shape
    (4,)
    """
    found, code, size = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.lexsort((np.random.default_rng(random_state).permutation(len(found)), -size))
    fold, load = np.empty(len(found), dtype=np.intp), np.zeros(n_folds)
    for group in order:
        fold[group] = load.argmin()
        load[fold[group]] += size[group]
    return fold[code]
