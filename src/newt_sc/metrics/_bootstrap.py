"""Percentile bootstrap intervals, also of paired differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from newt_sc import _kernels
from newt_sc._missing import read_labels
from newt_sc._warn import warn

from ._check import check_count, check_length

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Interval", "bootstrap_interval"]

Statistic = Callable[[Any], float]
"""Takes resampled units (n, or n x columns) and gives a number."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its percentile bootstrap interval.

    Attributes
    ----------
    estimate
        The statistic of the data as they are.
    low, high
        Ends of the interval.
    replicates
        The statistic in each resample. Calls with equally many units, the same groups and the same
        seed draw the same resamples, so replicates of different methods can be subtracted or
        averaged.
    """

    estimate: float
    low: float
    high: float
    replicates: NDArray[np.float64] = field(repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.estimate:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap_interval(
    values: ArrayLike,
    other: ArrayLike | None = None,
    *,
    statistic: Statistic | None = None,
    groups: ArrayLike | None = None,
    n_resamples: int = 1000,
    confidence_level: float = 0.95,
    random_state: int = 0,
) -> Interval:
    """Percentile bootstrap interval over cells, or any other units.

    Parameters
    ----------
    values
        One score, or one row of scores, for each unit. Units with a NaN here, in ``other`` or in
        ``groups`` are dropped.
    other
        The same units scored by a second method. The interval is then that of ``values`` minus
        ``other``, each resample taking the same units of both.
    statistic
        Function of the resampled rows of ``values`` that gives a number. By default their mean. For
        a correlation pass two columns and their correlation; with columns there is no default.
    groups
        Group of each unit. Units are resampled within their group, and the statistic is the mean
        over the groups (macro average): with classes as groups, that of a balanced accuracy.
    n_resamples
        Number of bootstrap resamples.
    confidence_level
        Coverage, between 0 and 1.
    random_state
        Seed. The same seed draws the same resamples for equally many units in the same groups.

    Returns
    -------
    An interval with the fields ``estimate``, ``low``, ``high`` and
    ``replicates``. Resamples in which the statistic is NaN are left out of the ends, with a
    warning.

    Raises
    ------
    TypeError
        If the values are not numeric.
    ValueError
        If shapes do not fit, no unit is left, or ``confidence_level`` is not between 0 and 1.

    Examples
    --------
    >>> ours, theirs = [0.8, 0.9, 0.7, 0.9], [0.7, 0.8, 0.7, 0.6]
    >>> round(nt.metrics.bootstrap_interval(ours, theirs).estimate, 3)  # paired difference
    0.125
    """
    tables = _tables(values, other, statistic)
    check_count("n_resamples", n_resamples, 1)
    check_count("random_state", random_state, 0)
    if not isinstance(confidence_level, float | np.floating) or not 0 < confidence_level < 1:
        msg = (
            f"confidence_level is {confidence_level!r}; expected a number between 0 and 1, such as"
            " 0.95."
        )
        raise ValueError(msg)
    if groups is None:
        codes = np.zeros(len(tables[0]), dtype=np.intp)
    else:
        check_length("groups", groups, len(tables[0]))
        codes = pd.factorize(read_labels(np.asarray(groups, dtype=object), "groups"))[0]
    kept = codes >= 0
    for table in tables:
        missing = np.isnan(table)
        kept &= ~(missing.any(axis=1) if missing.ndim == 2 else missing)
    if not kept.any():
        msg = f"of {len(tables[0])} units none has a value; expected at least one that is not NaN."
        raise ValueError(msg)
    tables = [table[kept] for table in tables]
    codes = codes[kept]

    rng = np.random.default_rng(random_state)
    estimates, replicates = [], []
    for code in np.unique(codes):
        members = [table[codes == code] for table in tables]
        whole = np.arange(len(members[0]))[None]
        estimates.append(_difference(members, whole, statistic)[0])
        replicates.append(_resample(members, statistic, n_resamples, rng))
    mean = np.mean(replicates, axis=0)
    if n_missing := int(np.isnan(mean).sum()):
        warn(f"the statistic is NaN in {n_missing} of {mean.size} resamples; they are left out")
    low, high = _kernels.percentile_interval(mean, confidence_level)
    return Interval(float(np.mean(estimates)), low, high, mean)


def _tables(
    values: ArrayLike, other: ArrayLike | None, statistic: Statistic | None
) -> list[NDArray[np.float64]]:
    """Scores of the first and, if there is one, of the second method."""
    if statistic is not None and not callable(statistic):
        msg = f"statistic is {type(statistic).__name__}, expected a function of rows or None."
        raise TypeError(msg)
    first = _rows("values", values)
    tables = [first]
    if other is not None:
        second = _rows("other", other)
        if second.shape != first.shape:
            msg = (
                f"other has shape {second.shape}; expected {first.shape} as values: the same units"
                " in the same order."
            )
            raise ValueError(msg)
        tables.append(second)
    if statistic is None and first.ndim == 2:
        msg = (
            f"values has {first.shape[1]} columns and no statistic; pass the function of their rows"
            " as statistic."
        )
        raise ValueError(msg)
    return tables


def _rows(name: str, values: ArrayLike) -> NDArray[np.float64]:
    try:
        table = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = (
            f"{name} is a {type(values).__name__} that is not numeric; expected one score, or row"
            " of scores, a unit."
        )
        raise TypeError(msg) from error
    if table.ndim not in (1, 2):
        msg = (
            f"{name} has shape {table.shape}; expected one score, or one row of scores, for each"
            " unit."
        )
        raise ValueError(msg)
    return table


def _resample(
    members: list[NDArray[np.float64]],
    statistic: Statistic | None,
    n_resamples: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    draws = _kernels.bootstrap_rows(len(members[0]), n_resamples, random_state=rng)
    return np.concatenate([_difference(members, rows, statistic) for rows in draws])


def _difference(
    members: list[NDArray[np.float64]], draws: NDArray[np.int64], statistic: Statistic | None
) -> NDArray[np.float64]:
    """Statistic of the first table for each row of drawn units.

    If there is a second table, its statistic is subtracted.
    """
    scores = []
    for table in members:
        if statistic is None:
            scores.append(table[draws].mean(axis=1))
        else:
            scores.append(np.array([float(statistic(table[draw])) for draw in draws]))
    result: NDArray[np.float64] = scores[0] if len(scores) == 1 else scores[0] - scores[1]
    return result
