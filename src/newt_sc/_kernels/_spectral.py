"""Spectral blocks: what a modality says of its genes, as a few dimensions.

Sets become TF-IDF and a truncated SVD; networks positive pointwise mutual information (PPMI) and a
truncated SVD; expression profiles z-scores within each data set, weighted down where a data set has
many conditions, and a truncated SVD (Levy and Goldberg, NeurIPS 2014, for PPMI). Every block is
centred over its genes and its rows have length one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from ._plain import takes_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["fuse", "ppmi", "row_cosine", "spectral_block", "tfidf", "unit_rows", "zscore_groups"]

_MIN_SD = 0.25
"""Least standard deviation of a log2 expression profile that a z-score divides by."""


@takes_arrays
def tfidf(X: sparse.sparray, *, min_size: int = 3) -> sparse.csr_array:
    """Weigh membership by the rarity of each feature; rows of length one.

    Parameters
    ----------
    X
        Genes x features, non-negative; what is not zero is a member, with that weight.
    min_size
        Features of fewer genes are left out: they tell nothing about likeness.

    Returns
    -------
    Sparse array of genes x kept features.

    Examples
    --------
    >>> from scipy import sparse
    >>> X = sparse.csr_array(np.array([[1, 1], [1, 0], [1, 1], [0, 1.0]]))
    >>> nt._kernels.tfidf(X, min_size=1).shape
    (4, 2)
    """
    X = sparse.csr_array(X, dtype=np.float64, copy=True)
    X.sum_duplicates()
    X.eliminate_zeros()
    size = np.bincount(X.indices, minlength=X.shape[1])
    keep = size >= min_size
    X = sparse.csr_array(X[:, keep])
    weight = np.log(X.shape[0] / size[keep])
    X = sparse.csr_array(X @ sparse.diags_array(weight))
    norm = sparse.linalg.norm(X, axis=1)
    # sklearn's normalize does the same, but refuses to have no feature.
    return sparse.csr_array(
        sparse.diags_array(np.divide(1, norm, out=np.zeros_like(norm), where=norm > 0)) @ X
    )


@takes_arrays
def ppmi(X: sparse.sparray) -> sparse.csr_array:
    """Positive pointwise mutual information of a network's edges.

    Parameters
    ----------
    X
        Genes x partners, non-negative edge weights.

    Returns
    -------
    Sparse array of the same shape: log(w_ij w / (w_i w_j)), or zero where that is negative.

    Examples
    --------
    >>> from scipy import sparse
    >>> nt._kernels.ppmi(
    ...     sparse.csr_array(np.array([[0, 1.0, 0], [1.0, 0, 0], [0, 0, 1.0]]))
    ... ).toarray().round(2).tolist()
    [[0.0, 1.1, 0.0], [1.1, 0.0, 0.0], [0.0, 0.0, 1.1]]
    """
    coo = sparse.coo_array(X, dtype=np.float64, copy=True)
    coo.sum_duplicates()
    coo.eliminate_zeros()
    rows, cols = np.asarray(coo.sum(axis=1)).ravel(), np.asarray(coo.sum(axis=0)).ravel()
    value = np.log(coo.data * coo.data.sum() / (rows[coo.row] * cols[coo.col]))
    out = sparse.csr_array((np.maximum(value, 0), (coo.row, coo.col)), shape=X.shape)
    out.eliminate_zeros()
    return out


@takes_arrays
def zscore_groups(
    X: NDArray[np.floating], groups: Sequence[Any] | NDArray[Any]
) -> NDArray[np.float64]:
    """Standardise each gene within each data set, and weigh down data sets of many conditions.

    Parameters
    ----------
    X
        Genes x conditions, log expression. A gene that is not finite in all conditions of a data
        set is absent from it.
    groups
        Data set of each condition.

    Returns
    -------
    Array of genes x conditions; each data set of n conditions is multiplied by n^-0.25. Standard
    deviations below 0.25 count as 0.25. In a data set of one or two conditions each condition is
    centred over the genes instead. Where a gene is absent stands 0.

    Examples
    --------
    >>> nt._kernels.zscore_groups(np.array([[1.0, 2.0, 3.0, 4.0]]), ["a", "a", "a", "a"]).round(
    ...     2
    ... ).tolist()
    [[-0.95, -0.32, 0.32, 0.95]]
    """
    out = np.zeros(X.shape)
    labels = np.asarray(groups)
    for label in dict.fromkeys(labels.tolist()):
        at = labels == label
        block = np.asarray(X[:, at], dtype=np.float64)
        ok = np.isfinite(block).all(axis=1)
        if not ok.any():
            continue
        block = block[ok]
        if at.sum() < 3:
            block = block - block.mean(axis=0)
        else:
            block = (block - block.mean(axis=1, keepdims=True)) / np.maximum(
                block.std(axis=1, keepdims=True), _MIN_SD
            )
        out[np.ix_(ok, at)] = block * at.sum() ** -0.25
    return out


@takes_arrays
def unit_rows(X: NDArray[np.floating]) -> NDArray[np.float64]:
    """Divide rows by their Euclidean length.

    Parameters
    ----------
    X
        Array of n x d.

    Returns
    -------
    Array of n x d, float64, with rows of length one; rows of zeros stay, rows with NaN become NaN.

    Examples
    --------
    >>> nt._kernels.unit_rows(np.array([[3.0, 4.0]])).tolist()
    [[0.6, 0.8]]
    """
    wide = np.asarray(X, dtype=np.float64)
    norm = np.linalg.norm(wide, axis=1, keepdims=True)
    unit: NDArray[np.float64] = np.divide(wide, norm, out=np.zeros_like(wide), where=norm != 0)
    return unit


@takes_arrays
def row_cosine(A: NDArray[np.floating], B: NDArray[np.floating]) -> NDArray[np.float64]:
    """Cosine of each row of one array with the same row of another.

    Parameters
    ----------
    A, B
        Arrays of n x d.

    Returns
    -------
    Array of n; 0 where a row is zero, NaN where one has NaN.

    Examples
    --------
    >>> nt._kernels.row_cosine(np.array([[3.0, 4.0]]), np.array([[1.0, 0.0]])).round(2).tolist()
    [0.6]
    """
    return np.asarray(np.einsum("ij,ij->i", unit_rows(A), unit_rows(B)))


@takes_arrays
def spectral_block(
    X: sparse.sparray | NDArray[np.floating],
    n_comps: int,
    *,
    power: float = 0.5,
    random_state: int = 0,
) -> NDArray[np.float32]:
    """Reduce features by truncated SVD, centred over the genes, with rows of length one.

    Parameters
    ----------
    X
        Genes x features, all genes known.
    n_comps
        Dimensions; fewer where the features have fewer.
    power
        Exponent of the singular values: the block is U S^power before centring.
    random_state
        Seed of the randomised SVD.

    Returns
    -------
    Array of genes x at most ``n_comps``, float32.

    Examples
    --------
    >>> nt._kernels.spectral_block(np.random.default_rng(0).normal(size=(30, 8)), 3).shape
    (30, 3)
    """
    left, singular = _svd(X, n_comps, random_state)
    block = left * singular**power
    return unit_rows(block - block.mean(axis=0)).astype(np.float32)


@takes_arrays
def fuse(
    blocks: Sequence[NDArray[np.floating]],
    n_comps: int,
    *,
    power: float = 0.5,
    random_state: int = 0,
) -> NDArray[np.float32]:
    """Concatenate blocks and reduce them by PCA.

    Parameters
    ----------
    blocks
        One block per modality, genes x its dimensions. Rows of NaN are genes that it does not
        know; they count as zero, where its vectors are centred.
    n_comps
        Dimensions of the fused vector.
    power
        Exponent of the singular values: with 1 the columns are principal component scores; below 1
        the first components weigh less.
    random_state
        Seed of the randomised SVD.

    Returns
    -------
    Principal components of genes x at most ``n_comps``, float32, largest variance first.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> nt._kernels.fuse([rng.normal(size=(30, 5)), rng.normal(size=(30, 4))], 3).shape
    (30, 3)
    """
    joined = np.hstack([np.nan_to_num(block.astype(np.float64)) for block in blocks])
    left, singular = _svd(joined - joined.mean(axis=0), n_comps, random_state)
    return (left * singular**power).astype(np.float32)


def _svd(
    X: sparse.sparray | NDArray[np.floating], n_comps: int, random_state: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Left singular vectors and values.

    In each vector the entry of the largest absolute value is positive.
    """
    from sklearn.utils.extmath import randomized_svd

    k = min(n_comps, *X.shape)
    left, singular, _ = randomized_svd(X, k, n_iter=6, random_state=random_state, flip_sign=False)
    sign = np.sign(left[np.abs(left).argmax(axis=0), np.arange(k)])
    return left * np.where(sign == 0, 1, sign), singular
