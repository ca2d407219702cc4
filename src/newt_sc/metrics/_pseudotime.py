"""Agreement of diffusion pseudotime with a known order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

import numpy as np

from ._check import check_count, check_length, check_points

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["pseudotime_spearman"]


@overload
def pseudotime_spearman(
    X: ArrayLike,
    order: ArrayLike,
    *,
    root: int | None = ...,
    n_neighbors: int = ...,
    random_state: int = ...,
    return_per_cell: Literal[False] = ...,
) -> float: ...


@overload
def pseudotime_spearman(
    X: ArrayLike,
    order: ArrayLike,
    *,
    root: int | None = ...,
    n_neighbors: int = ...,
    random_state: int = ...,
    return_per_cell: Literal[True],
) -> tuple[float, NDArray[np.float64]]: ...


def pseudotime_spearman(
    X: ArrayLike,
    order: ArrayLike,
    *,
    root: int | None = None,
    n_neighbors: int = 15,
    random_state: int = 0,
    return_per_cell: bool = False,
) -> float | tuple[float, NDArray[np.float64]]:
    """Score how well diffusion pseudotime follows a known order of the cells.

    Runs :func:`scanpy.pp.neighbors`, :func:`scanpy.tl.diffmap` and :func:`scanpy.tl.dpt` with their
    defaults on the cells whose order is known, and correlates pseudotime with the order by
    Spearman's rho. The order should come from sampling time or sorting, not from a trajectory
    fitted to the same data.

    Parameters
    ----------
    X
        Representation, cells x dimensions, dense and finite.
    order
        Known order, such as the index of a stage; ties are allowed. Cells where it is NaN are left
        out of the graph.
    root
        Row of ``X`` where pseudotime starts. By default, of the cells of the lowest order, the one
        nearest to their centroid in ``X``: the same rule for every representation.
    n_neighbors
        Size of the neighbourhood in the graph.
    random_state
        Seed of the neighbour search and the eigensolver.
    return_per_cell
        Also return the pseudotime of each cell: ``inf`` where the root cannot be reached, NaN where
        the order is.

    Returns
    -------
    Spearman's rho between -1 and 1. Cells that the graph does not connect to the root rank last,
    tied. With ``return_per_cell`` the pair of rho and pseudotime.

    Raises
    ------
    TypeError
        If ``X`` is sparse or not numeric, or a count is not an integer.
    ValueError
        If shapes do not fit, ``X`` is not finite or the same in all cells, the order has fewer than
        two values, the root is not a cell with a known order, or there are not more cells than
        ``n_neighbors``.

    References
    ----------
    Haghverdi et al. (2016), Diffusion pseudotime robustly reconstructs lineage branching, Nature
    Methods 13:845.

    Examples
    --------
    >>> nt.metrics.pseudotime_spearman(adata.obsm["X_newt"], adata.obs["day"])  # doctest: +SKIP
    """
    from scipy.stats import spearmanr

    points = check_points(X)
    check_length("order", order, len(points))
    check_count("n_neighbors", n_neighbors, 2)
    check_count("random_state", random_state, 0)
    if not np.isfinite(np.square(points).sum(axis=1, dtype=np.float32)).all():
        msg = f"X reaches {np.abs(points).max():.3g}, too large for distances in float32; scale it."
        raise ValueError(msg)
    try:
        rank = np.asarray(order, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = (
            "order is not numeric; expected one number for each cell, such as the index of its"
            " stage."
        )
        raise TypeError(msg) from error
    cells = np.flatnonzero(~np.isnan(rank))
    rank = rank[cells]
    if np.unique(rank).size < 2:
        msg = (
            f"order has {np.unique(rank).size} different values that are not NaN; expected at least"
            " two."
        )
        raise ValueError(msg)
    if n_neighbors >= cells.size:
        msg = (
            f"n_neighbors is {n_neighbors}; expected fewer than the {cells.size} cells with a known"
            " order."
        )
        raise ValueError(msg)
    if (points[cells] == points[cells[0]]).all():
        msg = (
            "X is the same in all cells with a known order; expected a representation that tells"
            " them apart."
        )
        raise ValueError(msg)
    if root is None:
        start = _central_first(points[cells], rank)
    else:
        found = np.flatnonzero(cells == check_count("root", root, 0))
        if not found.size:
            msg = f"root is {root}; expected a row of X, below {len(points)}, with a known order."
            raise ValueError(msg)
        start = int(found[0])

    time = _diffusion_pseudotime(points[cells], start, n_neighbors, random_state)
    rho = float(spearmanr(time, rank).statistic)
    if not return_per_cell:
        return rho
    pseudotime = np.full(len(points), np.nan)
    pseudotime[cells] = time
    return rho, pseudotime


def _central_first(points: NDArray[np.float64], rank: NDArray[np.float64]) -> int:
    """Of the cells of the lowest rank, the one nearest to their centroid."""
    first = np.flatnonzero(rank == rank.min())
    distance = np.linalg.norm(points[first] - points[first].mean(axis=0), axis=1)
    return int(first[distance.argmin()])


def _diffusion_pseudotime(
    points: NDArray[np.float64], root: int, n_neighbors: int, random_state: int
) -> NDArray[np.float64]:
    import scanpy as sc
    from anndata import AnnData

    adata = AnnData(points.astype(np.float32))
    sc.pp.neighbors(adata, n_neighbors=n_neighbors, use_rep="X", random_state=random_state)
    sc.tl.diffmap(adata, n_comps=min(15, adata.n_obs - 1), random_state=random_state)
    adata.uns["iroot"] = root
    with np.errstate(
        invalid="ignore"
    ):  # 0 / 0 where all cells that can be reached are in one place
        sc.tl.dpt(adata, n_dcs=min(10, adata.obsm["X_diffmap"].shape[1]))
    time: NDArray[np.float64] = adata.obs["dpt_pseudotime"].to_numpy(dtype=np.float64, copy=True)
    time[np.isnan(time)] = 0
    return time
