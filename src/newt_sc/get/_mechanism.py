"""Calls of mechanisms as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from newt_sc import _keys
from newt_sc._verb import checked, modality_of
from newt_sc.models._target_table import own_name

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

__all__ = ["mechanism"]


@checked
def mechanism(
    mdata: MuData | AnnData,
    *,
    compound: str | None = None,
    modality: str = "compound",
    key: str | None = None,
) -> pd.DataFrame:
    """Get the mechanisms that :func:`newt_sc.tl.mechanism` predicted, or the neighbours behind one.

    Parameters
    ----------
    mdata
        MuData, or an AnnData of signatures, after :func:`newt_sc.tl.mechanism`.
    compound
        A compound, by its id or name: get its nearest compounds of known mechanism instead of all
        predictions.
    modality
        Modality of the compounds. Not used for an AnnData.
    key
        ``key_added`` of :func:`newt_sc.tl.mechanism`.

    Returns
    -------
    One row per compound: ``compound``, ``name``, ``mechanism``, ``confidence``, ``answered``,
    ``score``, ``margin``, ``known``; NaN where nothing was predicted. For one compound, one row
    per neighbour: ``compound``, ``rank``, ``neighbor``, ``name``, ``similarity``, ``mechanism``.
    ``attrs["accuracy"]`` says how often predictions are right, by confidence, as a dict of lists.

    Raises
    ------
    KeyError
        If there are no predictions under this key, or no such compound or modality.

    Examples
    --------
    >>> nt.tl.mechanism(mdata)  # doctest: +SKIP
    >>> nt.get.mechanism(mdata)  # doctest: +SKIP
    """
    mod = modality_of(mdata, modality)
    slot = key or _keys.MECHANISM
    info: Any = mod.uns.get(slot)
    if not isinstance(info, Mapping) or "calls" not in info:
        msg = f"No mechanisms under {slot!r}: run newt_sc.tl.mechanism first."
        raise KeyError(msg)
    calls: pd.DataFrame = info["calls"]
    out = calls.copy()
    if compound is not None:
        ids = calls["compound"].astype(str)
        found = ids[(ids == own_name(mod, compound)).to_numpy()]
        if found.empty:
            msg = f"No compound {compound!r}; there are {list(ids[:3])} and others."
            raise KeyError(msg)
        near: pd.DataFrame = info["neighbors"]
        out = near[(near["compound"].astype(str) == found.iloc[0]).to_numpy()].reset_index(
            drop=True
        )
    out.attrs["accuracy"] = info["accuracy"].to_dict("list")
    return out
