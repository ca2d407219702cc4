"""Predicted targets as they stand beside signatures, and as a ranked table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from newt_sc import _keys

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["Predictions"]


@dataclass(frozen=True, eq=False)
class Predictions:
    """What :func:`newt_sc.tl.predict_targets` wrote, in the order of the signatures.

    Attributes
    ----------
    signatures, names
        Of each row its name, and that of its compound.
    targets
        Names of the columns.
    z, probability, connectivity
        Signatures x targets; the last one only where there are genetic signatures.
    of_targets
        ``prior``, ``n_compounds`` and ``auroc``.
    of_rows
        ``reliability`` and ``answered``; of what was written also ``cross_fitted``.
    labels
        What is known, pairs of ``compound`` and ``target``, or ``None``.
    """

    signatures: pd.Index
    names: pd.Index
    targets: pd.Index
    z: NDArray[np.floating]
    probability: NDArray[np.floating]
    connectivity: NDArray[np.floating] | None
    of_targets: dict[str, NDArray[Any]]
    of_rows: dict[str, NDArray[Any]]
    labels: pd.DataFrame | None = None

    @classmethod
    def of(cls, mod: AnnData, key: str | None, otherwise: str = "") -> Predictions:
        """Read predictions; ``otherwise`` says what to do without them.

        Raises
        ------
        KeyError
            If there are none under this key.
        ValueError
            If signatures were added since.
        """
        slot = key or _keys.TARGETS
        info: Any = mod.uns.get(slot)
        if not isinstance(info, Mapping) or "signatures" not in info or slot not in mod.obsm:
            msg = (
                f"No predicted targets under {slot!r}: run newt_sc.tl.predict_targets"
                f" first{otherwise}."
            )
            raise KeyError(msg)
        # uns does not follow when signatures are left out or put into another order
        at = pd.Index(np.asarray(info["signatures"], dtype=object)).get_indexer(mod.obs_names)
        if (at < 0).any():
            msg = (
                f"{int((at < 0).sum()):,} signatures are not in uns[{slot!r}]: run"
                " newt_sc.tl.predict_targets again."
            )
            raise ValueError(msg)
        evidence = mod.obsm.get(f"{slot}_connectivity")
        rows = ("reliability", "answered", "cross_fitted")
        return cls(
            signatures=mod.obs_names,
            names=pd.Index(np.asarray(info["compound"], dtype=object)[at]),
            targets=pd.Index(np.asarray(info["targets"], dtype=object)),
            z=np.asarray(mod.obsm[slot]),
            probability=np.asarray(mod.obsm[f"{slot}_probability"]),
            connectivity=None if evidence is None else np.asarray(evidence),
            of_targets={name: np.asarray(info[name]) for name in ("prior", "n_compounds", "auroc")},
            of_rows={name: np.asarray(info[name])[at] for name in rows},
            labels=pd.DataFrame(info["labels"]) if "labels" in info else None,
        )

    def rows(self, wanted: list[str] | None = None) -> NDArray[np.intp]:
        """First row of each compound, by its own name or by that of one of its signatures.

        Raises
        ------
        KeyError
            If a compound is not there.
        """
        first = np.flatnonzero(~self.names.duplicated())
        if wanted is None:
            return first
        at = self.names[first].get_indexer(wanted)
        rows = np.where(at >= 0, first[at], self.signatures.get_indexer(wanted))
        lost = [name for name, row in zip(wanted, rows, strict=True) if row < 0]
        if lost:
            some = list(self.names[first[:3]])
            msg = f"No compounds {lost[:5]}; there are {some} and others."
            raise KeyError(msg)
        found: NDArray[np.intp] = rows[~self.names[rows].duplicated()]
        return found

    def known(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which pairs of some rows and all targets the labels have."""
        out = np.zeros((len(rows), len(self.targets)), dtype=bool)
        if self.labels is not None:
            row = self.names[rows].get_indexer(self.labels["compound"].astype(object))
            column = self.targets.get_indexer(self.labels["target"].astype(object))
            use = (row >= 0) & (column >= 0)
            out[row[use], column[use]] = True
        return out

    def table(
        self, rows: NDArray[np.intp], *, top: int | None = 10, sort_by: str = "z"
    ) -> pd.DataFrame:
        """Rank the targets of some rows; see :func:`newt_sc.get.targets`."""
        z, probability = self.z[rows], self.probability[rows]
        usable: NDArray[np.bool_] = np.asarray(np.isfinite(z).any(axis=1))
        order = np.broadcast_to(np.arange(len(self.targets)), z.shape)
        if sort_by == "z" and top is not None and top < len(self.targets):
            order = np.sort(np.argpartition(-z, top - 1, axis=1)[:, :top], axis=1)
        # ties of probability go by z, and those of z as the targets stand; NaN come last
        for score in (z, probability) if sort_by == "probability" else (z,):
            by = np.argsort(-np.take_along_axis(score, order, 1), axis=1, kind="stable")
            order = np.take_along_axis(order, by, 1)
        order = order[:, :top]
        keep = np.ones(order.shape, dtype=bool)
        keep[~usable, 1:] = False
        row, place = np.nonzero(keep)
        column = order[row, place]

        def told(values: Any, otherwise: Any = np.float32(np.nan)) -> Any:  # noqa: B008
            return np.where(usable[row], values, otherwise)

        prior, n_compounds, auroc = self.of_targets.values()
        columns: dict[str, Any] = {
            "compound": self.names.to_numpy(dtype=object)[rows][row],
            "rank": told(place + 1, 0),
            "target": told(self.targets.to_numpy(dtype=object)[column], np.nan),
            "z": told(z[row, column]),
            "probability": told(probability[row, column]),
            "prior": told(prior[column]),
        }
        if self.connectivity is not None:
            columns["connectivity"] = told(self.connectivity[rows][row, column])
        columns |= {"n_compounds": told(n_compounds[column], 0), "auroc": told(auroc[column])}
        columns |= {name: self.of_rows[name][rows][row] for name in ("reliability", "answered")}
        if self.labels is not None:
            columns["known"] = told(self.known(rows)[row, column], False)
        return pd.DataFrame(columns)
