"""Two groups of rows compared, under many ways to label the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from ._plain import takes_arrays
from ._project import project

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["two_sample_t"]


@takes_arrays
def two_sample_t(
    X: Any, members: NDArray[np.bool_], *, equal_var: bool = False
) -> NDArray[np.float64]:
    """T of rows that are members against rows that are not, for each column and labelling.

    Parameters
    ----------
    X
        Rows x columns, numpy or scipy sparse, finite.
    members
        Rows x labellings; at least one member and one other row in each, and three rows.
    equal_var
        Pool the variance of both groups (Student) instead of taking each for itself (Welch).

    Returns
    -------
    Array of labellings x columns; 0 where neither group varies and both have the same mean,
    infinite where the means differ then.

    Examples
    --------
    >>> X = np.array([[1.0], [1.2], [3.0], [3.2]])
    >>> nt._kernels.two_sample_t(X, np.array([[False], [False], [True], [True]])).round(1).tolist()
    [[14.1]]
    """
    if sparse.issparse(X):
        columns = sparse.csr_array(X.T)
        square = columns.multiply(columns).tocsr()
    else:
        columns = np.ascontiguousarray(np.asarray(X).T)
        columns = columns - columns.mean(
            axis=1, keepdims=True
        )  # sums of squares lose less around the mean
        square = columns**2
    chosen = members.astype(np.float32)
    total, total_square = (
        np.asarray(part.sum(axis=1), dtype=np.float64).reshape(-1, 1) for part in (columns, square)
    )
    one, one_square = (project(part, chosen).astype(np.float64) for part in (columns, square))
    n1 = members.sum(axis=0).astype(np.float64)
    n2 = len(members) - n1
    m1, m2 = one / n1, (total - one) / n2
    s1 = np.maximum(one_square - n1 * m1**2, 0)
    s2 = np.maximum(total_square - one_square - n2 * m2**2, 0)
    if equal_var:
        error = (s1 + s2) / (n1 + n2 - 2) * (1 / n1 + 1 / n2)
    else:
        with np.errstate(invalid="ignore", divide="ignore"):
            error = s1 / ((n1 - 1) * n1) + s2 / ((n2 - 1) * n2)
    error = np.where(
        error > 1e-6 * total_square / len(members) ** 2, error, 0
    )  # what sums in float32 leave of nothing
    difference = np.where(np.abs(m1 - m2) > 1e-6 * (np.abs(m1) + np.abs(m2)), m1 - m2, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        t = difference / np.sqrt(error)
    t[(difference == 0) & (error == 0)] = 0
    return np.asarray(t.T)
