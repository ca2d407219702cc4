"""Statistics: areas, correlations of ranks, resampling, and how large a value is by chance.

All rooms and the benchmarks take them from here, so that one word means one number. Where scipy
gives the same, it does the work.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from ._plain import takes_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "adjusted_p",
    "auroc",
    "bootstrap_means",
    "bootstrap_rows",
    "bootstrap_weights",
    "calibration_bins",
    "column_auroc",
    "percentile_interval",
    "permutation_p",
    "spearman",
    "strata_overlap",
    "tail_p",
    "upper_tail",
    "wilson_interval",
]

_DRAWN = 4_000_000
"""Drawn rows that are held at once."""


@takes_arrays
def auroc(score: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve of one list of scores.

    Parameters
    ----------
    score
        Scores, n.
    positive
        Which of them are of positives, n.

    Returns
    -------
    Concordant pairs of a positive and a negative over all pairs, ties one half; NaN where there is
    no pair, or a score is NaN.

    Examples
    --------
    >>> nt._kernels.auroc(np.array([0.9, 0.8, 0.1]), np.array([True, False, True]))
    0.5
    """
    return float(column_auroc(np.asarray(score)[:, None], np.asarray(positive)[:, None])[0])


@takes_arrays
def column_auroc(
    S: NDArray[np.floating],
    Y: NDArray[np.floating] | NDArray[np.bool_],
    folds: NDArray[np.integer] | None = None,
) -> NDArray[np.float64]:
    """Area under the ROC curve of each column; pairs are compared within folds only.

    Parameters
    ----------
    S
        Scores, rows x columns.
    Y
        Labels of the same shape; positive where not 0.
    folds
        Fold of each row, so that rows scored by different models are never compared; one fold by
        default.

    Returns
    -------
    One value for each column: concordant pairs of a positive and a negative over all pairs, ties
    one half; NaN where there is no pair, or a score is NaN.

    Examples
    --------
    >>> S, Y = np.array([[0.9], [0.8], [0.1]]), np.array([[1], [0], [0]])
    >>> nt._kernels.column_auroc(S, Y).tolist()
    [1.0]
    """
    won, pairs = np.zeros(S.shape[1]), np.zeros(S.shape[1])
    for fold in [None] if folds is None else np.unique(folds):
        rows = slice(None) if fold is None else folds == fold
        y = np.asarray(Y[rows]) != 0
        positive = y.sum(axis=0)
        won += (stats.rankdata(S[rows], axis=0) * y).sum(axis=0) - positive * (positive + 1) / 2
        pairs += positive * (len(y) - positive)
    out: NDArray[np.float64] = np.divide(won, pairs, out=np.full(len(won), np.nan), where=pairs > 0)
    return out


@takes_arrays
def spearman(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Spearman's correlation of each row of one array with the same row of another.

    Parameters
    ----------
    a, b
        Arrays of one shape, the last axis being correlated; NaN where there is no value.

    Returns
    -------
    Array without the last axis: the correlation over the entries that both have, NaN where these
    are fewer than 3, or do not vary.

    Examples
    --------
    >>> nt._kernels.spearman(np.array([1.0, 2.0, 3.0, np.nan]), np.array([10.0, 30.0, 20.0, 0.0]))
    array(0.5)
    """
    a, b = np.asarray(a), np.asarray(b)
    both = ~(np.isnan(a) | np.isnan(b))
    n = both.sum(axis=-1)
    # Ranks from 1 to n have the mean (n + 1) / 2, ties or not.
    x, y = (
        np.where(
            both,
            stats.rankdata(np.where(both, v, np.nan), axis=-1, nan_policy="omit")
            - (n[..., None] + 1) / 2,
            0,
        )
        for v in (a, b)
    )
    size = np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    use = (size > 0) & (n >= 3)
    return np.asarray(
        np.divide((x * y).sum(axis=-1), size, out=np.full(n.shape, np.nan), where=use)
    )


def bootstrap_rows(
    n: int, n_resamples: int = 1000, *, random_state: int | np.random.Generator = 0
) -> Iterator[NDArray[np.int64]]:
    """Draw units with replacement.

    Parameters
    ----------
    n
        Number of units.
    n_resamples
        Number of bootstrap resamples.
    random_state
        Seed, or the generator to go on with.

    Yields
    ------
    Rows drawn, some resamples x units: as many at a time as memory should hold.

    Examples
    --------
    >>> [rows.shape for rows in nt._kernels.bootstrap_rows(3, 5)]
    [(5, 3)]
    """
    rng = np.random.default_rng(random_state)
    step = max(1, _DRAWN // n)
    for start in range(0, n_resamples, step):
        yield rng.integers(0, n, (min(step, n_resamples - start), n))


@takes_arrays
def bootstrap_means(
    values: NDArray[np.floating],
    n_resamples: int = 1000,
    *,
    random_state: int | np.random.Generator = 0,
) -> NDArray[np.float64]:
    """Means of units that are drawn with replacement.

    Parameters
    ----------
    values
        One value for each unit.
    n_resamples
        Number of bootstrap resamples.
    random_state
        Seed, or the generator to go on with. The same seed draws the same units, so that means of
        several lists of the same units can be subtracted.

    Returns
    -------
    Mean of each resample.

    Examples
    --------
    >>> nt._kernels.bootstrap_means(np.array([1.0, 2.0, 3.0]), 5).shape
    (5,)
    """
    values = np.asarray(values)
    draws = bootstrap_rows(len(values), n_resamples, random_state=random_state)
    return np.concatenate([values[rows].mean(axis=1) for rows in draws])


def bootstrap_weights(
    n: int, n_resamples: int = 1000, *, random_state: int | np.random.Generator = 0
) -> NDArray[np.float64]:
    """Say how often each unit is drawn in resamples with replacement.

    A statistic that takes weights is then computed for all resamples at once.

    Parameters
    ----------
    n
        Number of units.
    n_resamples
        Number of bootstrap resamples.
    random_state
        Seed, or the generator to go on with.

    Returns
    -------
    Array of resamples x units; each row sums to ``n``.

    Examples
    --------
    >>> nt._kernels.bootstrap_weights(4, 2).sum(axis=1).tolist()
    [4.0, 4.0]
    """
    rng = np.random.default_rng(random_state)
    return rng.multinomial(n, np.full(n, 1 / n), size=n_resamples).astype(np.float64)


@takes_arrays
def percentile_interval(
    replicates: NDArray[np.floating], confidence_level: float = 0.95
) -> tuple[float, float]:
    """Give the ends of the central part of bootstrap replicates.

    Parameters
    ----------
    replicates
        A statistic in each resample; those that are NaN are left out.
    confidence_level
        Share of the replicates between the ends.

    Returns
    -------
    Both ends, NaN where no replicate is left.

    Examples
    --------
    >>> np.round(nt._kernels.percentile_interval(np.arange(101.0), 0.9), 6).tolist()
    [5.0, 95.0]
    """
    known = np.asarray(replicates)[~np.isnan(replicates)]
    if not known.size:
        return float("nan"), float("nan")
    tail = (1 - confidence_level) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


@takes_arrays
def wilson_interval(
    share: NDArray[np.floating], n: NDArray[np.integer], confidence_level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Confidence interval of shares.

    Parameters
    ----------
    share
        Shares that were observed, from 0 to 1.
    n
        Of how many.
    confidence_level
        Coverage, between 0 and 1.

    Returns
    -------
    Lower and upper ends.

    References
    ----------
    Wilson (1927), Journal of the American Statistical Association 22:209.

    Examples
    --------
    >>> low, high = nt._kernels.wilson_interval(np.array([0.5]), np.array([20]))
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.299], [0.701])
    """
    # scipy's binomtest gives the same for one share; a curve has thousands of them.
    z = stats.norm.ppf((1 + confidence_level) / 2)
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return middle - half, middle + half


@takes_arrays
def calibration_bins(
    probability: NDArray[np.floating], label: NDArray[np.bool_], n_bins: int = 10
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Predicted and observed frequencies in bins of equal size.

    Parameters
    ----------
    probability
        Predicted probabilities, n.
    label
        Whether each came true, n.
    n_bins
        Number of bins, at least 1; as many as there are probabilities at most.

    Returns
    -------
    Size, mean probability and share that came true of each bin, rising.

    Examples
    --------
    >>> p, y = np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True])
    >>> [part.round(2).tolist() for part in nt._kernels.calibration_bins(p, y, 2)]
    [[2, 2], [0.15, 0.85], [0.0, 1.0]]
    """
    order = np.argsort(probability, kind="stable")
    # Not sklearn's calibration_curve: equal probabilities would be in one bin, however many.
    bins = np.array_split(order, min(n_bins, len(order)))
    size = np.array([len(part) for part in bins], dtype=np.intp)
    predicted, observed = (
        np.array([np.asarray(values, dtype=np.float64)[part].mean() for part in bins])
        for values in (probability, label)
    )
    return size, predicted, observed


@takes_arrays
def adjusted_p(p: NDArray[np.floating]) -> NDArray[np.float64]:
    """Adjust p for many tests by the false discovery rate.

    Parameters
    ----------
    p
        Values of p in any shape; NaN where there was no test.

    Returns
    -------
    Array of the same shape, NaN where ``p`` is.

    References
    ----------
    Benjamini and Hochberg (1995), Journal of the Royal Statistical Society B 57:289.

    Examples
    --------
    >>> nt._kernels.adjusted_p(np.array([0.01, 0.04, np.nan])).tolist()
    [0.02, 0.04, nan]
    """
    out = np.full(np.shape(p), np.nan)
    tested = ~np.isnan(p)
    if tested.any():
        out[tested] = stats.false_discovery_control(np.asarray(p)[tested])
    return out


@takes_arrays
def permutation_p(
    observed: NDArray[np.floating], null: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Compare each value with its own values under permutation, upper tail.

    Parameters
    ----------
    observed
        Values, of any shape; NaN where there is none.
    null
        Permutations x that shape.

    Returns
    -------
    ``(1 + number of permutations >= observed) / (1 + number of permutations)``, the data being one
    of the permutations; NaN where ``observed`` is.

    References
    ----------
    Phipson and Smyth (2010), Statistical Applications in Genetics and Molecular Biology 9:39.

    Examples
    --------
    >>> nt._kernels.permutation_p(np.array([2.5]), np.array([[1.0], [2.0], [3.0]])).tolist()
    [0.5]
    """
    p = (1 + (null >= np.asarray(observed)).sum(axis=0)) / (1 + len(null))
    return np.asarray(np.where(np.isnan(observed), np.nan, p), dtype=np.float64)


@takes_arrays
def tail_p(observed: NDArray[np.floating], null: NDArray[np.floating]) -> NDArray[np.float64]:
    """Share of null values that are at least as large, the observed one counted among them.

    Parameters
    ----------
    observed
        Values.
    null
        Values by chance, in one dimension.

    Returns
    -------
    ``(1 + number of null values >= observed) / (1 + number of null values)``.

    Examples
    --------
    >>> nt._kernels.tail_p(np.array([2.5]), np.array([1.0, 2.0, 3.0])).tolist()
    [0.5]
    """
    ordered = np.sort(np.asarray(null))
    above = len(ordered) - np.searchsorted(ordered, observed, side="left")
    out: NDArray[np.float64] = (1 + above) / (1 + len(ordered))
    return out


@takes_arrays
def strata_overlap(
    inside: NDArray[np.bool_], labelled: NDArray[np.bool_], strata: NDArray[np.integer]
) -> tuple[int, float, float, float]:
    """Test exactly how many labels are inside a group, labels being permuted within strata.

    The count is a sum of independent hypergeometric counts, one a stratum, whose distribution is
    their convolution.

    Parameters
    ----------
    inside
        Which items are in the group.
    labelled
        Which items have the label.
    strata
        Stratum of each item, from 0.

    Returns
    -------
    The count, its mean and standard deviation under the null, and the probability of at least that
    many.

    Examples
    --------
    >>> inside, labelled = (
    ...     np.array([True, True, False, False]),
    ...     np.array([True, True, False, False]),
    ... )
    >>> nt._kernels.strata_overlap(inside, labelled, np.zeros(4, dtype=int))[:2]
    (2, 1.0)
    """
    count = int((inside & labelled).sum())
    total = np.bincount(strata)
    group = np.bincount(strata, weights=inside).astype(int)
    label = np.bincount(strata, weights=labelled).astype(int)
    pmf = np.ones(1)  # of the count so far
    for N, n, k in zip(total, group, label, strict=True):
        if n and k:
            pmf = np.convolve(pmf, stats.hypergeom.pmf(np.arange(min(n, k) + 1), N, k, n))
    values = np.arange(len(pmf))
    mean = float(pmf @ values)
    sd = float(pmf @ (values - mean) ** 2) ** 0.5
    return count, mean, sd, float(np.clip(pmf[count:].sum(), 0, 1))


@takes_arrays
def upper_tail(z: NDArray[np.floating], skewness: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probability that a standardised variable of some skewness is larger.

    The variable has Pearson's type III distribution.

    Parameters
    ----------
    z
        Standardised values.
    skewness
        Skewness of the distribution, to be broadcast with ``z``. Below 0.01 it counts as 0, the
        normal distribution: with negative skewness the upper tail would end somewhere, and be 0
        beyond.

    Returns
    -------
    Upper tail probabilities; NaN where ``z`` is.

    Examples
    --------
    >>> nt._kernels.upper_tail(np.array([0.0, 1.96]), np.array([0.0, 0.0])).round(3).tolist()
    [0.5, 0.025]
    """
    return np.asarray(stats.pearson3.sf(z, np.where(np.asarray(skewness) > 0.01, skewness, 0)))
