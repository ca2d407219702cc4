"""How well one table of vectors predicts another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ridge_r2"]


def ridge_r2(
    X: NDArray[np.floating],
    Y: NDArray[np.floating],
    folds: NDArray[np.integer],
    *,
    penalties: Sequence[float] = (1e-3, 1e-2, 1e-1, 1.0),
) -> NDArray[np.float64]:
    """Cross-validate a ridge regression of all columns of Y on X.

    The penalty of each fold is the one that, of models trained without this fold and the next, does best on the next.
    All is computed from moments of the folds.

    Parameters
    ----------
    X, Y
        Rows x dimensions, finite.
    folds
        Fold of each row, 0 to the number of folds less one; three folds at least, none of them empty.
    penalties
        Ridge penalties to choose from, as multiples of the mean eigenvalue of the training rows' covariance.

    Returns
    -------
    For each fold the fraction of the variance of its rows of Y, around the mean of the training rows, that is
    predicted; negative where the mean would have done better.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(60, 3))
    >>> bool((nt.kernels.ridge_r2(X, X @ np.ones((3, 2)), np.arange(60) % 3) > 0.9).all())
    True
    """
    n_folds = int(folds.max()) + 1
    parts = []
    for fold in range(n_folds):
        x = np.asarray(X[folds == fold], dtype=np.float64)
        y = np.asarray(Y[folds == fold], dtype=np.float64)
        x = np.hstack([x, np.ones((len(x), 1))])
        parts.append((x.T @ x, x.T @ y, float((y * y).sum())))
    gram = np.array([part[0] for part in parts])
    cross = np.array([part[1] for part in parts])
    square = np.array([part[2] for part in parts])

    def errors(train: list[int], test: int) -> NDArray[np.float64]:
        """Squared error of the test fold: with each penalty, and of the mean alone."""
        g, c = gram[train].sum(axis=0), cross[train].sum(axis=0)
        n, mean_x, mean_y = g[-1, -1], g[-1, :-1] / g[-1, -1], c[-1] / g[-1, -1]
        values, axes = np.linalg.eigh(g[:-1, :-1] - n * np.outer(mean_x, mean_x))
        values = np.maximum(values, 0)
        target = axes.T @ (c[:-1] - n * np.outer(mean_x, mean_y))
        scale = values.mean() or 1.0
        out = []
        for penalty in (*penalties, np.inf):
            slope = axes @ (target / (values + penalty * scale)[:, None])
            W = np.vstack([slope, mean_y - mean_x @ slope])
            out.append(square[test] - 2 * (W * cross[test]).sum() + (W * (gram[test] @ W)).sum())
        return np.array(out)

    scores = np.empty(n_folds)
    for fold in range(n_folds):
        held = (fold + 1) % n_folds
        inner = [other for other in range(n_folds) if other not in (fold, held)]
        best = int(np.argmin(errors(inner, held)[:-1]))
        error = errors([*inner, held], fold)
        scores[fold] = 1 - error[best] / error[-1] if error[-1] > 0 else np.nan
    return scores
