"""The space of gene vectors: an embedding, its blocks, and where the genes of data are in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from newt_sc import _kernels, _keys
from newt_sc.errors import GeneMatchError

from ._align import Alignment, align, require_overlap
from ._annotated import align_var

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

    from ._resolve import Organism

__all__ = ["PRIVATE", "Space", "blocks_of", "centered", "origin_of"]

# Between laboratories cells are placed better by what each kind of knowledge says alone than by
# what the kinds share; within an experiment both do. Chosen on the development sets of the
# benchmarks "panels" and "mapping"; docs/benchmarks/vectors.md has the table.
PRIVATE: Final = 4.0

_WRITTEN: Final = ("X_", f"{_keys.EMBED}_", _keys.ATTENTION)  # starts of names that are no blocks


@dataclass(frozen=True, eq=False)
class Space:
    """Gene vectors as a verb takes them, and what it needs to know of the embedding they are of.

    Attributes
    ----------
    embedding
        Genes x dimensions. Not to be changed.
    vectors
        What is taken of it, genes x d, float32; NaN rows where a gene has no vector.
    described
        Name, size and hash of the embedding, for ``uns``.
    modalities
        The blocks that ``vectors`` are of; none for the fused ones.
    """

    embedding: AnnData
    vectors: NDArray[np.float32]
    described: Mapping[str, Any]
    modalities: tuple[str, ...] = ()

    @classmethod
    def of(cls, embedding: AnnData, described: Mapping[str, Any] | None = None) -> Space:
        """Take the fused vectors of an embedding."""
        return cls(embedding, np.asarray(embedding.X, dtype=np.float32), described or {})

    @property
    def names(self) -> pd.Index:
        """Genes of the embedding."""
        return self.embedding.obs_names

    @property
    def by_model(self) -> bool:
        """Whether the embedding says that a trained model made its vectors."""
        return bool(_params(self.embedding).get("method") == "newt")

    @cached_property
    def blocks(self) -> dict[str, NDArray[np.float32]]:
        """Blocks by modality, genes x dimensions, all NaN where it does not know a gene."""
        out = {}
        for name, (_, block) in blocks_of(self.embedding).items():
            out[name] = np.array(block, dtype=np.float32)
            out[name][~np.isfinite(out[name]).all(axis=1)] = np.nan
        return out

    @cached_property
    def unit(self) -> NDArray[np.float32]:
        """Vectors centred over all genes, of length one; zeros where a gene has none."""
        return _kernels.centered_cosine(self.vectors)[0].astype(np.float32)

    def for_cells(self, modalities: str | Sequence[str] | None) -> Space:
        """Take vectors for cells: fused, or blocks of some modalities side by side.

        Private dimensions of a model, the last of the fused ones, count :data:`PRIVATE` times. A
        gene that one of the modalities does not know has that block's mean, zero.

        Raises
        ------
        KeyError
            If a modality is not there, or none is named.
        """
        if modalities is None:
            vectors = self.vectors.copy()
            n_private = int(_params(self.embedding).get("n_private", 0)) if self.by_model else 0
            vectors[:, max(vectors.shape[1] - max(n_private, 0), 0) :] *= PRIVATE
            return replace(self, vectors=vectors)
        wanted = [modalities] if isinstance(modalities, str) else list(modalities)
        missing = [name for name in wanted if name not in self.blocks]
        if missing or not wanted:
            msg = (
                f"modalities {missing or wanted} are not in the embedding, which has"
                f" {list(self.blocks)}."
            )
            raise KeyError(msg)
        blocks = np.hstack([centered(self.blocks[name]) for name in wanted])
        absent = np.isnan(blocks).all(axis=1)
        blocks = np.nan_to_num(blocks)
        blocks[absent] = np.nan
        return replace(self, vectors=blocks, modalities=tuple(wanted))

    def centered(self) -> Space:
        """Centre the vectors over all genes that have one."""
        return replace(self, vectors=centered(self.vectors))

    def take(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Get vectors by row of the embedding, NaN for row -1."""
        out = np.full((rows.size, self.vectors.shape[1]), np.nan, dtype=np.float32)
        out[rows >= 0] = self.vectors[rows[rows >= 0]]
        return out

    def beside(
        self, adata: AnnData, organism: Organism = "auto", what: str = "adata"
    ) -> tuple[Alignment, NDArray[np.float32]]:
        """Find the genes of some data, by what ``pp.map_genes`` found or else by ``var_names``.

        Returns
        -------
        The alignment, and the vector of each gene of the data, NaN where there is none.

        Raises
        ------
        GeneMatchError
            If no gene is found, see :func:`newt_sc.genes._annotated.align_var`.
        """
        found = align_var(adata, self.names, organism=organism, what=what)
        return found, self.take(found.index)

    def find(self, names: str | Sequence[str]) -> NDArray[np.intp]:
        """Find rows of genes that a user names; each row once, in their order.

        Raises
        ------
        ValueError
            If no gene is named.
        GeneMatchError
            If one of them is not in the embedding.
        """
        given = [names] if isinstance(names, str) else list(names)
        if not given:
            msg = "genes is empty: name at least one gene."
            raise ValueError(msg)
        rows = self.names.get_indexer(given)
        if (rows < 0).any():  # names as they stand need no table
            found = align(given, self.names)
            require_overlap(found, given, self.names, what="genes")
            rows = found.index
            lost = [f"{given[i]!r} ({found.rule[i]})" for i in np.flatnonzero(rows < 0)]
            if lost:
                msg = (
                    f"{len(lost)} of {len(given)} genes are not in the embedding:"
                    f" {', '.join(lost[:5])}. Leave them out; newt_sc.genes.resolve says what each"
                    " name may mean."
                )
                raise GeneMatchError(msg)
        return np.array(list(dict.fromkeys(rows.tolist())), dtype=np.intp)


def origin_of(embedding: AnnData) -> Mapping[str, Any]:
    """Get what an embedding says of how it was made; nothing where it says nothing."""
    made = embedding.uns.get(_keys.EMBED)
    return made if isinstance(made, Mapping) else {}


def blocks_of(data: Any, block_key: str = _keys.BLOCK) -> dict[str, tuple[pd.Index, Any]]:
    """Find the blocks of modalities as they are: name -> genes and block.

    Parameters
    ----------
    data
        A MuData after :func:`newt_sc.pp.encode`, or a gene embedding: there they are those that it
        names, or, where it names none, all arrays of ``obsm`` but those that scanpy and newt_sc
        write there.
    block_key
        Key in ``obsm`` of each modality of a MuData.

    Raises
    ------
    TypeError
        If a block of a MuData is no dense array of numbers, genes x dimensions.
    """
    if hasattr(data, "mod"):
        mods = {name: mod for name, mod in data.mod.items() if block_key in mod.obsm}
        for name, mod in mods.items():
            if not _is_block(block := mod.obsm[block_key]):
                told = f"{type(block).__name__} of {getattr(block, 'dtype', 'columns')}"
                msg = (
                    f"The block of {name!r}, obsm[{block_key!r}], is {told}, expected a dense numpy"
                    " array of numbers, genes x dimensions."
                )
                raise TypeError(msg)
        return {name: (mod.obs_names, mod.obsm[block_key]) for name, mod in mods.items()}
    arrays = {name: block for name, block in data.obsm.items() if _is_block(block)}
    others = [name for name in arrays if not name.startswith(_WRITTEN)]
    named = origin_of(data).get("modalities", others)
    return {str(name): (data.obs_names, arrays[name]) for name in named if name in arrays}


def _is_block(block: Any) -> bool:
    return isinstance(block, np.ndarray) and block.dtype.kind in "fiub" and block.ndim == 2


def centered(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Centre vectors over the genes that have one, as all cosines of genes are taken."""
    known = np.isfinite(vectors).all(axis=1)
    mean = vectors[known].mean(axis=0, dtype=np.float64) if known.any() else 0
    out: NDArray[np.float32] = (vectors - mean).astype(np.float32)
    return out


def _params(embedding: AnnData) -> Mapping[str, Any]:
    params = origin_of(embedding).get("params")
    return params if isinstance(params, Mapping) else {}
