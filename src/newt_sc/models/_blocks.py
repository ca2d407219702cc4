"""Blocks of several modalities over one list of genes, with an explicit presence mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from newt_sc import _keys

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData
    from numpy.typing import NDArray

__all__ = ["Blocks", "from_anndata", "from_frames", "from_mudata", "select"]


@dataclass(frozen=True)
class Blocks:
    """Blocks over all genes.

    Attributes
    ----------
    genes
        Names, each once.
    values
        For each modality genes x its dimensions, float32; zeros where it does not know the gene.
    present
        Genes x modalities, bool: which modality knows which gene.
    """

    genes: pd.Index
    values: dict[str, NDArray[np.float32]]
    present: NDArray[np.bool_]

    @property
    def widths(self) -> dict[str, int]:
        """Dimensions of each block."""
        return {name: block.shape[1] for name, block in self.values.items()}

    def with_nan(self, name: str) -> NDArray[np.float32]:
        """One block, NaN where the modality does not know the gene."""
        known = self.present[:, list(self.values).index(name)]
        return np.where(known[:, None], self.values[name], np.float32(np.nan))


def select(
    have: Sequence[str], modalities: Mapping[str, str] | Sequence[str] | None, *, what: str
) -> dict[str, str]:
    """Map the model's names of modalities to those in the data.

    Parameters
    ----------
    have
        Names in the data that have a block.
    modalities
        A mapping, a sequence of names that are kept, or ``None`` for all.
    what
        What the data is, for messages.

    Returns
    -------
    Model's name -> name in the data, in the order asked for.

    Raises
    ------
    KeyError
        If a modality is not there.
    ValueError
        If one is named twice, or a name is reserved.
    """
    if modalities is None:
        modalities = list(have)
    if isinstance(modalities, str):
        modalities = [modalities]
    if isinstance(modalities, Mapping):
        chosen = {str(name): str(source) for name, source in modalities.items()}
    else:
        names = [str(name) for name in modalities]
        chosen = dict(zip(names, names, strict=True))
        if len(chosen) < len(names):
            msg = f"modalities names one more than once: {names}."
            raise ValueError(msg)
    missing = [source for source in chosen.values() if source not in have]
    if missing:
        msg = (
            f"No block for {missing}: {what} has blocks for {list(have)}. Run newt_sc.pp.encode"
            " first."
        )
        raise KeyError(msg)
    if len(set(chosen.values())) < len(chosen):
        msg = f"modalities takes one block under several names: {chosen}."
        raise ValueError(msg)
    reserved = [
        name for name in chosen if name in ("", _keys.ATTENTION, _keys.PRESENT) or "/" in name
    ]
    if reserved:
        msg = (
            f"{reserved} cannot name a modality: choose names without '/' other than"
            f" {_keys.ATTENTION!r}."
        )
        raise ValueError(msg)
    return chosen


def from_mudata(
    mdata: MuData, modalities: Mapping[str, str] | Sequence[str] | None, block_key: str
) -> Blocks:
    """Align the blocks of a MuData to the sorted union of its genes.

    Parameters
    ----------
    mdata
        Knowledge after :func:`newt_sc.pp.encode`.
    modalities
        See :func:`select`; all with a block by default.
    block_key
        Key in ``obsm`` of each modality.

    Returns
    -------
    The blocks.

    Raises
    ------
    TypeError, KeyError, ValueError
        If a modality or a block is missing or not what it has to be.
    """
    have = [name for name, mod in mdata.mod.items() if block_key in mod.obsm]
    chosen = select(have, modalities, what="the MuData")
    parts = {}
    for name, source in chosen.items():
        mod = mdata.mod[source]
        parts[name] = _names(mod.obs_names, name), _checked(mod.obsm[block_key], name)
    return _aligned(parts, None)


def from_anndata(adata: AnnData, modalities: Mapping[str, str] | Sequence[str] | None) -> Blocks:
    """Take the blocks of a gene embedding.

    Parameters
    ----------
    adata
        Genes with blocks in ``obsm``; rows of NaN are genes that the modality does not know.
    modalities
        See :func:`select`. By default those in ``uns["newt"]["modalities"]``, or all arrays in
        ``obsm``.

    Returns
    -------
    The blocks; genes in the order of ``adata``.

    Raises
    ------
    TypeError, KeyError, ValueError
        If a block is missing or not what it has to be.
    """
    declared = adata.uns.get(_keys.EMBED, {}).get("modalities")
    if modalities is None and declared is not None:
        modalities = [str(name) for name in declared]
    own = (_keys.ATTENTION, _keys.PRESENT)
    have = [
        name
        for name, value in adata.obsm.items()
        if name not in own and not isinstance(value, pd.DataFrame)
    ]
    chosen = select(have, modalities, what="the AnnData")
    every = _names(adata.obs_names, "the AnnData")
    return _aligned(
        {name: (every, _checked(adata.obsm[source], name)) for name, source in chosen.items()},
        every,
    )


def from_frames(frames: Mapping[str, pd.DataFrame]) -> Blocks:
    """Align blocks given as one table for each modality, genes x its dimensions.

    Parameters
    ----------
    frames
        Modality -> table with the genes as its index.

    Returns
    -------
    The blocks, over the sorted union of genes.

    Raises
    ------
    TypeError, ValueError
        If a table is none, or not what it has to be.
    """
    parts = {}
    for name, frame in frames.items():
        if not isinstance(frame, pd.DataFrame):
            msg = f"{name!r} is {type(frame).__name__}, expected a DataFrame of genes x dimensions."
            raise TypeError(msg)
        parts[name] = _names(frame.index.astype(str), name), _checked(frame.to_numpy(), name)
    return _aligned(parts, None)


def _names(index: pd.Index, where: str) -> pd.Index:
    if not index.is_unique:
        msg = (
            f"{where!r} has genes more than once, such as {index[index.duplicated()][0]!r}: keep"
            " one row per gene."
        )
        raise ValueError(msg)
    return index


def _checked(block: Any, name: str) -> NDArray[np.float32]:
    """Copy as float32; rows are all finite or all NaN."""
    if not isinstance(block, np.ndarray):
        msg = (
            f"The block of {name!r} is {type(block).__name__}, expected a dense numpy array."
            " Convert it first."
        )
        raise TypeError(msg)
    if block.dtype.kind != "f":
        msg = f"The block of {name!r} has dtype {block.dtype}, expected floating point numbers."
        raise TypeError(msg)
    if block.ndim != 2 or block.shape[1] == 0:
        msg = f"The block of {name!r} has shape {block.shape}, expected genes x dimensions."
        raise ValueError(msg)
    with np.errstate(over="ignore"):
        out = np.array(block, dtype=np.float32, order="C")
    odd = ~(np.isfinite(out).all(axis=1) | np.isnan(out).all(axis=1))
    if odd.any():
        msg = (
            f"The block of {name!r} has {odd.sum()} rows that are partly NaN or infinite, the first"
            f" is row {int(odd.argmax())}: expected rows of finite numbers, or of NaN for genes"
            " that it does not know."
        )
        raise ValueError(msg)
    return out


def _aligned(
    parts: Mapping[str, tuple[pd.Index, NDArray[np.float32]]], every: pd.Index | None
) -> Blocks:
    if not parts:
        msg = "No modality with a block: run newt_sc.pp.encode first, or name modalities."
        raise ValueError(msg)
    if every is None:
        every = pd.Index(sorted(set().union(*(index for index, _ in parts.values()))))
    values, present = {}, np.zeros((len(every), len(parts)), dtype=bool)
    for column, (name, (index, block)) in enumerate(parts.items()):
        known = np.isfinite(block).all(axis=1)
        at = every.get_indexer(index)[known]
        values[name] = np.zeros((len(every), block.shape[1]), dtype=np.float32)
        values[name][at] = block[known]
        present[at, column] = True
    return Blocks(every, values, present)
