"""Counts, read by blocks of rows, for ``embed(counts_layer=...)``."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from newt_sc import kernels
from newt_sc.errors import NewtWarning

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from newt_sc.tl._rows import Rows

__all__ = ["N_COMPS", "Counts", "embed_counts"]

N_COMPS = (5, 10, 20, 30, 50)
_ALPHAS = (0.1, 0.2, 0.4, 0.6)
_N_GENES = 5000
_CHOICE_CELLS = 1000
_LEAST_CELLS = 10
_FEW_CELLS = 50


class Counts:
    """The counts of the most variable genes, in memory as sparse rows.

    Parameters
    ----------
    rows
        Counts of cells x genes, of all genes.
    mask
        Genes to choose from.

    Attributes
    ----------
    table
        Counts of cells x the 5,000 genes whose square-root shares vary most, or all of ``mask`` where it has no more.
    at
        Which genes these are, ascending.
    totals
        Counts of each cell over all genes.
    """

    def __init__(self, rows: Rows, mask: NDArray[np.bool_]) -> None:
        n, width = rows.shape
        totals, mean, square, row = np.zeros(n), np.zeros(width), np.zeros(width), 0
        for block in rows.blocks():
            counts = sparse.csr_array(block)
            _check_counts(counts.data, rows.name)
            own = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
            totals[row : row + own.size], row = own, row + own.size
            share = counts.data / np.repeat(np.maximum(own, 1), np.diff(counts.indptr))
            mean += np.bincount(counts.indices, weights=np.sqrt(share), minlength=width) / n
            square += np.bincount(counts.indices, weights=share, minlength=width) / n
        variance = np.where(mask, square - mean**2, -1)
        if not (variance > 1e-12).any():
            msg = f"{rows.name} has no gene that varies over the {n} cells: there is nothing to embed."
            raise ValueError(msg)
        order = np.argsort(-variance, kind="stable")[:_N_GENES]
        self.at = np.sort(order[variance[order] > 1e-12])
        self.totals = totals
        parts = [sparse.csr_array(block, dtype=np.float32) for block in rows.blocks(self.at)]
        self.table = sparse.csr_array(sparse.vstack(parts, format="csr"))
        self.table.eliminate_zeros()
        if empty := int((totals == 0).sum()):
            warnings.warn(f"{empty:,} of {n:,} cells have no count at all.", NewtWarning, stacklevel=4)


def _check_counts(values: NDArray[Any], name: str) -> None:
    wide = values.astype(np.float64)
    wrong = ~(np.isfinite(wide) & (wide >= 0) & (wide == np.rint(wide)))
    if wrong.any():
        msg = (
            f"{name} has {wide[wrong][0]:.4g}: expected raw counts, whole numbers from 0 up. Name the layer that has "
            "them, or leave counts_layer out for log-normalised expression."
        )
        raise ValueError(msg)


def embed_counts(
    counts: Counts,
    E: NDArray[np.floating],
    known: NDArray[np.bool_],
    *,
    alpha: float | None,
    n_comps: int | None,
    random_state: int,
) -> tuple[NDArray[np.float32], NDArray[np.float64], dict[str, Any]]:
    """Cells x components, their variance, and what was chosen; ``None`` asks for a choice.

    ``E`` and ``known`` are of the genes of ``counts``.
    """
    n, n_genes = counts.table.shape
    limit = min(n, n_genes)
    if n < _LEAST_CELLS:
        msg = f"there are {n} cells: counts_layer needs at least {_LEAST_CELLS} to tell signal from noise."
        raise ValueError(msg)
    if n_comps is not None and n_comps >= limit:
        msg = f"n_comps is {n_comps}, but must be less than the smaller of {n} cells and {n_genes} genes."
        raise ValueError(msg)
    numbers: Sequence[int] = [k for k in N_COMPS if k < limit / 2] or [limit // 2] if n_comps is None else [n_comps]
    if n < _FEW_CELLS and (alpha is None or n_comps is None):
        warnings.warn(
            f"Only {n} cells: what is chosen by held-out counts is uncertain; see uns. Give alpha and n_comps to "
            "choose yourself.",
            NewtWarning,
            stacklevel=4,
        )
    choice: dict[str, Any] = {"n_comps": numbers[0], "alpha": alpha or 0.0}
    if alpha is None or len(numbers) > 1:
        some = slice(None)
        if n > _CHOICE_CELLS:
            rng = np.random.default_rng(random_state)
            some = np.sort(rng.choice(n, _CHOICE_CELLS, replace=False))  # type: ignore[assignment]
        alphas = _ALPHAS if alpha is None and known.sum() > 1 else ()
        found = kernels.counts_choice(
            counts.table[some],
            counts.totals[some],
            E,
            known=known,
            n_comps=numbers,
            alphas=alphas,
            random_state=random_state,
        )
        choice = found | {"n_comps_tried": np.array(numbers), "alpha_tried": np.array(alphas, dtype=np.float64)}
        if alpha is not None:
            choice["alpha"] = alpha
    if alpha is None and choice["alpha"] == 0:
        warnings.warn(
            "The gene embedding does not predict held-out counts of these cells better than they do themselves: its "
            "weight is 0. The components are those of the counts alone; see uns.",
            NewtWarning,
            stacklevel=4,
        )
    prior = kernels.counts_prior(counts.table, counts.totals, np.random.default_rng(random_state))
    shares = kernels.square_root_shares(counts.table, counts.totals)
    loadings, variance = kernels.counts_loadings(
        shares, prior, choice["n_comps"], E=E, known=known, alpha=choice["alpha"], random_state=random_state
    )
    mean = np.asarray(shares.mean(axis=0), dtype=np.float64).ravel()
    Z = kernels.project(shares, loadings.astype(np.float32), center=mean)
    return Z, variance, choice
