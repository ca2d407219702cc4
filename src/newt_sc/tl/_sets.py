"""What the verbs on sets of genes share: sets over an embedding, and sources of random sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from newt_sc import genes
from newt_sc._settings import logger
from newt_sc._warn import warn
from newt_sc.genes._align import require_overlap
from newt_sc.genes._sets import align_sets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from newt_sc.genes._resolve import Organism

__all__ = ["Sets", "SetsLike", "read_side"]

SetsLike: TypeAlias = Mapping[str, Iterable[str]] | str | PathLike[str] | pd.DataFrame | AnnData

_TIMES_LARGEST = 10
"""A background holds at least so many times the genes of the largest set, or all genes are taken.
"""


@dataclass(frozen=True)
class Sets:
    """Sets of one side, each with a gene.

    Attributes
    ----------
    names
        Names of the sets.
    members
        Sets x genes of the embedding.
    pool
        Genes that random sets are drawn from.
    about
        Counts, for ``attrs``.
    """

    names: NDArray[np.object_]
    members: sparse.csr_array
    pool: NDArray[np.intp]
    about: dict[str, Any]

    @property
    def size(self) -> NDArray[np.intp]:
        """Genes of each set."""
        return np.asarray(np.diff(self.members.indptr), dtype=np.intp)


def read_side(
    sets: SetsLike,
    reference: AnnData,
    *,
    what: str,
    background: Iterable[str] | None,
    min_size: int,
    max_size: int | None,
    organism: Organism,
) -> Sets:
    """Read sets, find their genes in an embedding and choose the background."""
    found = align_sets(genes.gene_sets(sets), reference.obs_names, organism=organism, what=what)
    members, report = found.members, found.alignment.report
    pool = None
    if background is not None:
        listed = list(dict.fromkeys(background)) if not isinstance(background, str) else background
        aligned = genes.align(listed, reference.obs_names, organism=organism)
        require_overlap(aligned, listed, reference.obs_names, what=f"the background of {what}")
        pool = np.unique(aligned.index[aligned.index >= 0])
        inside = np.zeros(reference.n_obs, dtype=np.float32)
        inside[pool] = 1
        members = sparse.csr_array(members @ sparse.diags_array(inside, dtype=np.float32))
        members.eliminate_zeros()
        members.sort_indices()
    size = np.diff(members.indptr)
    if (empty := size == 0).any():
        some = ", ".join(map(repr, found.names[empty][:5]))
        where = "in the embedding" if pool is None else "in the embedding and the background"
        msg = (
            f"{empty.sum()} of the {size.size} sets of {what} have no gene {where} and are left"
            f" out, such as {some}."
        )
        warn(msg)
    keep = (size >= min_size) & (size <= (np.inf if max_size is None else max_size))
    if not keep.any():
        msg = (
            f"No set of {what} has {min_size} to"
            f" {'any number of' if max_size is None else max_size} genes with a vector; they have"
            f" {size.min()} to {size.max()}. Change min_size or max_size."
        )
        raise ValueError(msg)
    own = np.unique(members.indices)
    members = members[keep]
    if pool is None:
        few = own.size < _TIMES_LARGEST * size[keep].max()
        pool = np.arange(reference.n_obs) if few else own
    logger.info("%s: %d of %d sets, %d genes of background", what, keep.sum(), keep.size, pool.size)
    about = {
        "n_sets": int(keep.sum()),
        "n_sets_given": int(keep.size),
        "n_sets_without_gene": int(empty.sum()),
        "n_background": int(pool.size),
        **{
            key: report[key]
            for key in ("organism", "n_genes", "n_matched", "n_ambiguous", "n_dropped")
        },
    }
    return Sets(found.names[keep], members, pool.astype(np.intp), about)
