"""A gene's nearest genes, and why they are near."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from newt_sc import _kernels
from newt_sc._verb import Count, checked
from newt_sc._warn import warn
from newt_sc.genes._space import centered

from ._ablation import open_fusion
from ._features import Features, read_features
from ._space import open_space

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData
    from numpy.typing import NDArray

    from newt_sc.models import NEWT

__all__ = ["nearest_genes"]


@checked
def nearest_genes(
    embedding: str | PathLike[str] | AnnData,
    genes: str | Sequence[str],
    *,
    n_neighbors: Count = 10,
    model: NEWT | str | PathLike[str] | None = None,
    knowledge: MuData | None = None,
    n_features: Count = 5,
) -> pd.DataFrame:
    r"""Find the genes with the most similar vectors, and which knowledge makes them similar.

    Parameters
    ----------
    %(embedding)s
    genes
        Genes, by any identifier that :func:`newt_sc.genes.resolve` knows.
    n_neighbors
        Number of neighbours per gene.
    model
        The model that made the embedding: the model, its folder, or the name of a shipped one.
    knowledge
        The knowledge that the blocks were made from, as :func:`newt_sc.datasets.bundle` returns it.
    n_features
        Largest number of shared features to list per modality.

    Returns
    -------
    One row per neighbour, nearest first: ``gene``, ``neighbor``, ``rank`` (from 1) and
    ``similarity``, the cosine of the fused vectors. Where the embedding has blocks, for each
    modality m:

    - ``cosine_m``: cosine of the two genes' blocks; NaN unless the modality knows both.
    - ``contribution_m``: for a linear fusion the modality's share of ``similarity``, z_g . z_h /
      (\|z_g\| \|z_h\|): half of its part of z_g times z_h and half of z_g times its part of z_h.
      All shares and ``contribution_other`` (offset and rounding) sum to ``similarity``. With
      ``model`` it is ``similarity`` less the cosine of what the model makes of the two genes
      without m; NaN where that is nothing. Absent for vectors of a model that is not given, as
      those of ``"newt-human"`` are: ``model="newt-human"`` adds them.

    With ``knowledge``: ``n_shared``, how many features both genes have, and ``shared``, for each
    modality the rarest ones, joined by ``"; "``.

    Raises
    ------
    TypeError
        If ``embedding`` is none of these or ``knowledge`` no MuData.
    FileNotFoundError
        If ``embedding`` is neither a name nor a file.
    KeyError
        If there is ``model`` or ``knowledge``, but the embedding has no blocks or shares no
        modality with it.
    ValueError
        If ``n_neighbors`` or ``n_features`` is out of range, no gene is named, or the embedding is
        not the model's.
    GeneMatchError
        If a gene is not in the embedding.

    Warns
    -----
    NewtWarning
        If the embedding has blocks, but is no linear fusion of them, and no model is given.

    Examples
    --------
    >>> nt.tl.nearest_genes("newt-human", ["GATA1", "INS"])  # doctest: +SKIP
    """
    space = open_space(embedding)
    if n_neighbors >= space.names.size:
        msg = (
            f"n_neighbors is {n_neighbors}, expected fewer than the {space.names.size} genes of the"
            " embedding."
        )
        raise ValueError(msg)
    rows = space.find(genes)
    features = None if knowledge is None else read_features(knowledge, space)
    fusion = None
    if model is not None:
        fusion = open_fusion(space, model)
    elif space.blocks and not space.by_model:
        try:
            fusion = open_fusion(space, None)
        except ValueError as error:
            warn(f"Contributions of modalities are left out. {error}")

    near = _kernels.nearest_rows(centered(space.vectors), n_neighbors, rows=rows)
    g, h = np.repeat(rows, n_neighbors), near.ravel()
    similarity = np.einsum("ij,ij->i", space.unit[g], space.unit[h])
    names = space.names.to_numpy(dtype=object)
    columns: dict[str, Any] = {
        "gene": names[g],
        "neighbor": names[h],
        "rank": np.tile(np.arange(1, n_neighbors + 1), rows.size),
        "similarity": similarity,
    }
    for name, block in space.blocks.items():
        around = centered(block)
        columns[f"cosine_{name}"] = _kernels.row_cosine(around[g], around[h])
    if fusion is not None:
        found = fusion.contributions(g, h, similarity)
        columns |= {f"contribution_{name}": values for name, values in found.items()}
    if features is not None:
        columns |= _shared(features, g, h, n_features)
    return pd.DataFrame(columns)


def _shared(
    features: Mapping[str, Features], g: NDArray[np.intp], h: NDArray[np.intp], n_features: int
) -> dict[str, list[Any]]:
    """How many features pairs of genes share, and the rarest ones of each modality."""
    pairs = [
        [part.shared(a, b) for part in features.values()]
        for a, b in zip(g.tolist(), h.tolist(), strict=True)
    ]
    return {
        "n_shared": [sum(map(len, pair)) for pair in pairs],
        "shared": [
            "; ".join(feature for both in pair for _, feature in both[:n_features])
            for pair in pairs
        ],
    }
