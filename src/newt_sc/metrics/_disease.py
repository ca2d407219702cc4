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
        ... or ``holdout``).
    holdout
        Score on the hold-out, with C chosen and the classifier trained on all folds.
    n_jobs
        Processes that share the terms.

    Returns
    -------
    AUROC of each term; without ``holdout`` the mean over folds.

    Raises
    ------
    KeyError
        If a column is missing.
    ValueError
        If a value of ``labels`` is missing, rows are no integers or out of range, labels are not 0
        and 1, folds are fewer than three, a split of a term has only one class, or ``X`` is no
        matrix, infinite, or NaN in all rows.

    Examples
    --------
    >>> nt.metrics.term_auroc(vectors, labels)  # labels: term, row, label, split  # doctest: +SKIP
    """
    from joblib import Parallel, delayed

    missing = {"term", "row", "label", "split"} - set(labels.columns)
    if missing:
        msg = f"labels has no columns {sorted(missing)}: expected term, row, label and split."
        raise KeyError(msg)
    X = np.asarray(X)
    if X.ndim != 2 or X.dtype.kind not in "biuf":
        msg = f"X has shape {X.shape} and dtype {X.dtype}: expected numbers, genes x dimensions."
        raise ValueError(msg)
    if (
        labels[["term", "row", "label", "split"]].isna().any(axis=None)
        or labels["row"].dtype.kind not in "iu"
    ):
        msg = "labels has missing values, or rows that are no integers."
        raise ValueError(msg)
    if not set(labels["label"].unique()) <= {0, 1}:
        msg = "label must be 0 or 1."
        raise ValueError(msg)
    if len(labels) == 0 or labels["row"].min() < 0 or labels["row"].max() >= len(X):
        msg = f"labels must name rows of X, which has {len(X)}."
        raise ValueError(msg)
    if np.isinf(X).any():
        msg = "X has infinite values."
        raise ValueError(msg)
    known = np.asarray(np.isfinite(X).all(axis=1))
    if not known.any():
        msg = "No row of X is free of NaN."
        raise ValueError(msg)
    filled = np.where(known[:, None], X, X[known].mean(axis=0)).astype(np.float64)
    groups = list(labels.groupby("term", sort=True, observed=True))
    scores = Parallel(n_jobs=n_jobs)(
        delayed(_term)(
            filled[group["row"].to_numpy()],
            group["label"].to_numpy(),
            group["split"].to_numpy(str),
            str(term),
            holdout,
        )
        for term, group in groups
    )
    return pd.Series(
        scores, index=pd.Index([term for term, _ in groups], name="term"), name="auroc"
    )


def _term(
    X: NDArray[np.float64], y: NDArray[np.int_], split: NDArray[np.str_], term: str, holdout: bool
) -> float:
    folds = sorted(set(split) - {"holdout"})
    if len(folds) < 3 or (holdout and "holdout" not in split):
        msg = (
            f"Term {term!r} has the splits {sorted(set(split))}: expected three folds or more, and"
            " a hold-out."
        )
        raise ValueError(msg)
    train = split != "holdout"
    variance = X[train].var()
    gamma = 1 / (X.shape[1] * variance) if variance > 0 else 1.0
    length = (X * X).sum(axis=1)
    K = np.exp(-gamma * np.maximum(length[:, None] + length - 2 * X @ X.T, 0))
    if holdout:
        return _score(K, y, train, ~train, _best_cost(K, y, split, folds, term), term)
    return float(
        np.mean(
            [
                _score(
                    K,
                    y,
                    train & (split != fold),
                    split == fold,
                    _best_cost(K, y, split, [f for f in folds if f != fold], term),
                    term,
                )
                for fold in folds
            ]
        )
    )


def _best_cost(
    K: NDArray[np.float64],
    y: NDArray[np.int_],
    split: NDArray[np.str_],
    folds: list[str],
    term: str,
) -> float:
    inside = np.isin(split, folds)
    means = [
        np.mean(
            [_score(K, y, inside & (split != fold), split == fold, cost, term) for fold in folds]
        )
        for cost in COSTS
    ]
    return COSTS[int(np.argmax(means))]


def _score(
    K: NDArray[np.float64],
    y: NDArray[np.int_],
    train: NDArray[np.bool_],
    test: NDArray[np.bool_],
    cost: float,
    term: str,
) -> float:
    from sklearn import config_context
    from sklearn.svm import SVC

    if len(np.unique(y[train])) < 2 or len(np.unique(y[test])) < 2:
        msg = f"Term {term!r} has a split with one class only."
        raise ValueError(msg)
    with config_context(
        skip_parameter_validation=True, assume_finite=True
    ):  # thousands of small fits
        model = SVC(C=cost, kernel="precomputed", class_weight="balanced").fit(
            K[np.ix_(train, train)], y[train]
        )
        decision = model.decision_function(K[np.ix_(test, train)])
    return _kernels.auroc(decision, y[test] == 1)
