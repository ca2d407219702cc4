"""Checks that the metrics share."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["check_count", "check_length", "check_points"]


def check_points(X: Any) -> NDArray[np.float64]:
    """Take a finite, dense, numeric matrix of units x dimensions."""
    if sparse.issparse(X):
        msg = (
            f"X is a sparse {type(X).__name__}; expected a dense low-dimensional representation:"
            " use obsm['X_newt']."
        )
        raise TypeError(msg)
    try:
        points = np.asarray(X, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = (
            f"X is a {type(X).__name__} that is not numeric; expected an array of cells x"
            " dimensions."
        )
        raise TypeError(msg) from error
    if points.ndim != 2 or 0 in points.shape:
        msg = f"X has shape {points.shape}; expected cells x dimensions, at least one of each."
        raise ValueError(msg)
    bad = ~np.isfinite(points).all(axis=1)
    if bad.any():
        msg = (
            f"X has NaN or infinite values in {bad.sum()} of {bad.size} rows; drop or impute them"
            " first."
        )
        raise ValueError(msg)
    return points


def check_length(name: str, values: ArrayLike, n: int) -> None:
    """Raise unless ``values`` is one-dimensional with ``n`` entries."""
    shape = np.shape(values)
    if shape != (n,):
        msg = f"{name} has shape {shape}; expected ({n},): one entry for each row of X."
        raise ValueError(msg)


def check_count(name: str, value: int, minimum: int) -> int:
    """Take an integer of at least ``minimum``."""
    if isinstance(value, bool):
        msg = f"{name} is {value!r}; expected an integer of at least {minimum}."
        raise TypeError(msg)
    try:
        count = index(value)
    except TypeError:
        msg = f"{name} is {value!r}; expected an integer of at least {minimum}."
        raise TypeError(msg) from None
    if count < minimum:
        msg = f"{name} is {count}; expected at least {minimum}."
        raise ValueError(msg)
    return count
