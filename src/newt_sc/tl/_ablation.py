"""Gene vectors without one of the modalities that they were fused from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from newt_sc import _kernels
from newt_sc.datasets._embedding import shipped_embeddings
from newt_sc.genes._space import Space, centered, origin_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from newt_sc.models import NEWT

__all__ = ["Fusion", "LinearFusion", "ModelFusion", "open_fusion"]

# Least fraction of the vectors' variance that blocks must explain for a fusion to count as linear.
_MIN_R2: Final = 0.99


@dataclass(frozen=True, eq=False)
class Fusion:
    """Vectors of a space that were made of its blocks."""

    space: Space

    @property
    def names(self) -> list[str]:
        """Modalities."""
        return list(self.space.blocks)

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """Genes x modalities: which modality knows which gene."""
        return np.column_stack([np.isfinite(block[:, 0]) for block in self.space.blocks.values()])

    @cached_property
    def full(self) -> NDArray[np.float32]:
        """Vectors, genes x dimensions, centred."""
        return centered(self.space.vectors)

    def without(self, name: str, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """Get vectors of some genes as they are without the modality."""
        raise NotImplementedError

    def contributions(
        self, g: NDArray[np.intp], h: NDArray[np.intp], similarity: NDArray[np.floating]
    ) -> dict[str, NDArray[np.floating]]:
        """Get what each modality does for the similarity of pairs of genes.

        It is the similarity less the cosine of both genes without the modality.
        """
        return {
            name: similarity - _kernels.row_cosine(self.without(name, g), self.without(name, h))
            for name in self.names
        }

    def describe(self) -> dict[str, Any]:
        """Say how vectors without a modality are found, for ``uns``."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class LinearFusion(Fusion):
    """Vectors that are a sum of linear maps of the blocks, as :func:`newt_sc.tl.fuse` makes them.

    Attributes
    ----------
    blocks, maps
        Of each modality its block, NaN where it does not know the gene, and the map to the vectors.
    r2
        Fraction of the vectors' variance that the maps explain.
    """

    blocks: dict[str, NDArray[np.float32]]
    maps: dict[str, NDArray[np.float32]]
    r2: float

    def part(self, name: str, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """Get what the modality adds to some vectors: nothing where it does not know the gene."""
        part: NDArray[np.float32] = np.nan_to_num(self.blocks[name][rows]) @ self.maps[name]
        return part

    def without(self, name: str, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        left: NDArray[np.float32] = self.full[rows] - self.part(name, rows)
        return left

    def contributions(
        self, g: NDArray[np.intp], h: NDArray[np.intp], similarity: NDArray[np.floating]
    ) -> dict[str, NDArray[np.floating]]:
        """Get shares of the modalities, and of all others, that add up to the similarity."""
        a, b = self.full[g].astype(np.float64), self.full[h].astype(np.float64)
        size = 2 * np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        out: dict[str, NDArray[np.floating]] = {}
        for name in self.names:  # half of what g has of it times h, half of what h has times g
            both = (self.part(name, g) * b + a * self.part(name, h)).sum(axis=1)
            out[name] = np.divide(both, size, out=np.zeros_like(size), where=size > 0)
        return out | {"other": similarity - sum(out.values())}

    def describe(self) -> dict[str, Any]:
        return {"fusion": "linear", "r2": self.r2}


@dataclass(frozen=True, eq=False)
class ModelFusion(Fusion):
    """Vectors that a model made of the blocks."""

    model: NEWT

    def without(self, name: str, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        rest = [other for other in self.names if other != name]
        each, back = np.unique(rows, return_inverse=True)  # a model takes each gene once
        z = self.model.get_latent_representation(self.space.embedding[each], modalities=rest)
        mean = self.space.vectors.mean(axis=0, dtype=np.float64)
        return np.asarray(z - mean, dtype=np.float32)[back]

    def describe(self) -> dict[str, Any]:
        return {"fusion": type(self.model).__name__}


def open_fusion(space: Space, model: NEWT | str | PathLike[str] | None) -> Fusion:
    """Get an embedding ready to leave modalities out.

    Parameters
    ----------
    space
        Gene embedding with blocks.
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
    if not space.blocks:
        msg = (
            "The embedding has no block of a modality in obsm: there is nothing to leave out. "
            "Use one of newt_sc.tl.fuse, newt_sc.models.NEWT or newt_sc.datasets.embedding."
        )
        raise KeyError(msg)
    name = str(origin_of(space.embedding).get("name", "")) if space.by_model else ""
    if model is None and name in shipped_embeddings():  # never a path: no file says what is loaded
        model = name
    if isinstance(model, str | PathLike):
        from newt_sc import models

        model = models.NEWT.load(model)
    if model is None:
        return _linear(space)
    full, names = space.vectors, list(space.blocks)
    own = np.asarray(model.get_latent_representation(space.embedding, modalities=names), np.float32)
    tolerance = 1e-2 * float(np.abs(full).max())
    if own.shape != full.shape or not np.allclose(own, full, rtol=1e-2, atol=tolerance):
        msg = (
            "The model makes other vectors than the embedding has: give the model that made the"
            " embedding."
        )
        raise ValueError(msg)
    return ModelFusion(space, model)


def _linear(space: Space) -> LinearFusion:
    """Find the maps of the blocks to the vectors, where there are such."""
    made: Any = origin_of(space.embedding).get("params", {})
    spectral = made.get("method") == "spectral"
    weights = made.get("weights", {}) if spectral else {}
    scaled = {name: X * np.float32(weights.get(name, 1)) for name, X in space.blocks.items()}
    width = sum(block.shape[1] for block in scaled.values())
    if not spectral and len(space.names) <= 2 * width:
        msg = (
            f"{len(space.names)} genes are too few to tell what {width} dimensions of blocks add to"
            " their vectors: give the model that made the embedding by model=."
        )
        raise ValueError(msg)
    maps, r2 = _kernels.loadings(list(scaled.values()), space.vectors)
    if not r2 >= _MIN_R2:
        msg = (
            f"The vectors are no linear map of the blocks (R2 is {r2:.3f}, expected at least"
            f" {_MIN_R2}): give the model that made the embedding by model=."
        )
        raise ValueError(msg)
    return LinearFusion(space, scaled, dict(zip(scaled, maps, strict=True)), r2)
