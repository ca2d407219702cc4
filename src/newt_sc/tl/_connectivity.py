"""How alike signatures of compounds are to signatures of genes that were perturbed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.stats import rankdata

from newt_sc import genes
from newt_sc._missing import read_labels
from newt_sc._warn import warn
from newt_sc.genes._annotated import align_var, var_genes
from newt_sc.tl._rows import Rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    import anndata as ad
    from numpy.typing import NDArray

__all__ = ["connectivity", "masked_correlation", "row_ranks"]

_MIN_GENES: Final = 10  # measured in both; fewer tell nothing
_CHUNK: Final = 512  # compounds at a time
_GAIN: Final = re.compile(r"over[-_ ]?express|(?<!in)activ|crispra", re.IGNORECASE)


def connectivity(
    compounds: ad.AnnData, genetic: Mapping[str, ad.AnnData], targets: pd.Index
) -> NDArray[np.float32]:
    """Correlate compounds with the genetic signatures of targets, rank by rank.

    Parameters
    ----------
    compounds
        Signatures x genes, dense, NaN where not measured.
    genetic
        Name -> signatures x genes with ``obs["target"]``. Gain of function counts with the opposite
        sign: told by ``obs["perturbation"]`` where it is there, otherwise by the name.
    targets
        Symbols.

    Returns
    -------
    Compounds x targets: the mean, over the signatures of a target, of the correlation of ranks over
    the genes measured in both, NaN where these are fewer than 10. A signature without an order, all
    of whose values are the same, is a set: its genes against all others that the compound has.

    Raises
    ------
    KeyError
        If there is no ``obs["target"]``.
    GeneMatchError
        If no gene of a modality is one of the compounds'.
    """
    n, t = compounds.n_obs, len(targets)
    total, count = np.zeros((n, t)), np.zeros((n, t))
    X = np.asarray(compounds.X, dtype=np.float64)
    for name, mod in genetic.items():
        if "target" not in mod.obs:
            msg = (
                f"{name}.obs has no column 'target', which says the gene that was perturbed:"
                f" {list(mod.obs.columns)}."
            )
            raise KeyError(msg)
        column = _columns(mod.obs["target"], targets)
        use = np.flatnonzero(column >= 0)
        found = align_var(mod, var_genes(compounds), what=name)
        if not use.size:
            text = (
                f"No signature of {name} is of a gene among the {t} targets: no connectivity"
                " from it."
            )
            warn(text)
            continue
        place, at = np.unique(found.index[found.index >= 0], return_index=True)
        at = np.flatnonzero(found.index >= 0)[at]
        kind = (
            mod.obs["perturbation"].astype(str)
            if "perturbation" in mod.obs
            else pd.Series(name, mod.obs_names)
        )
        sign = np.array([-1.0 if _GAIN.search(text) else 1.0 for text in kind])[use]
        values = list(Rows(mod.X, name).map(_to_array, at, dense=True))
        ranks, known = row_ranks(np.concatenate(values)[use].astype(np.float64), sets=True)
        to = sparse.csr_array(
            (np.ones(use.size), (np.arange(use.size), column[use])), shape=(use.size, t)
        )
        for start in range(0, n, _CHUNK):
            some = slice(start, start + _CHUNK)
            r = masked_correlation(*row_ranks(X[some][:, place], sets=False), ranks, known) * sign
            count[some] += np.isfinite(r).astype(np.float64) @ to
            total[some] += np.nan_to_num(r) @ to
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(count > 0, total / count, np.nan), dtype=np.float32)


def _columns(names: Any, targets: pd.Index) -> NDArray[np.intp]:
    """Column of each target, -1 where there is none."""
    text = read_labels(names, f"obs[{names.name!r}]").fillna("").to_numpy(dtype=object)
    out = np.full(len(text), -1, dtype=np.intp)
    some = np.flatnonzero(text != "")
    if some.size:
        out[some] = genes.align(text[some], targets).index
    return out


def row_ranks(
    X: NDArray[np.float64], *, sets: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ranks within each row, from -0.5 to 0.5 and 0 where not measured, and what was measured."""
    known = np.isfinite(X)
    n = known.sum(axis=1, keepdims=True)
    ranks = rankdata(X, axis=1, nan_policy="omit")
    ranks = np.where(known, (ranks - 0.5) / np.maximum(n, 1) - 0.5, 0)
    if sets:
        low = np.min(X, axis=1, where=known, initial=np.inf)
        flat = (n[:, 0] > 0) & (low == np.max(X, axis=1, where=known, initial=-np.inf)) & (low != 0)
        ranks[flat] = np.where(known[flat], np.sign(low[flat, None]), 0)
        few = known[flat].sum(axis=1) < _MIN_GENES
        known[flat] = ~few[:, None]
    return ranks, known.astype(np.float64)


def masked_correlation(
    a: NDArray[np.float64],
    known_a: NDArray[np.float64],
    b: NDArray[np.float64],
    known_b: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Correlation of each row of a with each row of b over what both know.

    It is NaN where that is little or constant.
    """
    n = known_a @ known_b.T
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_a, mean_b = (a @ known_b.T) / n, (known_a @ b.T) / n
        cov = (a @ b.T) / n - mean_a * mean_b
        var_a, var_b = ((a * a) @ known_b.T) / n - mean_a**2, (known_a @ (b * b).T) / n - mean_b**2
        r = cov / np.sqrt(var_a * var_b)
    out: NDArray[np.float64] = np.where(
        (n >= _MIN_GENES) & (var_a > 1e-9) & (var_b > 1e-9), np.clip(r, -1, 1), np.nan
    )
    return out


def _to_array(block: Any) -> NDArray[Any]:
    return np.asarray(block.toarray() if sparse.issparse(block) else block)
