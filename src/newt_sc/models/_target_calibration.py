"""What scores of targets mean: how far out they are, how probable a pair, how sure the first."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import norm

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from newt_sc.models._arrays import Array, Floats, Mask

__all__ = ["Calibration"]

_CHUNK = 64
_KNOTS = (1.0, 2.0, 3.0)
"""Where the slope of the log odds over z may change."""

_N_STEPS = 40
"""Bins of the isotonic step. Each holds as many expected hits as any other, some hundred of L1000:
fewer bins are coarse where probabilities are high, more follow the noise."""

_RIDGE = 0.05
_EVEN = 1e-9
_FAR = 50.0
_N_TAIL = 2000
"""Largest scores that the tail of the null distribution is fitted to (Hill's estimator)."""


@dataclass(frozen=True)
class Calibration:
    """What a score says: how far out it is, how probable the pair, how sure the first target.

    Attributes
    ----------
    null
        Standardised scores, and the normal scores of pairs that do not bind there; both rising.
    permuted
        z of signatures whose genes were permuted, and the log of the share with a larger one there:
        z rising, shares falling.
    pair
        Intercept; then, for z below 1, from 1 to 2, from 2 to 3 and above, the slope of the log
        odds for the rarest target and for the commonest, none below 0; and the weight of the log
        prior.
    prior_range
        Log prior of the rarest and of the commonest target.
    pair_steps
        Log odds and the probabilities there, both rising; between them it is linear.
    first
        Whether the first target by z is right: intercept and weights of its z, the strength of the
        signature and its nearness to the training compounds, standardised by ``center`` and
        ``scale``.
    """

    null: Array
    permuted: Array
    pair: Array
    prior_range: Array
    pair_steps: Array
    first: Array
    center: Array
    scale: Array

    @classmethod
    def fit(
        cls,
        scores: Array,
        prior: Array,
        y: Mask,
        strength: Array,
        near: Array,
        permuted: Array | None = None,
    ) -> Calibration:
        """Fit to cross-validated scores.

        Parameters
        ----------
        scores, prior, y
            Compounds x targets: standardised scores, share of *training* compounds with the target,
            and whether it is one.
        strength, near
            Of each compound.
        permuted
            Standardised scores of signatures whose genes were permuted.
        """
        known = prior > 0
        # Of labels that are all positive every score has to serve as the null.
        null = _null(scores[known & ~y] if (known & ~y).sum() > 1 else scores.ravel())
        z = _interpolate(null, scores)
        log_prior = _log_prior(prior[known])
        ends = np.array([log_prior.min(), log_prior.max()])
        features = np.column_stack([_ramps(z[known], _rarity(log_prior, ends)), log_prior])
        pair = _rising_logistic(features, y[known])
        odds = _dot(pair, features)
        pair_steps = _isotonic(odds, y[known])
        best, labelled = z.argmax(axis=1), y.any(axis=1)
        right = y[np.arange(len(y)), best]
        columns = np.column_stack([z.max(axis=1), np.nan_to_num(strength), near])
        center, scale = columns.mean(axis=0), _spread(columns)
        first = _logistic(((columns - center) / scale)[labelled], right[labelled])
        noise = _tail(_interpolate(null, scores if permuted is None else permuted))
        return cls(null, noise, pair, ends, pair_steps, first, center, scale)

    def wrong(self) -> str:
        """Say what cannot be of a calibration, for what comes from a file; nothing if all can."""
        n = 2 * (len(_KNOTS) + 1)
        shapes = {
            "pair": (n + 2,),
            "prior_range": (2,),
            "first": (4,),
            "center": (3,),
            "scale": (3,),
        }
        odd = [name for name, shape in shapes.items() if getattr(self, name).shape != shape]
        tables = {"null": self.null, "pair_steps": self.pair_steps}
        odd += [
            name
            for name, table in tables.items()
            if table.ndim != 2
            or len(table) != 2
            or table.shape[1] == 0
            or (np.diff(table) < -1e-6).any()
        ]
        falling = self.permuted
        if falling.ndim != 2 or len(falling) != 2 or (np.diff(falling[0]) < 0).any():
            odd.append("permuted")
        if not odd and (self.pair[1:-1] < 0).any():
            odd = ["pair"]
        return f"{' and '.join(odd)} of a wrong shape or order" if odd else ""

    def normal(self, scores: NDArray[np.floating]) -> Floats:
        """Turn standardised scores into z: normal scores among pairs that do not bind.

        A share of 1 - Phi(z) of such pairs has a larger score. It rises with the score; NaN stays.
        """
        return np.asarray(_interpolate(self.null, scores), dtype=np.float32)

    def p_value(self, z: NDArray[np.floating]) -> Floats:
        """Share of signatures with permuted genes, over all targets, whose z is at least so large.

        It tells whether a signature says anything of a target, not whether that is right.
        """
        return np.asarray(np.exp(_interpolate(self.permuted, z)), dtype=np.float32)

    def probability(self, z: NDArray[np.floating], prior: Array) -> Floats:
        """Probability of each pair, compounds x targets, from z and the prior of each target.

        For one prior it rises with z. It is NaN where z is.
        """
        out = np.empty(z.shape, dtype=np.float32)
        log_prior = np.clip(_log_prior(prior), *self.prior_range)
        rarity = _rarity(log_prior, self.prior_range)
        constant = self.pair[0] + self.pair[-1] * log_prior
        for start in range(0, len(z), _CHUNK):
            some = np.nan_to_num(np.clip(z[start : start + _CHUNK].astype(np.float64), -99, 99))
            ramps = _ramps(some, np.broadcast_to(rarity, some.shape))
            odds = constant + ramps @ self.pair[1:-1]
            out[start : start + _CHUNK] = _steps(self.pair_steps, odds)
        out[np.isnan(z)] = np.nan
        return out

    def reliability(self, first: NDArray[np.floating], strength: Array, near: Array) -> Array:
        """Probability that the target with the largest z, ``first``, is right."""
        columns = np.column_stack(
            [np.nan_to_num(np.asarray(first, dtype=np.float64)), np.nan_to_num(strength), near]
        )
        out: Array = expit(_dot(self.first, (columns - self.center) / self.scale))
        return np.clip(out, 1e-6, 1 - 1e-6)


def _null(scores: Array) -> Array:
    """Quantiles of scores and the normal scores there, beyond the largest by a Pareto tail.

    Scores of pairs that do not bind have heavy tails: a few compounds have a neighbour in training.
    Beyond the largest score that was seen the tail goes on as a power, whose exponent is Hill's
    (1975, Annals of Statistics 3:1163), so that z grows with the logarithm of the score alone.
    """
    x = np.sort(scores)
    n = len(x)
    from_top = np.unique(np.geomspace(1, n, min(400, n)).astype(np.intp))
    at = np.unique(
        np.concatenate([np.linspace(0, n - 1, min(400, n)).astype(np.intp), n - from_top])
    )
    at = at[np.r_[True, np.diff(x[at]) > 0]]
    knots, tail = x[at], (n - at - 0.5) / n
    top = x[-min(_N_TAIL, n // 2) - 1 :]
    if top[0] > 0 and top[-1] > top[0]:
        exponent = 1 / np.log(top[1:] / top[0]).mean()
        beyond = np.geomspace(1.05, 1e4, 60)
        knots = np.concatenate([knots, knots[-1] * beyond])
        tail = np.concatenate([tail, tail[-1] * beyond**-exponent])
    z = norm.isf(np.maximum(tail, 1e-300))
    # Below the smallest score nothing matters but the order.
    return np.vstack([np.r_[knots[0] - _FAR, knots], np.r_[z[0] - _FAR, z]])


def _tail(z: Array) -> Array:
    """Values of z, and the log of the share of them that is at least so large."""
    x = np.sort(z.ravel())
    n = len(x)
    from_top = np.unique(np.geomspace(1, n, min(400, n)).astype(np.intp))
    at = np.unique(
        np.concatenate([np.linspace(0, n - 1, min(400, n)).astype(np.intp), n - from_top])
    )
    at = at[np.r_[True, np.diff(x[at]) > 0]]
    # One is added to both, so that no share is 0 (Phipson and Smyth 2010).
    shares = np.r_[(n - at + 1) / (n + 1), 1 / (n + 1)]
    return np.vstack([np.r_[x[at], x[-1] + 1e-6], np.log(shares)])


def _interpolate(table: Array, x: NDArray[np.floating]) -> Array:
    out: Array = np.interp(x, table[0], table[1])
    return out


def _log_prior(prior: Array) -> Array:
    out: Array = np.log(np.maximum(prior, 1e-9))
    return out


def _rarity(log_prior: Array, ends: Array) -> Array:
    """0 for the rarest target, 1 for the commonest."""
    out: Array = np.clip((log_prior - ends[0]) / max(ends[1] - ends[0], _EVEN), 0, 1)
    return out


def _ramps(z: Array, rarity: Array) -> Array:
    """Split z into stretches between knots, each for the rarest and for the commonest target.

    Where weights are not negative, their sum rises with z, whatever the rarity.
    """
    edges = (-np.inf, *_KNOTS, np.inf)
    parts = [np.minimum(z, _KNOTS[0])]
    parts += [np.clip(z, low, high) - low for low, high in pairwise(edges[1:])]
    return np.stack([part * share for part in parts for share in (1 - rarity, rarity)], axis=-1)


def _rising_logistic(X: Array, y: Mask) -> Array:
    """Intercept and weights of a logistic regression, no weight below 0."""
    if y.all() or not y.any():
        return _constant(y, X.shape[1])
    scale = _spread(X)
    columns = np.ascontiguousarray((X / scale).T)  # some hundred thousand pairs, many times
    hits = np.r_[y.sum(), columns[:, y].sum(axis=1)]

    def loss(w: Array) -> tuple[float, Array]:
        odds = w[1:] @ columns + w[0]
        small = np.exp(-np.abs(odds))
        # log(1 + exp(odds)), and the share of hits, both of an exponential that cannot overflow
        likely = np.maximum(odds, 0).sum() + np.log1p(small).sum()
        share = np.where(odds >= 0, 1, small) / (1 + small)
        slope = np.r_[share.sum(), columns @ share] - hits
        slope[1:] += 2 * _RIDGE * w[1:]
        return float(likely - hits @ w + _RIDGE * (w[1:] ** 2).sum()), slope

    start = np.r_[np.log(y.mean()), np.full(X.shape[1], 0.1)]
    bounds = [(None, None), *[(0, None)] * X.shape[1]]
    found: Array = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    out: Array = np.r_[found[0], found[1:] / scale]
    return out


def _constant(y: Mask, n: int) -> Array:
    p = np.clip(y.mean(), 1e-6, 1 - 1e-6)
    return np.array([np.log(p / (1 - p)), *np.zeros(n)])


def _logistic(X: Array, y: Mask) -> Array:
    from sklearn.linear_model import LogisticRegression

    if y.all() or not y.any():
        return _constant(y, X.shape[1])
    model = LogisticRegression(C=10.0, max_iter=500).fit(X, y)
    return np.array([model.intercept_[0], *model.coef_[0]])


def _spread(X: Array) -> Array:
    """Take the standard deviation of columns, 1 where they are the same but for rounding."""
    sd = X.std(axis=0)
    return np.where(sd > _EVEN, sd, 1.0)


def _dot(weights: Array, X: Array) -> Array:
    out: Array = weights[0] + X @ weights[1:]
    return out


def _isotonic(odds: Array, y: Mask, most: int = _N_STEPS) -> Array:
    """Rising steps: bins of equal expected hits in the order of the fit, then isotonic."""
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
