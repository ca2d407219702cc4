"""How well a gene embedding tells the genes of a term, such as a disease, from others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from newt_sc import _kernels

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["COSTS", "term_auroc"]

COSTS = (0.1, 1.0, 10.0, 100.0, 1000.0)
"""Values of C that :func:`term_auroc` chooses from."""


def term_auroc(
    X: NDArray[np.floating],
    labels: pd.DataFrame,
    *,
    holdout: bool = False,
    n_jobs: int = 1,
) -> pd.Series:
    """Area under the ROC curve of a support vector classifier, for each term.

    The protocol of Zhong et al. (2025): an RBF kernel (gamma 1 / (d var X)), balanced classes, C
    from 0.1 to 1000 chosen by cross-validation over the given folds, scored on a hold-out. By
    default the hold-out is not touched: each fold is scored by a classifier trained on the others,
    with C chosen by cross-validation among those (nested).

    Parameters
    ----------
    X
        Vectors of n x d. A gene without a vector (NaN) counts as the mean of all, so it is scored
        and not skipped.
    labels
        One row per gene and term: ``term``, ``row`` (of ``X``), ``label`` (1 or 0) and ``split``
        (``fold1``, ``fold2``,
        ... or ``holdout``), with both classes of a term in each of three folds or more.
    holdout
        Score on the hold-out, with C chosen and the classifier trained on all folds.
    n_jobs
        Processes that share the terms.

    Returns
    -------
    AUROC of each term; without ``holdout`` the mean over folds.
    """
    from joblib import Parallel, delayed

    known = np.asarray(np.isfinite(X).all(axis=1))
    filled = np.where(known[:, None], X, X[known].mean(axis=0)).astype(np.float64)
    groups = list(labels.groupby("term", sort=True, observed=True))
    scores = Parallel(n_jobs=n_jobs)(
        delayed(_term)(
            filled[group["row"].to_numpy()],
            group["label"].to_numpy(),
            group["split"].to_numpy(str),
            holdout,
        )
        for _, group in groups
    )
    return pd.Series(
        scores, index=pd.Index([term for term, _ in groups], name="term"), name="auroc"
    )


def _term(
    X: NDArray[np.float64], y: NDArray[np.int_], split: NDArray[np.str_], holdout: bool
) -> float:
    folds = sorted(set(split) - {"holdout"})
    train = split != "holdout"
    variance = X[train].var()
    gamma = 1 / (X.shape[1] * variance) if variance > 0 else 1.0
    length = (X * X).sum(axis=1)
    K = np.exp(-gamma * np.maximum(length[:, None] + length - 2 * X @ X.T, 0))

    def area(at: NDArray[np.bool_], test: NDArray[np.bool_], folds: list[str]) -> float:
        """Score the test genes by what is best in cross-validation over some folds."""
        inside = np.isin(split, folds)
        means = [
            np.mean([_score(K, y, inside & (split != f), split == f, cost) for f in folds])
            for cost in COSTS
        ]
        return _score(K, y, at, test, COSTS[int(np.argmax(means))])

    if holdout:
        return area(train, ~train, folds)
    nested = [
        area(train & (split != f), split == f, [other for other in folds if other != f])
        for f in folds
    ]
    return float(np.mean(nested))


def _score(
    K: NDArray[np.float64],
    y: NDArray[np.int_],
    train: NDArray[np.bool_],
    test: NDArray[np.bool_],
    cost: float,
) -> float:
    from sklearn import config_context
    from sklearn.svm import SVC

    # thousands of small fits
    with config_context(skip_parameter_validation=True, assume_finite=True):
        model = SVC(C=cost, kernel="precomputed", class_weight="balanced", random_state=0)
        model.fit(K[np.ix_(train, train)], y[train])
        decision = model.decision_function(K[np.ix_(test, train)])
    return _kernels.auroc(decision, y[test] == 1)
