"""Arrays as compiled code takes them, whatever they came as."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np
from scipy import sparse

__all__ = ["plain", "takes_arrays"]

F = TypeVar("F", bound=Callable[..., Any])


def plain(value: Any) -> Any:
    """Bring an array to the byte order of the machine; sum what a sparse one stores twice.

    This is done in a copy, if need be.

    Compiled code reads bytes of another order as other numbers; and the squares of parts are not
    the square of their sum. Lists and tuples are gone through; what is no array stays as it is.

    Parameters
    ----------
    value
        A numpy array, a scipy sparse matrix or array, or anything else.
    """
    if isinstance(value, np.ndarray):
        return value if value.dtype.isnative else value.astype(value.dtype.newbyteorder("="))
    if isinstance(value, list | tuple) and any(
        isinstance(part, np.ndarray) or sparse.issparse(part) for part in value
    ):
        parts = [plain(part) for part in value]
        return parts if isinstance(value, list) else tuple(parts)
    if not sparse.issparse(value):
        return value
    if not _native(value):
        value = _rebuilt(value)
    if value.format in ("csr", "csc") and not value.has_canonical_format:
        value = value.copy()
        value.sum_duplicates()
    return value


def _native(X: Any) -> bool:
    parts = (
        getattr(X, name, None) for name in ("data", "indices", "indptr", "row", "col", "offsets")
    )
    return all(part.dtype.isnative for part in parts if isinstance(part, np.ndarray))


def _rebuilt(X: Any) -> Any:
    """Make a sparse matrix of parts in the byte order of the machine.

    scipy's own copy refuses others.
    """
    data = plain(X.data)
    if X.format == "coo":
        return type(X)((data, (plain(X.row), plain(X.col))), shape=X.shape)
    if X.format == "dia":
        return type(X)((data, plain(X.offsets)), shape=X.shape)
    return type(X)((data, plain(X.indices), plain(X.indptr)), shape=X.shape)


def takes_arrays(function: F) -> F:
    """Give a kernel :func:`plain` arrays."""

    @wraps(function)
    def kernel(*args: Any, **kwargs: Any) -> Any:
        return function(*map(plain, args), **{name: plain(value) for name, value in kwargs.items()})

    return kernel  # type: ignore[return-value]
