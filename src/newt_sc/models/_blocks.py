"""Blocks of several modalities over one list of genes, with an explicit presence mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData

from newt_sc import _keys

if TYPE_CHECKING:
    from newt_sc.models._arrays import Floats, Mask

    Parts = dict[str, tuple[pd.Index, Any]]

__all__ = ["Blocks", "aligned", "blocks_in", "select"]

_OWN = (_keys.ATTENTION, _keys.PRESENT)


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
    values: dict[str, Floats]
    present: Mask

    @property
    def widths(self) -> dict[str, int]:
        """Dimensions of each block."""
        return {name: block.shape[1] for name, block in self.values.items()}

    def __getitem__(self, rows: Mask) -> Blocks:
        values = {name: block[rows] for name, block in self.values.items()}
        return Blocks(self.genes[rows], values, self.present[rows])

    def with_nan(self, name: str) -> Floats:
        """One block, NaN where the modality does not know the gene."""
        known = self.present[:, list(self.values).index(name)]
        return np.where(known[:, None], self.values[name], np.float32(np.nan))


def blocks_in(data: Any, block_key: str) -> Parts:
    """Find all blocks in data, as they are: name -> genes and block.

    Parameters
    ----------
    data
        A MuData after :func:`newt_sc.pp.encode`; a gene embedding (AnnData) with blocks in
        ``obsm``; or a mapping of names to tables, genes x dimensions.
    block_key
        Key in ``obsm`` of each modality of a MuData.

    Raises
    ------
    TypeError
        If it is none of these.
    """
    if hasattr(data, "mod"):
        mods = {name: mod for name, mod in data.mod.items() if block_key in mod.obsm}
        return {name: (mod.obs_names, mod.obsm[block_key]) for name, mod in mods.items()}
    if isinstance(data, AnnData):
        found = data.obsm.items()
        return {name: (data.obs_names, block) for name, block in found if name not in _OWN}
    if not isinstance(data, Mapping):
        raise TypeError(
            f"Found {type(data).__name__}, expected a MuData, an AnnData or a mapping of"
            " DataFrames."
        )
    for name, frame in data.items():
        if not isinstance(frame, pd.DataFrame):
            raise TypeError(
                f"{name!r} is {type(frame).__name__}, expected a DataFrame of genes x dimensions."
            )
    return {name: (frame.index.astype(str), frame.to_numpy()) for name, frame in data.items()}


def select(
    data: Any, parts: Parts, modalities: Mapping[str, str] | Sequence[str] | None
) -> dict[str, str]:
    """Map the model's names of modalities to those in the data.

    Parameters
    ----------
    data
        What was given.
    parts
        Of :func:`blocks_in`.
    modalities
        A mapping, or names that are kept. By default those in ``uns["newt"]["modalities"]`` of a
        gene embedding, or all with an array.

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
    if modalities is None and isinstance(data, AnnData):
        modalities = data.uns.get(_keys.EMBED, {}).get("modalities")
    if modalities is None:
        modalities = [
            name for name, (_, block) in parts.items() if not isinstance(block, pd.DataFrame)
        ]
    if not isinstance(modalities, Mapping):
        names = [modalities] if isinstance(modalities, str) else [str(name) for name in modalities]
        modalities = dict(zip(names, names, strict=True))
        if len(modalities) < len(names):
            raise ValueError(f"modalities names one more than once: {names}.")
    chosen = {str(name): str(source) for name, source in modalities.items()}
    _check_chosen(chosen, parts, type(data).__name__)
    return chosen


def _check_chosen(chosen: dict[str, str], parts: Parts, what: str) -> None:
    """Raise where a block is missing or taken twice, or a name is reserved."""
    missing = [source for source in chosen.values() if source not in parts]
    if missing:
        raise KeyError(
            f"No block for {missing}: the {what} has blocks for {list(parts)}. Run"
            " newt_sc.pp.encode first."
        )
    if len(set(chosen.values())) < len(chosen):
        raise ValueError(f"modalities takes one block under several names: {chosen}.")
    reserved = [name for name in chosen if name in ("", *_OWN) or "/" in name]
    if reserved:
        raise ValueError(
            f"{reserved} cannot name a modality: choose names without '/' other than"
            f" {_keys.ATTENTION!r}."
        )


def aligned(data: Any, parts: Parts, widths: Mapping[str, int] | None = None) -> Blocks:
    """Align blocks: to the genes of a gene embedding, else to the sorted union of their genes.

    Parameters
    ----------
    data
        What was given.
    parts
        Of :func:`blocks_in`, by the model's names.
    widths
        Modalities and dimensions of a model; those without a block know no gene.

    Raises
    ------
    TypeError
        If a block is no array of floating point numbers.
    ValueError
        If there is no block, a gene occurs twice, a row is partly NaN, or a block has not as many
        dimensions as the model's.
    """
    if not parts:
        raise ValueError(
            "No modality with a block: run newt_sc.pp.encode first, or name modalities."
        )
    for name, (index, _) in parts.items():
        if not index.is_unique:
            raise ValueError(
                f"{name!r} has genes more than once, such as"
                f" {index[index.duplicated()][0]!r}: keep one row per gene."
            )
    blocks = {name: _checked(block, name) for name, (_, block) in parts.items()}
    have = {name: block.shape[1] for name, block in blocks.items()}
    widths = widths or have
    odd = {name: width for name, width in have.items() if width != widths[name]}
    if odd:
        raise ValueError(
            f"Blocks have {odd} dimensions, the model expects"
            f" { ({name: widths[name] for name in odd}) }: encode them as for training."
        )
    if isinstance(data, AnnData):
        every = data.obs_names
    else:
        every = pd.Index(sorted(set().union(*(index for index, _ in parts.values()))))
    values = {
        name: np.zeros((len(every), width), dtype=np.float32) for name, width in widths.items()
    }
    present = np.zeros((len(every), len(widths)), dtype=bool)
    for name, block in blocks.items():
        known = np.isfinite(block).all(axis=1)
        at = every.get_indexer(parts[name][0])[known]
        values[name][at] = block[known]
        present[at, list(widths).index(name)] = True
    return Blocks(every, values, present)


def _checked(block: Any, name: str) -> Floats:
    """Copy as float32; rows are all finite or all NaN."""
    found = f"The block of {name!r}"
    if not isinstance(block, np.ndarray):
        raise TypeError(
            f"{found} is {type(block).__name__}, expected a dense numpy array. Convert it first."
        )
    if block.dtype.kind != "f":
        raise TypeError(f"{found} has dtype {block.dtype}, expected floating point numbers.")
    if block.ndim != 2 or block.shape[1] == 0:
        raise ValueError(f"{found} has shape {block.shape}, expected genes x dimensions.")
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and told below
        out = np.array(block, dtype=np.float32, order="C")
    odd = ~(np.isfinite(out).all(axis=1) | np.isnan(out).all(axis=1))
    if odd.any():
        raise ValueError(
            f"{found} has {odd.sum()} rows that are partly NaN or infinite, the first is row"
            f" {int(odd.argmax())}: expected rows of finite numbers, or of NaN for genes that it"
            " does not know."
        )
    return out
