"""Which compounds a predictor was trained on, and what it was told of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from newt_sc._missing import read_labels

if TYPE_CHECKING:
    import anndata as ad

    from newt_sc.models._arrays import Array, Mask, Rows

__all__ = ["Trained"]

_NAMED = ("name", "drugbank_id", "pert_iname", "pert_id")
_KEY = "inchikey"
_SKELETON = 14
"""Length of the first block of an InChIKey: the molecule without its salt and stereochemistry."""


@dataclass(frozen=True)
class Trained:
    """Compounds that a model was trained on.

    Attributes
    ----------
    names
        Each compound's names, lower case: its id, what columns of ``obs`` call it, and the first
        block of its InChIKey, joined by ``|``.
    told
        Pairs of a compound and a target that it has: positions, 2 x pairs.
    """

    names: tuple[str, ...]
    told: Array

    @classmethod
    def of(cls, adata: ad.AnnData, Y: Array) -> Trained:
        """Take the compounds of ``adata``, and labels, compounds x targets."""
        names = tuple("|".join(sorted(some)) for some in _names(adata))
        return cls(names, np.array(np.nonzero(Y), dtype=np.int32))

    @classmethod
    def read(cls, found: Mapping[str, Any], told: Array, n_targets: int) -> Trained:
        """Take what a file holds, and check it.

        Raises
        ------
        ValueError
            If pairs are not of these compounds and targets.
        """
        names = tuple(found["trained_on"])
        if told.shape[:1] != (2,) or told.ndim != 2 or told.dtype.kind not in "iu":
            raise ValueError(f"'told' has shape {told.shape}, expected 2 x pairs")
        if told.size and (told.min() < 0 or (told.max(axis=1) >= (len(names), n_targets)).any()):
            raise ValueError("'told' names compounds or targets that the model does not have")
        return cls(names, told)

    def rows(self, adata: ad.AnnData) -> Rows:
        """Find each compound among those trained on, by any of its names; -1 where it is new."""
        at = {
            name: row
            for row, some in reversed([*enumerate(self.names)])
            for name in some.split("|")
        }
        return np.array(
            [min((at[name] for name in some if name in at), default=-1) for some in _names(adata)],
            dtype=np.intp,
        )

    def pairs(self, rows: Rows, n_targets: int) -> Mask:
        """Tell which targets the model was told of compounds in these rows; none of new ones."""
        known = np.zeros((len(self.names) + 1, n_targets), dtype=bool)  # the last is of new ones
        known[self.told[0], self.told[1]] = True
        return known[rows]


def _names(adata: ad.AnnData) -> Iterator[set[str]]:
    """Names of each compound by which it is known again."""
    columns = [pd.Series(adata.obs_names.astype(str), index=adata.obs_names)]
    for name in (*_NAMED, _KEY):
        if name in adata.obs:
            values = (
                read_labels(adata.obs[name], f"obs[{name!r}]", quiet=True).fillna("").astype(str)
            )
            columns.append(values.str.split("|").str[0].str[:_SKELETON] if name == _KEY else values)
    for row in zip(*columns, strict=True):
        yield {text.strip().lower().replace("|", " ") for text in row} - {""}
