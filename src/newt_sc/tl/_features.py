"""The features of each modality that carry a gene's vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from newt_sc import genes
from newt_sc.genes._align import require_overlap
from newt_sc.pp._encode import weighed

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData
    from numpy.typing import NDArray

    from newt_sc.genes._space import Space

__all__ = ["Features", "read_features"]

_CHUNK = 100_000  # pairs of a gene and a feature at a time


@dataclass(frozen=True)
class Features:
    """Features of one modality as its encoding weighs them.

    Attributes
    ----------
    rows
        Row in the embedding of each gene of ``weight``, ascending.
    names, kind
        Of each feature.
    weight
        Genes x features, rows of length one: TF-IDF of sets and regulons, PPMI of partners,
        z-scores of conditions.
    n_genes
        Genes that have the feature.
    """

    rows: NDArray[np.intp]
    names: NDArray[np.object_]
    kind: NDArray[np.object_]
    weight: sparse.csr_array
    n_genes: NDArray[np.intp]

    def top(
        self, unit: NDArray[np.float32], rows: NDArray[np.intp], n_features: int
    ) -> pd.DataFrame:
        """Features that most carry the vectors of some genes.

        Parameters
        ----------
        unit
            All vectors of the embedding, of length one.
        rows
            The genes asked for.
        n_features
            At most so many a gene.

        Returns
        -------
        Columns ``row``, ``feature`` (position), ``weight``, ``similarity`` and ``contribution``; by
        gene, largest contribution first.
        """
        vectors = unit[self.rows]
        centroid = np.asarray(self.weight.T @ vectors, dtype=np.float32)
        square = (centroid**2).sum(axis=1)
        at = np.flatnonzero(np.isin(self.rows, rows))
        wanted = self.weight[at].tocoo()
        similarity = np.empty(wanted.nnz, dtype=np.float32)
        for i in range(0, wanted.nnz, _CHUNK):
            w, f = wanted.data[i : i + _CHUNK], wanted.col[i : i + _CHUNK]
            dot = np.einsum("ij,ij->i", vectors[at[wanted.row[i : i + _CHUNK]]], centroid[f])
            length = np.sqrt(np.maximum(square[f] - 2 * w * dot + w * w, 0))
            cosine = np.divide(
                dot - w, length, out=np.zeros_like(dot), where=length > 1e-4 * np.abs(w)
            )
            similarity[i : i + _CHUNK] = cosine
        table = pd.DataFrame(
            {
                "row": self.rows[at[wanted.row]],
                "feature": wanted.col,
                "weight": wanted.data,
                "similarity": similarity,
                "contribution": wanted.data * similarity,
            }
        )
        table = table[table["contribution"] > 0].sort_values(
            ["row", "contribution"], ascending=[True, False]
        )
        return table.groupby("row", sort=False).head(n_features)

    def shared(self, a: int, b: int) -> list[tuple[int, str]]:
        """Features that two genes, given by their rows in the embedding, both have.

        Each comes as the number of genes that have it, and its name.

        Rarest first. Conditions, which all genes have, are left out.
        """
        at = np.searchsorted(self.rows, [a, b])
        if (at >= self.rows.size).any() or (self.rows[at] != [a, b]).any():
            return []
        one, two = (
            self.weight.indices[self.weight.indptr[i] : self.weight.indptr[i + 1]] for i in at
        )
        both = np.intersect1d(one, two)
        return sorted(
            (int(self.n_genes[f]), str(self.names[f])) for f in both[self.kind[both] != "condition"]
        )


def read_features(knowledge: MuData, space: Space) -> dict[str, Features]:
    """Weigh the features of a knowledge bundle as :func:`newt_sc.pp.encode` does.

    Parameters
    ----------
    knowledge
        As :func:`newt_sc.datasets.bundle` returns it.
    space
        Gene embedding; modalities that it has no block of are left out.

    Raises
    ------
    TypeError
        If ``knowledge`` is no MuData.
    KeyError
        If it has none of the modalities, or one has no ``var["kind"]``.
    """
    if not hasattr(knowledge, "mod"):
        msg = (
            f"knowledge is {type(knowledge).__name__}, expected a MuData, such as"
            " newt_sc.datasets.bundle() gives."
        )
        raise TypeError(msg)
    names = list(space.blocks)
    shared = [name for name in names if name in knowledge.mod]
    if not shared:
        msg = (
            f"knowledge has the modalities {list(knowledge.mod)}, the embedding {names}: expected"
            " some in common."
        )
        raise KeyError(msg)
    return {name: _read(name, knowledge.mod[name], space.names) for name in shared}


def _read(name: str, mod: AnnData, known: pd.Index) -> Features:
    rows = known.get_indexer(mod.obs_names)
    if not (rows >= 0).any():
        found = genes.align(mod.obs_names, known)
        require_overlap(found, mod.obs_names, known, what=f"knowledge[{name!r}]")
        rows = found.index
    columns, parts = zip(*weighed(name, mod), strict=True)
    column = np.concatenate(columns)
    weight = sparse.hstack(list(map(sparse.csr_array, parts)), format="csr", dtype=np.float32)
    keep = np.flatnonzero(rows >= 0)
    keep = keep[np.unique(rows[keep], return_index=True)[1]]  # ascending, each gene once
    weight = sparse.csr_array(weight[keep])
    length = np.sqrt(np.asarray(weight.multiply(weight).sum(axis=1)).ravel())
    scale = np.divide(1, length, out=np.zeros_like(length), where=length > 0)
    weight = sparse.csr_array(sparse.diags_array(scale) @ weight)
    return Features(
        rows=rows[keep].astype(np.intp),
        names=mod.var_names.to_numpy(dtype=object)[column],
        kind=mod.var["kind"].astype(str).to_numpy(dtype=object)[column],
        weight=weight,
        n_genes=np.bincount(weight.indices, minlength=weight.shape[1]).astype(np.intp),
    )
