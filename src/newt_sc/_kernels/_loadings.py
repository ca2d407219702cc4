"""What each block adds to vectors that are a linear map of several blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ._plain import takes_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["loadings"]

_RANK = 1e-9
"""Eigenvalues of the blocks' Gram matrix below this fraction of the largest count as zero."""


@takes_arrays
def loadings(
    blocks: Sequence[NDArray[np.floating]], X: NDArray[np.floating]
) -> tuple[list[NDArray[np.float32]], float]:
    r"""Fit vectors by least squares as a sum of maps of blocks, :math:`x = \sum_m b_m W_m + c`.

    Where several maps fit alike, as with fewer rows than dimensions, it is the one of least norm:
    for principal components of the blocks side by side that is the map that made them.

    Parameters
    ----------
    blocks
        For each block rows x its dimensions; NaN counts as zero.
    X
        Vectors, rows x dimensions, finite.

    Returns
    -------
    W of each block (its dimensions x dimensions of X, float32), and the fraction of the variance of
    X that the fit explains; NaN where X does not vary.

    Examples
    --------
    >>> B = np.random.default_rng(0).normal(size=(30, 2))
    >>> maps, explained = nt._kernels.loadings([B], B @ np.array([[1.0, 0.0], [0.0, 2.0]]))
    >>> maps[0].round(3).tolist(), round(explained, 3)
    ([[1.0, -0.0], [-0.0, 2.0]], 1.0)
    """
    joined = np.hstack([np.nan_to_num(np.asarray(block, dtype=np.float64)) for block in blocks])
    joined -= joined.mean(axis=0)
    centred = np.asarray(X, dtype=np.float64) - np.mean(X, axis=0, dtype=np.float64)
    values, axes = np.linalg.eigh(joined.T @ joined)
    keep = values > _RANK * max(values[-1], np.finfo(np.float64).tiny)
    axes = axes[:, keep]
    W = axes @ ((axes.T @ (joined.T @ centred)) / values[keep, None])
    total = float((centred**2).sum())
    r2 = 1 - float(((centred - joined @ W) ** 2).sum()) / total if total > 0 else float("nan")
    ends = np.cumsum([block.shape[1] for block in blocks])[:-1]
    return [part.astype(np.float32) for part in np.split(W, ends)], r2
