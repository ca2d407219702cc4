"""L1000 as it is shipped: whole numbers with a scale per gene."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anndata as ad
import mudata as md
import numpy as np
from scipy import sparse

from newt_sc import _keys
from newt_sc.errors import FormatError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["pack", "unpack"]

LARGEST = np.iinfo(np.int16).max


def pack(mdata: md.MuData) -> tuple[md.MuData, dict[str, float]]:
    """Turn signatures into whole numbers of 16 bits, each gene with a scale of its own.

    Parameters
    ----------
    mdata
        As of :func:`newt_sc.datasets.l1000`.

    Returns
    -------
    The packed signatures, and for each modality the loss: the root of the squared errors over that
    of the squared values. Where values are missing, those that are there are stored sparsely.
    """
    mods: dict[str, ad.AnnData] = {}
    loss: dict[str, float] = {}
    for name, mod in mdata.mod.items():
        X = np.asarray(mod.X, dtype=np.float32)
        measured = ~np.isnan(X)
        largest = np.abs(np.where(measured, X, 0)).max(axis=0, initial=0)
        scale = np.where(largest > 0, largest / LARGEST, 1).astype(np.float32)
        steps = np.rint(np.where(measured, X, 0) / scale)
        whole = bool(measured.all())
        if not whole:  # a zero would be taken for a value that was not measured
            small = measured & (steps == 0)
            steps[small] = np.where(X[small] < 0, -1, 1)
        back = steps * scale
        squares = float((X[measured].astype(np.float64) ** 2).sum())
        loss[name] = float(np.sqrt(((back - X)[measured].astype(np.float64) ** 2).sum() / squares))
        packed = ad.AnnData(
            steps.astype(np.int16) if whole else sparse.csr_matrix(steps.astype(np.int16)),
            obs=mod.obs.copy(),
            var=mod.var.copy(),
            uns=dict(mod.uns) | {_keys.PACKED: scale},
        )
        mods[name] = packed
    return _joined(mods, mdata), loss


def unpack(path: Path) -> md.MuData:
    """Read what :func:`pack` made, as float32 with NaN where nothing was measured.

    Raises
    ------
    FormatError
        If the file is not such a one.
    """
    with _quiet():
        packed = md.read_h5mu(path)
    mods = {}
    for name, mod in packed.mod.items():
        uns = dict(mod.uns)
        if _keys.PACKED not in uns:
            message = f"uns of {name!r} lacks {_keys.PACKED!r}, expected packed signatures."
            raise FormatError(path, None, message)
        scale = np.asarray(uns.pop(_keys.PACKED), dtype=np.float32)
        if sparse.issparse(mod.X):
            rows, columns = mod.X.nonzero()
            X = np.full(mod.shape, np.nan, dtype=np.float32)
            X[rows, columns] = mod.X.data * scale[columns]
        else:
            X = mod.X * scale
        mods[name] = ad.AnnData(X, obs=_text(mod.obs), var=_text(mod.var), uns=uns)
        if name != "compound":
            mods[name].layers["measured"] = ~np.isnan(X)
    return _joined(mods, packed)


def _joined(mods: dict[str, ad.AnnData], like: md.MuData) -> md.MuData:
    with _quiet():
        out = md.MuData(mods, axis=1)
    out.obs = out.obs[[]]
    out.var = _text(like.var[["entrez", "status"]].reindex(out.var_names))
    out.uns[_keys.L1000] = like.uns[_keys.L1000]
    return out


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():  # mudata 0.3 warns of what 0.4 no longer does
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _text(frame: pd.DataFrame) -> pd.DataFrame:
    """Undo the categories that writing makes of text."""
    kinds = {name: object for name, kind in frame.dtypes.items() if kind == "category"}
    return frame.astype(kinds)
