"""How far probabilities mean what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from newt_sc import _kernels

from ._check import check_count, check_length

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["calibration_bins", "expected_calibration_error"]


def calibration_bins(probability: ArrayLike, label: ArrayLike, *, n_bins: int = 10) -> pd.DataFrame:
    """Compare predicted with observed frequencies in bins of equal size.

    Parameters
    ----------
    probability
        Predicted probabilities, n.
    label
        Whether each came true, n.
    n_bins
        Number of bins.

    Returns
    -------
    One row for each bin, rising: ``n``, mean ``predicted`` and share ``observed``.

    Raises
    ------
    ValueError
        If probabilities are not from 0 to 1, there are none, or the lengths differ.

    Examples
    --------
    >>> nt.metrics.calibration_bins([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], n_bins=2)[
    ...     "observed"
    ... ].tolist()
    [0.0, 1.0]
    """
    p = np.asarray(probability, dtype=np.float64)
    y = np.asarray(label).astype(bool)
    check_length("label", y, len(p))
    n_bins = check_count("n_bins", n_bins, 1)
    if p.ndim != 1 or not len(p) or not ((p >= 0) & (p <= 1)).all():
        msg = (
            f"probability has shape {p.shape} or values outside 0 to 1; expected a list of"
            " probabilities."
        )
        raise ValueError(msg)
    size, predicted, observed = _kernels.calibration_bins(p, y, n_bins)
    return pd.DataFrame({"n": size, "predicted": predicted, "observed": observed})


def expected_calibration_error(
    probability: ArrayLike, label: ArrayLike, *, n_bins: int = 10
) -> float:
    """Measure how far predicted probabilities are from observed frequencies, on average.

    The predictions are sorted into bins of equal size. The error is the mean absolute difference of
    predicted and observed frequency over the bins (Naeini et al. 2015, AAAI). 0 is perfect.

    Parameters
    ----------
    probability, label, n_bins
        As in :func:`calibration_bins`.

    Returns
    -------
    Mean absolute difference, weighted by the size of the bins.

    Examples
    --------
    >>> round(
    ...     nt.metrics.expected_calibration_error([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], n_bins=2), 2
    ... )
    0.15
    """
    bins = calibration_bins(probability, label, n_bins=n_bins)
    return float(np.average((bins["predicted"] - bins["observed"]).abs(), weights=bins["n"]))
