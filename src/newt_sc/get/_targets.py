"""Predicted targets as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from newt_sc import _keys

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData
    from numpy.typing import NDArray

__all__ = ["rank_targets", "targets"]

_SORTS = ("z", "probability")


def targets(
    mdata: MuData | AnnData,
    *,
    compound: str | Sequence[str] | None = None,
    top: int | None = 10,
    modality: str = "compound",
    key: str | None = None,
    sort_by: Literal["z", "probability"] = "z",
) -> pd.DataFrame:
    """Get the ranked targets that :func:`newt_sc.tl.predict_targets` found for compounds.

    Parameters
    ----------
    mdata
        MuData, or an AnnData of signatures, after :func:`newt_sc.tl.predict_targets`.
    compound
        Names of compounds: of signatures, or of groups where these were pooled. By default all.
    top
        Targets of each compound; ``None`` for all.
    modality
        Modality of the compounds; not asked of an AnnData.
    key
        ``key_added`` of :func:`newt_sc.tl.predict_targets`.
    sort_by
        ``"z"``: how much more this compound than others is like one that binds the target.
        ``"probability"``: also by how often the target is hit at all, which puts the same few
        targets first for most compounds.

    Returns
    -------
    One row per compound and target: ``compound``; ``rank``, from 1; ``target``; ``z``;
    ``probability``; ``prior`` (share of training compounds with the target); ``connectivity`` (if
    there are genetic signatures); ``n_compounds`` and ``auroc`` of the target in training;
    ``reliability`` of the compound's first target by z; ``answered``, whether that is enough;
    ``known``, whether the labels have the pair (if there are labels). Compounds stay in their
    order, and those that are not answered are there, too. One without a usable signature has a
    single row of rank 0, without a target.

    Raises
    ------
    KeyError
        If there is no prediction under this key, or no such compound or modality.
    ValueError
        If ``top`` or ``sort_by`` is out of range, or signatures were added since the prediction.

    Examples
    --------
    >>> nt.tl.predict_targets(mdata)  # doctest: +SKIP
    >>> nt.get.targets(mdata, compound="DB00363", top=10)  # doctest: +SKIP
    """
    if sort_by not in _SORTS:
        msg = f"sort_by is {sort_by!r}, expected one of {_SORTS}."
        raise ValueError(msg)
    if top is not None and (
        isinstance(top, bool) or not isinstance(top, int | np.integer) or top < 1
    ):
        msg = f"top is {top!r}, expected a whole number above 0, or None for all."
        raise ValueError(msg)
    mod: AnnData = _keys.in_modality(mdata, modality)
    slot = key or _keys.TARGETS
    info = _info(mod, slot)
    at = pd.Index(np.asarray(info["signatures"], dtype=object)).get_indexer(mod.obs_names)
    if (at < 0).any():
        msg = (
            f"{int((at < 0).sum()):,} signatures are not in uns[{slot!r}]: run"
            " newt_sc.tl.predict_targets again."
        )
        raise ValueError(msg)
    names = pd.Index(np.asarray(info["compound"], dtype=object)[at])
    rows = np.flatnonzero(~names.duplicated())
    if compound is not None:
        rows = _find(
            [compound] if isinstance(compound, str) else list(compound), names, mod.obs_names
        )
    evidence = mod.obsm.get(f"{slot}_connectivity")
    labels = info.get("labels")
    return rank_targets(
        names[rows],
        pd.Index(np.asarray(info["targets"], dtype=object)),
        np.asarray(mod.obsm[slot])[rows],
        np.asarray(mod.obsm[f"{slot}_probability"])[rows],
        of_targets={name: np.asarray(info[name]) for name in ("prior", "n_compounds", "auroc")},
        of_compounds={
            name: np.asarray(info[name])[at][rows] for name in ("reliability", "answered")
        },
        connectivity=None if evidence is None else np.asarray(evidence)[rows],
        labels=None if labels is None else pd.DataFrame(labels),
        top=top,
        sort_by=sort_by,
    )


def rank_targets(
    compounds: pd.Index,
    names: pd.Index,
    z: NDArray[np.floating],
    probability: NDArray[np.floating],
    *,
    of_targets: Mapping[str, NDArray[Any]],
    of_compounds: Mapping[str, NDArray[Any]],
    connectivity: NDArray[np.floating] | None = None,
    labels: pd.DataFrame | None = None,
    top: int | None = 10,
    sort_by: str = "z",
) -> pd.DataFrame:
    """Rank the targets of each compound; see :func:`targets`."""
    usable: NDArray[np.bool_] = np.asarray(np.isfinite(z).any(axis=1))
    order = np.broadcast_to(np.arange(len(names)), z.shape)
    if sort_by == "z" and top is not None and top < len(names):
        order = np.sort(np.argpartition(-z, top - 1, axis=1)[:, :top], axis=1)
    for score in (
        (z, probability) if sort_by == "probability" else (z,)
    ):  # ties go by z, then as the targets stand
        by = np.argsort(-np.take_along_axis(score, order, 1), axis=1, kind="stable")  # NaN last
        order = np.take_along_axis(order, by, 1)
    order = order[:, :top]
    keep = np.ones(order.shape, dtype=bool)
    keep[~usable, 1:] = False
    row, place = np.nonzero(keep)
    column = order[row, place]
    known = usable[row]
    out = pd.DataFrame(
        {
            "compound": compounds.to_numpy(dtype=object)[row],
            "rank": np.where(known, place + 1, 0),
            "target": np.where(known, names.to_numpy(dtype=object)[column], np.nan),
            "z": np.where(known, z[row, column], np.float32(np.nan)),
            "probability": np.where(known, probability[row, column], np.float32(np.nan)),
            "prior": np.where(known, of_targets["prior"][column], np.nan),
        }
    )
    if connectivity is not None:
        out["connectivity"] = np.where(known, connectivity[row, column], np.float32(np.nan))
    out["n_compounds"] = np.where(known, of_targets["n_compounds"][column], 0)
    out["auroc"] = np.where(known, of_targets["auroc"][column], np.nan)
    for name, values in of_compounds.items():
        out[name] = values[row]
    if labels is not None:
        pairs = pd.MultiIndex.from_arrays(
            [labels[name].astype(object) for name in ("compound", "target")]
        )
        out["known"] = pd.MultiIndex.from_frame(out[["compound", "target"]]).isin(pairs)
    return out


def _info(mod: AnnData, slot: str) -> Mapping[str, Any]:
    info: Any = mod.uns.get(slot)
    if not isinstance(info, Mapping) or "signatures" not in info or slot not in mod.obsm:
        msg = f"No predicted targets under {slot!r}: run newt_sc.tl.predict_targets first."
        raise KeyError(msg)
    return info


def _find(wanted: list[str], compounds: pd.Index, signatures: pd.Index) -> NDArray[np.intp]:
    """First row of each compound, by its own name or by that of one of its signatures."""
    first = pd.Series(np.arange(len(compounds)), index=compounds)
    first = first[~first.index.duplicated()]
    rows = first.reindex(wanted).fillna(-1).to_numpy(dtype=np.intp)
    rows = np.where(rows >= 0, rows, signatures.get_indexer(pd.Index(wanted, dtype=object)))
    lost = [name for name, row in zip(wanted, rows, strict=True) if row < 0]
    if lost:
        msg = f"No compounds {lost[:5]}; there are {list(compounds.unique()[:3])} and others."
        raise KeyError(msg)
    out: NDArray[np.intp] = rows[~compounds[rows].duplicated()]
    return out
