"""Principal components of cells, and how many of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from newt_sc import _kernels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from newt_sc.tl._rows import Rows, Stats

__all__ = ["N_COMPS", "Components", "choose_components", "fit_components"]

N_COMPS: Final = (10, 15, 20, 30, 50)  # what "auto" chooses from
_FALLBACK: Final = (
    15  # where there is nothing to choose by: the best single number of the benchmarks
)
_CELLS: Final = 3000  # at most, to choose by
_LEAST: Final = 40  # cells, and genes, to split


@dataclass(frozen=True)
class Components:
    """Principal components of some genes.

    Attributes
    ----------
    stats
        Statistics of all genes.
    genes
        Which genes, by position.
    loadings, variance
        Genes x components, and the variance of each, largest first.
    choice
        ``n_comps``, the number to use, and how it came about; there may be further components.
    """

    stats: Stats
    genes: NDArray[np.intp]
    loadings: NDArray[np.float64]
    variance: NDArray[np.float64]
    sd: NDArray[np.float64]
    choice: dict[str, Any]


def fit_components(
    rows: Rows,
    genes: NDArray[np.intp],
    n_comps: int | str,
    *,
    at_least: int = 0,
    random_state: int = 0,
) -> Components:
    """Fit principal components, as many as are given or chosen.

    With ``at_least`` these are so many at least, where there are.

    Raises
    ------
    ValueError
        If there are not more cells and genes than components, or a value is NaN or infinite.
    """
    n = rows.shape[0]
    limit = min(n, genes.size) - 1
    whole = isinstance(n_comps, int | np.integer) and not isinstance(n_comps, bool) and n_comps > 0
    if n_comps != "auto" and not whole:
        msg = f"n_comps is {n_comps!r}, expected a whole number from 1 up or 'auto'."
        raise ValueError(msg)
    if not isinstance(n_comps, str) and n_comps > limit:
        msg = (
            f"n_comps is {n_comps}, but must be less than the smaller of {n} cells and {genes.size}"
            " genes."
        )
        raise ValueError(msg)
    if limit < 1:
        msg = (
            f"{rows.name} has {n} cells and {genes.size} genes to use: principal components need"
            " two of each."
        )
        raise ValueError(msg)
    auto = isinstance(n_comps, str)
    drawn = np.sort(np.random.default_rng(random_state).permutation(n)[: _CELLS if auto else 0])
    moments = rows.moments(genes, drawn)
    if auto:
        choice = choose_components(moments.sample, limit, random_state=random_state)
    else:
        choice = {"by": "given", "n_comps": int(n_comps)}
    k = max(choice["n_comps"], min(at_least, limit))
    loadings, variance = _kernels.principal_axes(moments.covariance, k, random_state=random_state)
    sd = np.sqrt(moments.stats.variance[genes] * (n - 1) / n)
    return Components(moments.stats, genes, loadings, variance, sd, choice)


def choose_components(
    X: NDArray[np.floating], limit: int, *, random_state: int = 0
) -> dict[str, Any]:
    """Choose a number of principal components without labels: how, from what, and by which error.

    Parameters
    ----------
    X
        Some cells x genes.
    limit
        Largest number that there can be.
    """
    # Few cells do not carry many components: at most one for fifteen of them.
    most = min(limit, max(N_COMPS[0], len(X) // 15), X.shape[1] // 2 - 1)
    tried = [k for k in N_COMPS if k <= most]
    if min(X.shape) < _LEAST or len(tried) < 2:
        return {"by": "too few to choose", "n_comps": min(_FALLBACK, limit)}
    error = _kernels.held_out_error(X, tried, random_state=random_state)
    best = tried[int(error.argmin())]
    return {"by": "held-out genes", "n_comps": best, "tried": np.array(tried), "error": error}
