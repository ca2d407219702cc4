"""One signature per compound, from replicates, doses, times and cell lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse
from scipy.stats import rankdata

from newt_sc._missing import read_labels
from newt_sc._verb import checked, modality_of
from newt_sc._warn import warn
from newt_sc.tl._levels import warn_of_levels
from newt_sc.tl._rows import Rows

if TYPE_CHECKING:
    from mudata import MuData
    from numpy.typing import NDArray

__all__ = ["GROUPS", "Groups", "group_names", "pool_signatures", "warn_of_several"]

GROUPS = ("pert_iname", "pert_id")
"""Columns of ``obs`` that name the compound in files of L1000, the first that is there."""

LEAST_WEIGHT = 0.01
"""Of a replicate that agrees with no other, as in the moderated z-scores of L1000."""

Weights = Literal["agreement", "equal"]


@checked
def pool_signatures(
    data: MuData | ad.AnnData,
    *,
    groupby: str | Sequence[str] | None = None,
    weights: Weights = "agreement",
    modality: str = "compound",
) -> ad.AnnData:
    """Combine all signatures of each compound into one.

    Use it on Level-5 data of L1000, where a compound has one signature per cell line, dose, time
    and replicate. Call it before :func:`newt_sc.tl.pharmacology_network`,
    :func:`newt_sc.tl.mechanism` and :func:`newt_sc.tl.repurpose`.
    :func:`newt_sc.tl.predict_targets` pools by itself (``groupby``). Do not use it to compare cell
    lines. Signatures that agree with the others of their compound count more.

    Parameters
    ----------
    data
        Signatures x genes, z-scores, NaN where not measured; numpy, scipy sparse, backed or dask.
        A MuData of which ``modality`` is taken.
    groupby
        Columns of ``obs`` that name the compound; several are joined by ``|``. By default
        ``pert_iname``, or else ``pert_id``.
    weights
        ``"agreement"``: the mean rank correlation of a signature with the others of its compound,
        at least .01, as in the moderated z-scores of L1000. ``"equal"``: Stouffer's method.
    %(modality)s

    Returns
    -------
    AnnData of compounds x genes, float32: sums of weighted z over the root of the summed squares of
    the weights, so that noise keeps a standard deviation of 1. ``obs``: ``n_signatures``;
    ``agreement``, the mean rank correlation (NaN of a single signature); and each column of the
    data, values that differ joined by ``|``, up to five. ``uns["targets"]`` comes along, its
    signatures named by their compound.

    Raises
    ------
    KeyError
        If there is no such modality or column.
    ValueError
        If a signature has no compound, or values are infinite.

    Warns
    -----
    NewtWarning
        If the values look like intensities (Levels 2 and 3 of L1000), not like signatures.

    References
    ----------
    Subramanian et al. (2017), Cell 171:1437, on moderated z-scores.

    Examples
    --------
    >>> compounds = nt.tl.pool_signatures(nt.io.read_gctx("level5.gctx"))  # doctest: +SKIP
    """
    mod = modality_of(data, modality)
    warn_of_levels(mod)
    groups = Groups.of(mod, groupby if groupby is not None else _first_column(mod))
    X, agreement = groups.pooled(mod, weights)
    obs = pd.DataFrame(index=groups.names)
    obs["n_signatures"] = np.bincount(groups.code, minlength=len(groups.names))
    obs["agreement"] = agreement
    for column in mod.obs.columns.difference(obs.columns, sort=False):
        obs[column] = _joined(mod.obs[column], groups.code)
    out = ad.AnnData(X, obs=obs, var=mod.var.copy())
    if isinstance(mod.uns.get("targets"), pd.DataFrame):
        out.uns["targets"] = groups.renamed(mod.uns["targets"], mod.obs_names)
    return out


@dataclass(frozen=True)
class Groups:
    """Which signatures are of which compound.

    Attributes
    ----------
    names
        Of the compounds.
    code
        Compound of each signature.
    """

    names: pd.Index
    code: NDArray[np.intp]

    @classmethod
    def of(cls, mod: ad.AnnData, groupby: str | Sequence[str]) -> Groups:
        """Read the columns that name the compound.

        Raises
        ------
        KeyError
            If a column is not there.
        ValueError
            If a signature has no compound.
        """
        columns = group_names(groupby)
        if lost := [name for name in columns if name not in mod.obs]:
            msg = f"groupby: no columns {lost} in obs, which has {list(mod.obs.columns)}."
            raise KeyError(msg)
        values = pd.DataFrame(
            {name: read_labels(mod.obs[name], f"obs[{name!r}]") for name in columns},
            index=mod.obs_names,
        )
        if (empty := values.isna().any(axis=1)).any():
            msg = (
                f"groupby: {empty.sum():,} signatures have no {' and '.join(columns)}: name them,"
                " or leave them out."
            )
            raise ValueError(msg)
        code, names = pd.factorize(values.astype(str).agg("|".join, axis=1).to_numpy(dtype=object))
        return cls(pd.Index(names.astype(str)), code)

    def pooled(
        self, mod: ad.AnnData, weights: Weights = "agreement"
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Pool signatures: compounds x genes, and how well those of each compound agree."""
        shape = len(self.names), mod.n_vars
        ranks = np.zeros(shape)
        for groups, sums in self._blocks(mod, _rank_block):
            ranks[groups] += sums
        size = np.bincount(self.code, minlength=len(self.names))
        found = self._blocks(mod, _agree_block, ranks, size)
        agreement = np.concatenate([np.zeros(0), *found])
        weight = np.ones(mod.n_obs)
        if weights == "agreement":
            weight = np.where(np.isnan(agreement), 1.0, np.maximum(agreement, LEAST_WEIGHT))
        total, squares = np.zeros(shape), np.zeros(shape)
        for groups, sums, own in self._blocks(mod, _pool_block, along=weight):
            total[groups] += sums
            squares[groups] += own
        with np.errstate(invalid="ignore"):
            X = np.where(squares > 0, total / np.sqrt(squares), np.nan).astype(np.float32)
        mean = np.bincount(self.code, np.nan_to_num(agreement), minlength=len(self.names)) / size
        return X, np.where(size > 1, mean, np.nan)

    def _blocks(
        self, mod: ad.AnnData, function: Any, *more: Any, along: Any = None
    ) -> Iterator[Any]:
        along = np.ones(mod.n_obs) if along is None else along
        both = np.column_stack([self.code, along])
        return iter(Rows(mod.X, "X").map(_Call(function, more), dense=True, along=both))

    def renamed(self, labels: pd.DataFrame, signatures: pd.Index) -> pd.DataFrame:
        """Labels whose compounds are groups; those of a signature go to its group."""
        given = labels["compound"].astype(str)
        row = signatures.get_indexer(given)
        move = ~given.isin(self.names).to_numpy() & (row >= 0)
        if not move.any():
            return labels
        of_row = self.names.to_numpy(dtype=object)[self.code[row]]
        return labels.assign(compound=np.where(move, of_row, given))


@dataclass(frozen=True)
class _Call:
    """A function of a block with more arguments, which another process can be sent."""

    function: Any
    more: tuple[Any, ...]

    def __call__(self, block: Any, along: NDArray[np.float64]) -> Any:
        X = np.asarray(block.toarray() if sparse.issparse(block) else block, dtype=np.float64)
        if infinite := int(np.isinf(X).sum()):
            msg = (
                f"X has {infinite} infinite values; expected finite numbers, NaN where not"
                " measured."
            )
            raise ValueError(msg)
        return self.function(X, along[:, 0].astype(np.intp), along[:, 1], *self.more)


def _unit_ranks(X: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks of each row, centred, of length 1; 0 where not measured and in rows of one value."""
    known = ~np.isnan(X)
    R = np.where(known, rankdata(X, axis=1, nan_policy="omit"), 0)
    mean = R.sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
    R = np.where(known, R - mean, 0)
    size = np.linalg.norm(R, axis=1, keepdims=True)
    return np.asarray(np.divide(R, size, out=np.zeros_like(R), where=size > 0))


def _summed(
    X: NDArray[np.float64], code: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Sum rows by groups: the groups, and the sums."""
    groups, own = np.unique(code, return_inverse=True)
    to = sparse.csr_array((np.ones(len(X)), (own, np.arange(len(X)))), shape=(len(groups), len(X)))
    return groups, to @ X


def _rank_block(X: NDArray[np.float64], code: NDArray[np.intp], _: Any) -> Any:
    return _summed(_unit_ranks(X), code)


def _agree_block(
    X: NDArray[np.float64],
    code: NDArray[np.intp],
    _: Any,
    ranks: NDArray[np.float64],
    size: NDArray[np.intp],
) -> NDArray[np.float64]:
    """Mean rank correlation of each row with the others of its group, NaN if there is none.

    The product with the sum of all, less that with itself, is the sum over the others.
    """
    U = _unit_ranks(X)
    others = size[code] - 1
    own = (U * U).sum(axis=1)
    total = (U * ranks[code]).sum(axis=1) - own
    return np.asarray(np.divide(total, others, out=np.full(len(U), np.nan), where=others > 0))


def _pool_block(X: NDArray[np.float64], code: NDArray[np.intp], weight: NDArray[np.float64]) -> Any:
    known, w = ~np.isnan(X), weight[:, None]
    groups, total = _summed(np.where(known, X, 0) * w, code)
    return groups, total, _summed(known * w**2, code)[1]


def _joined(values: pd.Series, code: NDArray[np.intp]) -> NDArray[Any]:
    """Value of each group, or, where they differ, up to five of them joined by ``|``."""
    by = values.groupby(code, observed=True)
    if (by.nunique(dropna=False) <= 1).all():
        return np.asarray(by.first())
    return np.array(
        ["|".join(map(str, some.dropna().unique()[:5])) for _, some in by], dtype=object
    )


def group_names(names: str | Sequence[str] | None) -> list[str]:
    """Give names of columns as a list."""
    return [] if names is None else [names] if isinstance(names, str) else list(names)


def _first_column(mod: ad.AnnData) -> str:
    found = next((name for name in GROUPS if name in mod.obs), None)
    if found is None:
        msg = (
            f"groupby: obs has none of {list(GROUPS)}, which name compounds in files of L1000, but"
            f" {list(mod.obs.columns)}: give the column."
        )
        raise KeyError(msg)
    return found


def warn_of_several(mod: ad.AnnData) -> None:
    """Warn where rows are signatures, several of a compound, and compounds are asked for."""
    column = next((name for name in GROUPS if name in mod.obs), None)
    if column is not None and (n := mod.obs[column].nunique()) < mod.n_obs:
        warn(
            f"There are {mod.n_obs:,} signatures of {n:,} compounds (obs[{column!r}]), and each"
            " counts as a compound: pool them first by newt_sc.tl.pool_signatures."
        )
