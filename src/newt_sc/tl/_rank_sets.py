"""Sets of genes along a ranking of genes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd

from newt_sc import _kernels, genes
from newt_sc._verb import Count, Organism, Whole, checked
from newt_sc._warn import warn
from newt_sc.datasets._embedding import resolve_embedding
from newt_sc.genes._align import require_overlap, warn_coverage
from newt_sc.genes._sets import rankings

from ._sets import LEAST_SD, Sets, SetsLike, read_side

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray


__all__ = ["rank_sets"]

_FEW = 1000


@checked
def rank_sets(
    ranked_genes: pd.Series | pd.DataFrame | Sequence[str] | AnnData,
    gene_sets: SetsLike,
    *,
    embedding: str | PathLike[str] | AnnData = "newt-human",
    key: str = "rank_genes_groups",
    min_size: Count = 1,
    max_size: Count | None = None,
    background: Iterable[str] | None = None,
    n_permutations: Annotated[int, "from 2 up"] = 1000,
    organism: Organism = "auto",
    random_state: Whole = 0,
) -> pd.DataFrame:
    """Find gene sets whose genes, or genes similar to them, are at the top or bottom of a ranking.

    Use it like gene set enrichment analysis, if few or no genes of a set were ranked. If they were,
    ordinary enrichment analysis does the job.

    Each ranked gene counts by its cosine with the most similar member of the set, less the mean of
    that over the ranking. ``score`` is the sum of these from the top, taken where it is furthest
    from 0. It is positive if similar genes rank high, and negative if they rank low. No ranked gene
    has to be a member of the set.

    Parameters
    ----------
    ranked_genes
        All genes that were measured: a Series of scores by gene, whose largest value ranks first; a
        list of genes in order; an AnnData after :func:`scanpy.tl.rank_genes_groups`, one ranking
        per group; or a table with ``names``, ``scores`` and, for several groups, ``group``, as
        :func:`scanpy.get.rank_genes_groups_df` gives. Only the order counts.
    gene_sets
        Sets of genes, as in :func:`newt_sc.tl.compare_sets`.
    %(embedding)s
    key
        Key of ``uns`` with the ranked genes, for an AnnData.
    min_size, max_size
        Sets with fewer or more genes that have a vector are left out.
    background
        Genes that random sets are drawn from; see :func:`newt_sc.tl.compare_sets`.
    n_permutations
        Number of random orders of the genes. Random sets are their first genes.
    organism
        Organism of ranked genes and sets: ``"human"``, ``"mouse"`` or ``"auto"``.
    %(random_state)s

    Returns
    -------
    One row per set (and ``group``, where there are groups), largest absolute ``z`` first: ``set``,
    ``score``, ``z`` against random sets of the same size, ``p`` (two-sided, the share of random
    sets further out on the side of ``z``, doubled; at least 2 / (``n_permutations`` + 1)), ``fdr``
    (Benjamini-Hochberg, within the group), ``n`` (genes with a vector) and ``peak`` (ranked genes
    until the sum is furthest from 0). ``z`` is NaN where all random sets have the same score.

    Raises
    ------
    TypeError, KeyError, FileNotFoundError, FormatError
        If ranking, sets or embedding are not what is expected.
    ValueError
        If a number is out of range, a score is missing, a gene is ranked twice, no set is left, or
        the background is too small for the largest set.
    GeneMatchError
        If no ranked gene, or none of the sets, has a vector.

    Warns
    -----
    NewtWarning
        If a ranking has fewer than 1,000 genes with a vector, as the top of a longer one has; if
        sets are left out for they have no gene in the embedding.

    See Also
    --------
    newt_sc.tl.compare_sets

    References
    ----------
    Li et al. (2024), Genome Research 34:1421 (ANDES); Subramanian et al. (2005), PNAS 102:15545
    (GSEA).

    Examples
    --------
    >>> nt.tl.rank_sets(scores, "reactome.gmt")  # doctest: +SKIP
    """
    orders = rankings(ranked_genes, key)
    reference = resolve_embedding(embedding)
    side = read_side(
        gene_sets,
        reference,
        what="sets",
        background=background,
        min_size=min_size,
        max_size=max_size,
        organism=organism,
    )
    U = _kernels.centered_cosine(np.asarray(reference.X))[0].astype(np.float32)
    tables = []
    for group, names in orders.items():
        what = "ranked_genes" if group is None else f"group {group!r}"
        rows = _rows(names, reference, what, organism)
        table = _ranked(U, rows, side, n_permutations, random_state)
        if group is not None:
            table.insert(0, "group", group)
        tables.append(table)
    out = pd.concat(tables, ignore_index=True)
    out = out.iloc[np.argsort(-np.abs(out["z"].to_numpy()), kind="stable")].reset_index(drop=True)
    out.attrs = {"sets": side.about}
    return out


def _ranked(
    U: NDArray[np.float32],
    rows: NDArray[np.intp],
    side: Sets,
    n_permutations: int,
    random_state: int,
) -> pd.DataFrame:
    """Score all sets along one ranking, against random sets of the same sizes."""
    score, peak = _kernels.rank_deviation(U, rows, side.members)
    sizes, at = np.unique(side.size, return_inverse=True)
    null = _kernels.rank_deviation_null(
        U, rows, side.pool, sizes=sizes, n_permutations=n_permutations, random_state=random_state
    )
    difference, sd = score - null.mean(axis=0)[at], null.std(axis=0)[at]
    z = np.full(score.shape, np.nan)
    np.divide(difference, sd, out=z, where=sd > LEAST_SD)
    # random sets are not symmetric around 0: each side of their mean has a tail of its own
    sign = np.sign(difference)
    upper = _kernels.permutation_p(sign * score, sign[None] * null[:, at])
    p = np.where(np.isnan(z), np.nan, np.minimum(2 * upper, 1))
    columns = {"set": side.names, "score": score, "z": z, "p": p, "fdr": _kernels.adjusted_p(p)}
    return pd.DataFrame(columns | {"n": side.size, "peak": peak})


def _rows(names: list[str], reference: AnnData, what: str, organism: Organism) -> NDArray[np.intp]:
    """Rows of the embedding in the order of the ranking.

    Of names that are one gene the first counts.
    """
    if len(set(names)) < len(names):
        twice = pd.Index(names)
        msg = (
            f"{what} has genes more than once, such as {twice[twice.duplicated()][0]!r}: keep one"
            " rank per gene."
        )
        raise ValueError(msg)
    found = genes.align(names, reference.obs_names, organism=organism)
    require_overlap(found, names, reference.obs_names, what=what)
    warn_coverage(found, what=what)
    rows = pd.unique(found.index[found.index >= 0])
    if rows.size < _FEW:
        msg = (
            f"{what} ranks {rows.size} genes with a vector. A ranking must have all genes that were"
            " measured, not the top ones: the sum is taken against the mean over the ranking."
        )
        warn(msg)
    return np.asarray(rows, dtype=np.intp)
