"""Gene vectors without one of the modalities that they were fused from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from newt_sc import _kernels, _keys, genes
from newt_sc.datasets._embedding import shipped_embeddings
from newt_sc.errors import GeneMatchError
from newt_sc.genes._align import require_overlap

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

    from newt_sc.models import NEWT

__all__ = [
    "Fusion",
    "LinearFusion",
    "ModelFusion",
    "centered",
    "find_genes",
    "made_by_model",
    "open_fusion",
    "read_blocks",
]

MIN_R2 = 0.99
"""Least fraction of the vectors' variance that the blocks must explain for a fusion to count as
linear.
"""


@dataclass(frozen=True)
class LinearFusion:
    """Vectors that are a sum of linear maps of the blocks, as :func:`newt_sc.tl.fuse` makes them.

    Attributes
    ----------
    names
        Modalities.
    known
        Genes x modalities: which modality knows which gene.
    full
        Vectors, genes x dimensions, centred.
    blocks, maps
        Of each modality its block, NaN where it does not know the gene, and the map to the vectors.
    r2
        Fraction of the vectors' variance that the maps explain.
    """

    names: list[str]
    known: NDArray[np.bool_]
    full: NDArray[np.float32]
    blocks: dict[str, NDArray[np.float32]]
    maps: dict[str, NDArray[np.float32]]
    r2: float

    def part(self, name: str, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """Get what the modality adds to the vectors of some genes.

        That is zero where it does not know them.
        """
        part: NDArray[np.float32] = np.nan_to_num(self.blocks[name][rows]) @ self.maps[name]
        return part

    def without(self, name: str, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """Get vectors of some genes less the modality's part."""
        left: NDArray[np.float32] = self.full[rows] - self.part(name, rows)
        return left

    def describe(self) -> dict[str, Any]:
        """Say how vectors without a modality are found, for ``uns``."""
        return {"fusion": "linear", "r2": self.r2}


@dataclass(frozen=True)
class ModelFusion:
    """Vectors that a model made of the blocks of ``embedding``, and their mean.

    Otherwise it is as :class:`LinearFusion`.
    """

    names: list[str]
    known: NDArray[np.bool_]
    full: NDArray[np.float32]
    embedding: AnnData
    model: NEWT
    mean: NDArray[np.float64]

    def without(self, name: str, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """Get vectors that the model makes of the other modalities."""
        rest = [other for other in self.names if other != name]
        each, back = np.unique(rows, return_inverse=True)  # a model takes each gene once
        z = self.model.get_latent_representation(self.embedding[each], modalities=rest)
        return np.asarray(z - self.mean, dtype=np.float32)[back]

    def describe(self) -> dict[str, Any]:
        """Say how vectors without a modality are found, for ``uns``."""
        return {"fusion": type(self.model).__name__}


Fusion = LinearFusion | ModelFusion


def read_blocks(embedding: AnnData) -> dict[str, NDArray[np.float32]]:
    """Blocks of an embedding, all NaN where a modality does not know a gene."""
    made: Any = embedding.uns.get(_keys.EMBED, {})
    declared = (
        made.get("modalities", list(embedding.obsm))
        if isinstance(made, dict)
        else list(embedding.obsm)
    )
    out = {}
    for name in map(str, declared):
        if isinstance(embedding.obsm.get(name), np.ndarray):
            block = np.array(embedding.obsm[name], dtype=np.float32)
            block[~np.isfinite(block).all(axis=1)] = np.nan
            out[name] = block
    return out


def made_by_model(embedding: AnnData) -> bool:
    """Whether the embedding says that a trained model made its vectors."""
    made: Any = embedding.uns.get(_keys.EMBED, {})
    return isinstance(made, Mapping) and made.get("params", {}).get("method") == "newt"


def _shipped_model(embedding: AnnData) -> NEWT | None:
    """Load the shipped model, where the embedding says that it made the vectors."""
    name = str(embedding.uns[_keys.EMBED].get("name", "")) if made_by_model(embedding) else ""
    if name not in shipped_embeddings():  # never a path: a file must not choose what is loaded
        return None
    from newt_sc import models

    return models.NEWT.load(name)


def open_fusion(embedding: AnnData, model: NEWT | str | PathLike[str] | None) -> Fusion:
    """Get an embedding ready to leave modalities out.

    Parameters
    ----------
    embedding
        Gene embedding with blocks in ``obsm``.
    model
        The model that made it, its name or its folder. Without one the shipped model is taken if it
        made the vectors; any other fusion must then be linear.

    Raises
    ------
    KeyError
        If the embedding has no blocks, or not those of the model.
    ValueError
        If the vectors are neither the model's nor a linear map of the blocks.
    """
    blocks = read_blocks(embedding)
    if not blocks:
        msg = (
            "The embedding has no block of a modality in obsm: there is nothing to leave out. "
            "Use one of newt_sc.tl.fuse, newt_sc.models.NEWT or newt_sc.datasets.embedding."
        )
        raise KeyError(msg)
    known = np.column_stack([np.isfinite(block[:, 0]) for block in blocks.values()])
    full = np.asarray(embedding.X, dtype=np.float32)
    if isinstance(model, str | PathLike):
        from newt_sc import models

        model = models.NEWT.load(model)
    elif model is None:
        model = _shipped_model(embedding)
    names = list(blocks)
    if model is not None:
        own = np.asarray(
            model.get_latent_representation(embedding, modalities=names), dtype=np.float32
        )
        if own.shape != full.shape or not np.allclose(
            own, full, rtol=1e-2, atol=1e-2 * float(np.abs(full).max())
        ):
            msg = (
                "The model makes other vectors than the embedding has: give the model that made the"
                " embedding."
            )
            raise ValueError(msg)
        mean = full.mean(axis=0, dtype=np.float64)
        return ModelFusion(names, known, centered(full), embedding, model, mean)
    made: Any = embedding.uns.get(_keys.EMBED, {})
    params = made.get("params", {}) if isinstance(made, dict) else {}
    weights = params.get("weights", {}) if params.get("method") == "spectral" else {}
    scaled = {name: block * np.float32(weights.get(name, 1)) for name, block in blocks.items()}
    width = sum(block.shape[1] for block in blocks.values())
    if params.get("method") != "spectral" and len(full) <= 2 * width:
        msg = (
            f"{len(full)} genes are too few to tell what {width} dimensions of blocks add to their"
            " vectors: give the model that made the embedding by model=."
        )
        raise ValueError(msg)
    maps, r2 = _kernels.loadings(list(scaled.values()), full)
    if not r2 >= MIN_R2:
        msg = (
            f"The vectors are no linear map of the blocks (R2 is {r2:.3f}, expected at least"
            f" {MIN_R2}): give the model that made the embedding by model=."
        )
        raise ValueError(msg)
    return LinearFusion(
        names, known, centered(full), scaled, dict(zip(names, maps, strict=True)), r2
    )


def find_genes(names: str | Sequence[str], embedding: AnnData) -> NDArray[np.intp]:
    """Rows of the embedding for genes that a user names; each row once, in their order.

    Raises
    ------
    GeneMatchError
        If one of them is not in the embedding.
    """
    given = [names] if isinstance(names, str) else list(names)
    if not given:
        msg = "genes is empty: name at least one gene."
        raise ValueError(msg)
    index = embedding.obs_names.get_indexer(given)
    if (index < 0).any():  # names as they stand need no table
        found = genes.align(given, embedding.obs_names)
        require_overlap(found, given, embedding.obs_names, what="genes")
        index = found.index
        lost = [
            f"{name!r} ({rule})"
            for name, rule, row in zip(given, found.rule, index, strict=True)
            if row < 0
        ]
        if lost:
            msg = (
                f"{len(lost)} of {len(given)} genes are not in the embedding:"
                f" {', '.join(lost[:5])}. Leave them out; newt_sc.genes.resolve says what each name"
                " may mean."
            )
            raise GeneMatchError(msg)
    return np.array(list(dict.fromkeys(index.tolist())), dtype=np.intp)


def centered(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Centre vectors over the genes that have one, as all cosines of genes are taken."""
    known = np.isfinite(vectors).all(axis=1)
    mean = vectors[known].mean(axis=0, dtype=np.float64) if known.any() else 0
    out: NDArray[np.float32] = (vectors - mean).astype(np.float32)
    return out
