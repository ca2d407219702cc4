"""What scores of targets mean: probabilities, and how far to trust the first target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from newt_sc.models._arrays import Array, Floats, Mask

__all__ = ["Calibration"]

_CHUNK = 64
_KNOTS = (2.0, 5.0)
_EVEN = 1e-9


@dataclass(frozen=True)
class Calibration:
    """Logistic regressions with an isotonic step after them.

    Attributes
    ----------
    pair
        Intercept and weights of z, z above 2, z above 5, log prior and z times log prior.
    pair_steps
        Log odds and the probabilities there, both rising; between them it is linear.
    first, first_steps
        The same for whether the first target by z is right: intercept and weights of the log of its
        z, the strength of the signature and its nearness to the training compounds, both
        standardised by ``center`` and ``scale``.
    """

    pair: Array
    pair_steps: Array
    first: Array
    first_steps: Array
    center: Array
    scale: Array

    @classmethod
    def fit(cls, z: Array, prior: Array, y: Mask, strength: Array, near: Array) -> Calibration:
        """Fit to cross-validated scores.

        Parameters
        ----------
        z, prior, y
            Compounds x targets: scores, share of *training* compounds with the target, and whether
            it is one.
        strength, near
            Of each compound.
        """
        known = prior > 0
        features = _pair_features(z[known], prior[known])
        pair = _logistic(features, y[known])
        odds = _dot(pair, features)
        pair_steps = _isotonic(odds, y[known])
        best = z.argmax(axis=1)
        right, top = y[np.arange(len(y)), best], z.max(axis=1)
        labelled = y.any(axis=1)
        extra = np.column_stack([np.nan_to_num(strength), near])
        center, scale = extra.mean(axis=0), _spread(extra)
        columns = _first_features(top, extra, center, scale)[labelled]
        first = _logistic(columns, right[labelled])
        first_steps = _isotonic(_dot(first, columns), right[labelled], most=20)
        return cls(pair, pair_steps, first, first_steps, center, scale)

    def probability(self, z: NDArray[np.floating], prior: Array) -> Floats:
        """Probability of each pair, compounds x targets, from z and the prior of each target.

        It is NaN where z is.
        """
        out = np.empty(z.shape, dtype=np.float32)
        w, log_prior = self.pair, _log_prior(prior)
        constant, slope = w[0] + w[4] * log_prior, w[1] + w[5] * log_prior
        for start in range(0, len(z), _CHUNK):
            some = _bounded(z[start : start + _CHUNK])
            odds = some * slope + constant
            for weight, knot in zip(w[2:4], _KNOTS, strict=True):
                odds += weight * np.maximum(some - knot, 0)
            out[start : start + _CHUNK] = _steps(self.pair_steps, odds)
        out[np.isnan(z)] = np.nan
        return out

    def reliability(self, first: NDArray[np.floating], strength: Array, near: Array) -> Array:
        """Probability that the target with the largest z, ``first``, is right."""
        extra = np.column_stack([np.nan_to_num(strength), near])
        columns = _first_features(
            np.asarray(first, dtype=np.float64), extra, self.center, self.scale
        )
        return _steps(self.first_steps, _dot(self.first, columns))


def _log_prior(prior: Array) -> Array:
    out: Array = np.log(np.maximum(prior, 1e-9))
    return out


def _bounded(z: NDArray[np.floating]) -> Array:
    return np.nan_to_num(np.clip(z.astype(np.float64), -20, 20))


def _pair_features(z: Array, prior: Array) -> Array:
    log_prior, z = _log_prior(prior), _bounded(z)
    return np.column_stack(
        [z, *(np.maximum(z - knot, 0) for knot in _KNOTS), log_prior, z * log_prior]
    )


def _first_features(top: Array, extra: Array, center: Array, scale: Array) -> Array:
    return np.column_stack(
        [np.log(np.clip(np.nan_to_num(top), 0.1, 100)), (extra - center) / scale]
    )


def _logistic(X: Array, y: Mask) -> Array:
    from sklearn.linear_model import LogisticRegression

    if y.all() or not y.any():
        p = np.clip(y.mean(), 1e-6, 1 - 1e-6)
        return np.array([np.log(p / (1 - p)), *np.zeros(X.shape[1])])
    scale = _spread(X)
    model = LogisticRegression(C=10.0, max_iter=500).fit(X / scale, y)
    return np.array([model.intercept_[0], *(model.coef_[0] / scale)])


def _spread(X: Array) -> Array:
    """Take the standard deviation of columns, 1 where they are the same but for rounding."""
    sd = X.std(axis=0)
    return np.where(sd > _EVEN, sd, 1.0)


def _dot(weights: Array, X: Array) -> Array:
    out: Array = weights[0] + X @ weights[1:]
    return out


def _isotonic(odds: Array, y: Mask, most: int = 200) -> Array:
    """Rising steps: bins of equal mass in log odds of the fit, then isotonic.

    There are at most some hundred bins.
    """
    from sklearn.isotonic import IsotonicRegression

    order = np.argsort(odds)
    # finer where probabilities are high: bins hold equal numbers of expected hits
    expected = np.cumsum(1 / (1 + np.exp(-odds[order])) + 1e-4)
    bins = np.minimum((expected / expected[-1] * most).astype(int), most - 1)
    n = np.bincount(bins, minlength=most)
    some = n > 0
    x = np.bincount(bins, odds[order], minlength=most)[some] / n[some]
    p = np.bincount(bins, y[order], minlength=most)[some] / n[some]
    p = IsotonicRegression(y_min=0, y_max=1).fit_transform(
        np.arange(len(x)), p, sample_weight=n[some]
    )
    return np.vstack([x, p])


def _steps(steps: Array, odds: Array) -> Array:
    out: Array = np.interp(odds, steps[0], np.clip(steps[1], 1e-6, 1 - 1e-6))
    return out
