"""What networks, mechanisms and repurposing share: compounds, and how alike they are.

It tells which compounds are one drug, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd

from newt_sc import _kernels, _keys
from newt_sc._missing import MISSING, read_labels, read_pairs
from newt_sc._verb import modality_of
from newt_sc._warn import warn
from newt_sc.models._target_table import Predictions, shown_names
from newt_sc.tl._levels import warn_of_levels
from newt_sc.tl._pool_signatures import warn_of_several
from newt_sc.tl._predict_targets import dense, find_labels

if TYPE_CHECKING:
    import anndata as ad
    from numpy.typing import NDArray

__all__ = [
    "DRUG",
    "WHITENING",
    "CompoundSpace",
    "Exponent",
    "annotation_matrix",
    "known_pairs",
    "sum_over_drugs",
]

DRUG = ("name", "inchikey")
# The best powers of the eigenvalues for the same mechanism (docs/notes/network.md). Of few
# compounds of few kinds, what kinds differ in is a large eigenvalue, and 0 is better.
WHITENING = -0.4
_PROFILE_WHITENING = -0.25
_ANNOTATE = (
    "name the column that has them, or write one of your own, several values joined by '|', empty"
    " where none is known; newt_sc.io.read_repurposing_hub(drugs, compounds=adata.obs) gives"
    " mechanisms ('moa') and indications."
)
Exponent = Annotated[float, "from -1 to 0"]
# Fewer tell nothing of what is usual; of more, pairs fill the memory: 20,000 x 20,000 is 3 GB.
_FEW, _MOST = 20, 20_000


@dataclass(frozen=True)
class CompoundSpace:
    """Compounds of a modality, and how alike they are.

    Attributes
    ----------
    mod
        The modality.
    names
        Names to show.
    known
        Which compounds can be compared.
    drug
        Group of each compound; compounds of one group are one drug.
    parts
        Matrices whose cosines are the similarity, one or two, rows of ``known`` alone.
    moments
        Mean and standard deviation that each part's cosines are scaled by; 0 and 1 for one part.
    strength
        Log mean absolute value of each signature.
    """

    mod: ad.AnnData
    names: NDArray[np.object_]
    known: NDArray[np.bool_]
    drug: NDArray[np.intp]
    parts: tuple[NDArray[np.float64], ...]
    moments: tuple[tuple[float, float], ...]
    strength: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        mdata: object,
        modality: str,
        groups: Sequence[str],
        whitening: float,
        *,
        similarity: str = "signature",
        key: str | None = None,
    ) -> CompoundSpace:
        """Read signatures, predicted profiles or both.

        Raises
        ------
        TypeError, KeyError, ValueError
            See :func:`newt_sc.tl.pharmacology_network`.
        """
        from newt_sc.models._target_labels import drug_groups, expect_unique, read_compounds

        mod = modality_of(mdata, modality)
        expect_unique(mod.obs_names)
        warn_of_several(mod)
        warn_of_levels(mod)
        if mod.n_obs > _MOST:
            msg = (
                f"There are {mod.n_obs:,} signatures; at most {_MOST:,} are compared, pair by pair."
                " Pool them."
            )
            raise ValueError(msg)
        compounds = read_compounds(dense(mod), None)
        compared = [] if similarity == "profile" else [(compounds.scores, whitening)]
        known = compounds.known.copy()
        if similarity != "signature":
            z = Predictions.of(mod, key, ", or set similarity='signature'").z.astype(np.float64)
            compared.append((z, _PROFILE_WHITENING))
            known &= np.isfinite(z).all(axis=1)
        _warn_of_unknown(known)
        parts = [_kernels.whitened(X[known], power) for X, power in compared if known.any()]
        moments = [(0.0, 1.0)] if len(parts) == 1 else [_moments(part) for part in parts]
        drug = drug_groups(mod, compounds, groups)
        told = shown_names(mod), known, drug, tuple(parts), tuple(moments), compounds.strength
        return cls(mod, *told)

    @property
    def ids(self) -> NDArray[np.object_]:
        """Names of the rows."""
        return np.array(self.mod.obs_names.astype(str), dtype=object)

    def similarity(self) -> NDArray[np.float64]:
        """Similarity of all pairs: a cosine, or the mean of two scaled to z.

        It is 0 where there is no signature.
        """
        n = self.mod.n_obs
        out = np.zeros((n, n))
        if self.parts:
            total = sum(
                (_cosine(part) - mean) / sd
                for part, (mean, sd) in zip(self.parts, self.moments, strict=True)
            ) / len(self.parts)
            out[np.ix_(self.known, self.known)] = total
        return out

    def kernel(self, S: NDArray[np.float64], gamma: float) -> NDArray[np.float64]:
        """Turn cosines of signatures into ``exp(-gamma (1 - cos))``, 0 where there is none."""
        out: NDArray[np.float64] = np.exp(gamma * (S - 1)) * np.outer(self.known, self.known)
        return out


def sum_over_drugs(
    K: NDArray[np.float64],
    has: NDArray[np.bool_],
    drug: NDArray[np.intp],
    counts: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum a kernel over the drugs that have each label, and tell how many these are.

    A drug counts once, however many names it has, and only where ``counts`` says so.
    """
    one, counted = has / np.bincount(drug)[drug][:, None], counts.astype(np.float64)
    return (K * counted) @ one, counted @ one


def _warn_of_unknown(known: NDArray[np.bool_]) -> None:
    if not known.all():
        text = (
            f"{(~known).sum():,} of {known.size:,} compounds have no usable signature (zero,"
            " constant or NaN): left out."
        )
        warn(text)
    if known.sum() < _FEW:
        text = (
            f"{known.sum()} compounds have a signature: too few to tell what is usual among them."
        )
        warn(text)


def _cosine(part: NDArray[np.float64]) -> NDArray[np.float64]:
    U = _kernels.unit_rows(part)
    out: NDArray[np.float64] = U @ U.T
    return out


def _moments(part: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard deviation of the cosines of pairs."""
    values = _cosine(part)[np.triu_indices(len(part), 1)]
    sd = float(values.std()) if values.size else 0.0
    return (float(values.mean()) if values.size else 0.0), sd if sd > 0 else 1.0


def annotation_matrix(
    mod: ad.AnnData, column: str, *, length: int | None = None
) -> tuple[NDArray[np.bool_], NDArray[np.object_]]:
    """Take the values of a column, several joined by ``|``.

    Returns
    -------
    Compounds x values, and the values, sorted.

    Raises
    ------
    KeyError
        If there is no such column.
    ValueError
        If it is empty.
    """
    if column not in mod.obs:
        msg = f"obs has the columns {list(mod.obs.columns)}, expected {column!r}; {_ANNOTATE}"
        raise KeyError(msg)
    told = read_labels(mod.obs[column], f"obs[{column!r}]").fillna("")
    parts = [{part.strip() for part in text.split("|")} - MISSING - {""} for text in told]
    lists = [sorted({part[:length] for part in some}) for some in parts]
    values = sorted({value for some in lists for value in some})
    if not values:
        msg = f"obs[{column!r}] is empty, expected values of some compounds; {_ANNOTATE}"
        raise ValueError(msg)
    at = {value: i for i, value in enumerate(values)}
    out = np.zeros((mod.n_obs, len(values)), dtype=bool)
    for row, some in enumerate(lists):
        out[row, [at[value] for value in some]] = True
    return out, np.array(values, dtype=object)


def known_pairs(mod: ad.AnnData, key: str | None) -> pd.DataFrame:
    """Take the known pairs of compound and target.

    These are what predictions were written with, or ``uns["targets"]``.
    """
    info: Any = mod.uns.get(key or _keys.TARGETS)
    told = info.get("labels") if isinstance(info, Mapping) else None
    labels = find_labels(mod, None) if told is None else pd.DataFrame(told)
    if labels is None:
        labels = pd.DataFrame({"compound": [], "target": []}, dtype=object)
    some = read_pairs(labels[["compound", "target"]], "targets").drop_duplicates()
    return some[some["compound"].isin(mod.obs_names)].reset_index(drop=True)
