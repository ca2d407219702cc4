"""What the verbs on sets of genes share: sets over an embedding, and sources of random sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, Unpack

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

__all__ = ["LEAST_SD", "Limits", "Sets", "SetsLike", "read_side"]

SetsLike: TypeAlias = Mapping[str, Iterable[str]] | str | PathLike[str] | pd.DataFrame | AnnData

_TIMES_LARGEST = 10
"""A background holds at least so many times the genes of the largest set, or all genes are taken.
"""


LEAST_SD = 1e-6
"""What random sets differ by at least; below, they are all alike but for rounding."""


class Limits(TypedDict):
    """Which sets count."""

    min_size: int
    max_size: int | None
    organism: Organism


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
    **limits: Unpack[Limits],
) -> Sets:
    """Read sets, find their genes in an embedding and choose the background."""
    organism, least, most = limits["organism"], limits["min_size"], limits["max_size"]
    found = align_sets(genes.gene_sets(sets), reference.obs_names, organism=organism, what=what)
    members, pool = found.members, None
    if background is not None:
        pool = _background(background, reference.obs_names, organism, what)
        inside = np.isin(np.arange(reference.n_obs), pool).astype(np.float32)
        members = sparse.csr_array(members @ sparse.diags_array(inside))
        members.eliminate_zeros()
        members.sort_indices()
    size = np.diff(members.indptr)
    if (empty := size == 0).any():
        some = ", ".join(map(repr, found.names[empty][:5]))
        where = "in the embedding" if pool is None else "in the embedding and the background"
        warn(
            f"{empty.sum()} of the {size.size} sets of {what} have no gene {where} and are left"
            f" out, such as {some}."
        )
    keep = (size >= least) & (size <= (np.inf if most is None else most))
    if not keep.any():
        msg = (
            f"No set of {what} has {least} to {'any number of' if most is None else most} genes"
            f" with a vector; they have {size.min()} to {size.max()}. Change min_size or max_size."
        )
        raise ValueError(msg)
    if pool is None:
        own = np.unique(members.indices)
        few = own.size < _TIMES_LARGEST * size[keep].max()
        pool = np.arange(reference.n_obs) if few else own
    logger.info("%s: %d of %d sets, %d genes of background", what, keep.sum(), keep.size, pool.size)
    about = {
        "n_sets": int(keep.sum()),
        "n_sets_given": int(keep.size),
        "n_sets_without_gene": int(empty.sum()),
        "n_background": int(pool.size),
    }
    told = ("organism", "n_genes", "n_matched", "n_ambiguous", "n_dropped")
    about |= {key: found.alignment.report[key] for key in told}
    return Sets(found.names[keep], members[keep], pool.astype(np.intp), about)


def _background(
    given: Iterable[str], names: pd.Index, organism: Organism, what: str
) -> NDArray[np.intp]:
    listed = given if isinstance(given, str) else list(dict.fromkeys(given))
    aligned = genes.align(listed, names, organism=organism)
    require_overlap(aligned, listed, names, what=f"the background of {what}")
    return np.unique(aligned.index[aligned.index >= 0])
