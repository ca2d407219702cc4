"""Predicted targets as they stand beside signatures, and as a ranked table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from newt_sc import _keys
from newt_sc._missing import read_labels

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["Predictions", "called", "own_name", "pairs_told", "shown_names"]


_OF_TARGETS = ("prior", "n_compounds", "auroc")
_OF_ROWS = ("reliability", "answered", "known_to_model")
_SHOWN = ("name", "pert_iname", "hub_name")
_CALLED = (*_SHOWN, "synonyms", "drugbank_id", "pert_id", "inchikey")
"""Columns of ``obs`` by which a compound may be asked for; several names are joined by ``|``."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """What :func:`newt_sc.tl.predict_targets` wrote, in the order of the signatures.

    Attributes
    ----------
    signatures, names
        Of each row its name, and that of its compound.
    targets
        Names of the columns.
    z, probability, fdr, connectivity
        Signatures x targets; the last one only where there are genetic signatures.
    of_targets
        ``prior``, ``n_compounds`` and ``auroc``.
    of_rows
        ``reliability``, ``answered`` and ``known_to_model``; of what was written also
        ``cross_fitted``.
    labels, told
        What is known and what the model was told, pairs of ``compound`` and ``target``; ``None``
        without labels.
    called
        Names that a compound goes by, in lower case, and the row.
    shown
        Name to show of each row.
    """

    signatures: pd.Index
    names: pd.Index
    targets: pd.Index
    z: NDArray[np.floating]
    probability: NDArray[np.floating]
    fdr: NDArray[np.floating]
    connectivity: NDArray[np.floating] | None
    of_targets: dict[str, NDArray[Any]]
    of_rows: dict[str, NDArray[Any]]
    told: pd.DataFrame
    called: dict[str, int]
    shown: NDArray[np.object_]
    labels: pd.DataFrame | None = None

    @classmethod
    def of(cls, mod: AnnData, key: str | None, otherwise: str = "") -> Predictions:
        """Read predictions; ``otherwise`` says what to do without them.

        Raises
        ------
        KeyError
            If there are none under this key.
        ValueError
            If signatures were added since, or the predictions are no longer numbers of targets.
        """
        slot = key or _keys.TARGETS
        info: Any = mod.uns.get(slot)
        slots = {slot, f"{slot}_probability", f"{slot}_fdr"}
        if not isinstance(info, Mapping) or "told" not in info or not slots <= {*mod.obsm}:
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
        evidence, n = f"{slot}_connectivity", len(info["targets"])
        rows = ("reliability", "answered", "known_to_model", "cross_fitted")
        names = pd.Index(np.asarray(info["compound"], dtype=object)[at])
        return cls(
            signatures=mod.obs_names,
            names=names,
            targets=pd.Index(np.asarray(info["targets"], dtype=object)),
            z=_numbers(mod, slot, n),
            probability=_numbers(mod, f"{slot}_probability", n),
            fdr=_numbers(mod, f"{slot}_fdr", n),
            connectivity=_numbers(mod, evidence, n) if evidence in mod.obsm else None,
            of_targets={name: np.asarray(info[name]) for name in _OF_TARGETS},
            of_rows={name: np.asarray(info[name])[at] for name in rows},
            told=pd.DataFrame(info["told"]),
            called=called(mod),
            shown=shown_names(mod, names),
            labels=pd.DataFrame(info["labels"]) if "labels" in info else None,
        )

    @classmethod
    def of_block(cls, block: AnnData, least: float) -> Predictions:
        """Take what a model gave for some signatures; ``least`` reliability is an answer."""
        reliability = block.obs["reliability"].to_numpy()
        rows = {"reliability": reliability, "answered": reliability >= least}
        rows["known_to_model"] = block.obs["known_to_model"].to_numpy()
        return cls(
            signatures=block.obs_names,
            names=block.obs_names,
            targets=block.var_names,
            z=np.asarray(block.X),
            probability=np.asarray(block.layers["probability"]),
            fdr=np.asarray(block.layers["fdr"]),
            connectivity=None,
            of_targets={name: block.var[name].to_numpy() for name in _OF_TARGETS},
            of_rows=rows,
            told=pairs_told(block),
            called={},
            shown=block.obs_names.to_numpy(dtype=object),
        )

    def rows(self, wanted: list[str] | None = None) -> NDArray[np.intp]:
        """First row of each compound, by any of its names or that of one of its signatures.

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
        others = [self.called.get(str(name).strip().lower(), -1) for name in wanted]
        rows = np.where(rows >= 0, rows, others).astype(np.intp)
        lost = [name for name, row in zip(wanted, rows, strict=True) if row < 0]
        if lost:
            some = list(self.names[first[:3]])
            msg = f"No compounds {lost[:5]}; there are {some} and others."
            raise KeyError(msg)
        found: NDArray[np.intp] = rows[~self.names[rows].duplicated()]
        return found

    def has(self, pairs: pd.DataFrame | None, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which pairs of some rows and all targets are among those given."""
        out = np.zeros((len(rows), len(self.targets)), dtype=bool)
        if pairs is not None and len(pairs):
            row = self.names[rows].get_indexer(pairs["compound"].astype(object))
            column = self.targets.get_indexer(pairs["target"].astype(object))
            use = (row >= 0) & (column >= 0)
            out[row[use], column[use]] = True
        return out

    def known(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which pairs of some rows and all targets the labels have."""
        return self.has(self.labels, rows)

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
            "name": self.shown[rows][row],
            "rank": told(place + 1, 0),
            "target": told(self.targets.to_numpy(dtype=object)[column], np.nan),
            "z": told(z[row, column]),
            "fdr": told(self.fdr[rows][row, column]),
            "probability": told(probability[row, column]),
            "prior": told(prior[column]),
            "lift": told(probability[row, column] / prior[column]),
        }
        if self.connectivity is not None:
            columns["connectivity"] = told(self.connectivity[rows][row, column])
        columns |= {"n_compounds": told(n_compounds[column], 0), "auroc": told(auroc[column])}
        columns |= {name: self.of_rows[name][rows][row] for name in _OF_ROWS}
        columns["told"] = told(self.has(self.told, rows)[row, column], False)
        if self.labels is not None:
            columns["known"] = told(self.known(rows)[row, column], False)
        return pd.DataFrame(columns)


def _numbers(mod: AnnData, slot: str, n: int) -> NDArray[Any]:
    """Get a table of compounds x targets; people may have put another in its place."""
    stored: Any = mod.obsm[slot]
    found: NDArray[Any] = np.asarray(stored.toarray() if hasattr(stored, "toarray") else stored)
    if found.dtype.kind not in "fiub" or found.shape[1:] != (n,):
        msg = (
            f"obsm[{slot!r}] is {found.dtype} of shape {found.shape}, expected numbers of {n}"
            " targets; run newt_sc.tl.predict_targets again."
        )
        raise ValueError(msg)
    return found


def shown_names(mod: AnnData, own: pd.Index | None = None) -> NDArray[np.object_]:
    """Names to show: ``obs["name"]``, ``pert_iname`` or ``hub_name``, else the row's own."""
    names = mod.obs_names if own is None else own
    out = names.to_numpy(dtype=object).astype(str).astype(object)
    for column in reversed(_SHOWN):
        if column in mod.obs:
            told = read_labels(mod.obs[column], f"obs[{column!r}]", quiet=True)
            out = np.where(told.notna(), told.astype(object), out)
    return np.asarray(out, dtype=object)


def called(mod: AnnData) -> dict[str, int]:
    """Row of each name that a compound goes by, in lower case; the first where some share one."""
    out: dict[str, int] = {}
    for column in filter(mod.obs.__contains__, _CALLED):
        told = read_labels(mod.obs[column], f"obs[{column!r}]", quiet=True).fillna("").astype(str)
        for row, names in enumerate(told):
            for name in names.lower().split("|"):
                out.setdefault(name.strip(), row)
    out.pop("", None)
    return out


def own_name(mod: AnnData, name: str) -> str:
    """Name of the row of a compound by any of its names; as it is if there is none."""
    name = str(name)
    if name in mod.obs_names:
        return name
    row = called(mod).get(name.strip().lower(), -1)
    return name if row < 0 else str(mod.obs_names[row])


def pairs_told(found: AnnData) -> pd.DataFrame:
    """Pairs of a compound and a target that the scoring model was trained on."""
    row, column = np.nonzero(np.asarray(found.layers["told"]))
    return pd.DataFrame(
        {
            "compound": found.obs_names.to_numpy(dtype=object)[row],
            "target": found.var_names.to_numpy(dtype=object)[column],
        }
    )
